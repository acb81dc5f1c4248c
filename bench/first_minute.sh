#!/bin/sh
# A newcomer's first minute, timed: a fresh clone, what README says, and the first message that comes back from a host.
#
#     bench/first_minute.sh [CLONE-OF]
#
# Prints how long each step took. Ports are free ones; nothing of it stays.
set -eu

from=${1:-$(cd "$(dirname "$0")/.." && pwd)}
place=$(mktemp -d)
suite= host=
end() {
    [ -z "$host" ] || kill -INT "$host" 2>/dev/null || true
    [ -z "$suite" ] || { kill -TERM "$suite" 2>/dev/null || true; wait "$suite" || true; }
    rm -rf "$place"
}
trap end EXIT

now() { date +%s.%N; }
began=$(now)
told() { printf '%6.1f s  %s\n' "$(echo "$(now) $began" | awk '{print $1 - $2}')" "$1"; }
# until FILE WORDS PID: the file has these words; or that program has ended, and says why
until_said() {
    while ! grep -q "$2" "$1"; do
        kill -0 "$3" 2>/dev/null || { cat "$1"; exit 1; }
        sleep 0.1
    done
}

git clone --quiet --no-hardlinks "$from" "$place/clone"
cd "$place/clone"
told "cloned"
unset PYTHONDONTWRITEBYTECODE
make --silent setup
told "set up"
.venv/bin/p2p up --http-port 0 >"$place/suite" 2>&1 &
suite=$!
until_said "$place/suite" "all ready" "$suite"
told "all ready"
.venv/bin/p2p demo >"$place/host" 2>&1 &
host=$!
until_said "$place/host" "open " "$host"
told "a host, and a page to open"
.venv/bin/python bench/first_message.py "$(awk '$1 == "open" { print $2 }' "$place/host")" >"$place/message"
told "$(cat "$place/message")"
