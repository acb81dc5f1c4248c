#!/bin/sh
# Make an environment with one service and what it depends on, at the versions and hashes of the lock, and nothing else:
#   deploy/install.sh SERVICE DIRECTORY      (needs uv; UV_OFFLINE=1 takes everything from uv's cache)
set -eu
cd "$(dirname "$0")/.."
service=$1 directory=$2

uv venv --quiet "$directory"
uv pip compile --quiet --no-header --no-annotate --generate-hashes --constraint requirements.lock \
    --no-emit-package chassis --no-emit-package contracts \
    "services/$service/pyproject.toml" --output-file "$directory/requirements.txt"
uv pip install --quiet --python "$directory/bin/python" --require-hashes --requirement "$directory/requirements.txt"

for ours in libs/contracts libs/chassis "services/$service"; do
    uv build --quiet --wheel --out-dir "$directory/wheels" "$ours"
done
uv pip install --quiet --python "$directory/bin/python" --no-deps "$directory"/wheels/*.whl

# What it imports is compiled now: where it runs Python may not be allowed to keep what it compiles.
env -u PYTHONDONTWRITEBYTECODE "$directory/bin/python" -P -c "import $service.__main__"
