"""Hosts, zones, sessions and events as a person and a program see them, on one suite with something in it."""

import json
import os
import re
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import nats
import pytest
import typer
from cli.events import read_since
from contracts.hosts import Host
from contracts.npcs import FeedPage
from contracts.sessions import Session, SessionExplained
from contracts.zones import ZoneExplained
from embedded.hints import p2p as hint
from rich.cells import cell_len
from testkit.eventually import eventually
from testkit.patience import patient
from testkit.suites import running_suite

from libs.cli.tests.terminal import Terminal, on_terminal, p2p

pytestmark = pytest.mark.servers

HOSTILE = "[red]Bold[/red] \u202e\x1b[31m😀"
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture
def opened():
    """Opens terminals; what still runs on them when the test is over is killed."""
    terminals = []

    def open_one(*words, width):
        terminals.append(Terminal(*words, width=width))
        return terminals[-1]

    yield open_one
    for terminal in terminals:
        terminal.leave()


@pytest.fixture(scope="module")
def suite():
    # None of the hosts here beats: they are not to be lost meanwhile.
    patient = {"HOST_REGISTRY_SUSPECT_AFTER_S": "3000", "HOST_REGISTRY_OFFLINE_AFTER_S": "6000"}
    with running_suite(environment=patient) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(suite):
    with httpx.Client(base_url=f"{suite.gateways[0]}/api/v1", timeout=patient(10)) as client:
        yield client


@pytest.fixture(scope="module")
def populated(suite, gateway):
    """Twelve hosts, and a session with two players on the best."""
    for number in range(12):
        machine = {"cpu_cores": 8, "memory_mb": 16384, "network_speed_mbps": 1000, "region": "eu-west"}
        owner = {"player_id": f"owner-{number}", "player_name": HOSTILE}
        made = gateway.post("/hosts", json={"host_id": f"host-{number:02}", **owner, **machine})
        assert made.status_code == 201, made.text
        gateway.post(f"/hosts/host-{number:02}/heartbeat", json={"latency_ms": 5 + number, "packet_loss_percent": 0})
    for player in ("ann", "bob"):
        entered = gateway.post("/sessions/join", json={"zone_id": "prontera", "peer_id": player})
        assert entered.status_code == 200, entered.text
    return entered.json()["session_id"]


@pytest.fixture(params=["over NATS", "over REST"])
def look(request, suite, populated):
    """The command, entering the suite one way or the other."""
    way = ("--data-dir", suite.data_dir) if request.param == "over NATS" else ("--url", suite.gateways[0])

    def command(*words):
        said = p2p(*words, *way)
        assert (said.code, said.error) == (0, ""), said
        return said.out

    return command


def test_hosts_come_best_first_for_people_and_programs(look):
    assert [line.split()[0] for line in look("hosts").splitlines()[:3]] == ["host", "host-00", "host-01"]
    page = json.loads(look("hosts", "--json"))
    assert page["next_cursor"] is None
    assert [Host.model_validate(host).host_id for host in page["items"]][:2] == ["host-00", "host-01"]


def test_filters_are_those_of_the_registry(look):
    assert look("hosts", "--status", "draining") == "no such host\n"
    assert json.loads(look("hosts", "--region", "mars", "--json"))["items"] == []
    assert len(json.loads(look("hosts", "--min-score", "10", "--region", "eu-west", "--json"))["items"]) == 12


def test_a_host_is_shown_with_the_parts_of_its_score_and_its_sessions(look, populated):
    shown = json.loads(look("hosts", "show", "host-00", "--json"))
    assert sum(shown["score_parts"].values()) == pytest.approx(shown["host"]["quality_score"], abs=0.05)
    assert [session["session_id"] for session in shown["sessions"]] == [populated]
    told = look("hosts", "show", "host-00")
    assert "its own claim, nothing measured" in told
    assert "2 seated of 50" in told
    assert populated in told


def test_zones_are_listed_shown_and_explained(look):
    assert [line.split()[0] for line in look("zones").splitlines()[:2]] == ["zone", "prontera"]
    assert "score from 40" in look("zones", "show", "prontera")
    explained = ZoneExplained.model_validate_json(look("zones", "explain", "prontera", "--player", "carl", "--json"))
    assert len(explained.judgements) == 12
    told = look("zones", "explain", "prontera")
    assert look("explain", "prontera").splitlines()[0] == told.splitlines()[0]
    assert "host-11" in told
    assert "able, no socket" in told


async def test_feeds_are_listed_and_one_zones_shown(suite, populated):
    def feed(*words):
        said = p2p("feed", *words, "--data-dir", suite.data_dir)
        assert (said.code, said.error) == (0, ""), said
        return said.out

    async with await nats.connect(suite.nats) as client:
        await client.publish("p2p.npc.prontera.guard", b'{"npc_id": "guard", "x": 1, "urgent": true}')
        await client.flush()

        def spoken_of():
            page = FeedPage.model_validate_json(feed("--json"))
            return next((of for of in page.items if of.zone_id == "prontera" and of.npcs == 1), None)

        standing = await eventually(spoken_of, within=20, of="the guard")
    assert [*standing.sources] == ["nats"]
    assert feed().splitlines()[0].split() == ["zone", "feed", "NPCs", "told", "age", "sources", "gaps", "seq", "every"]
    told = feed("prontera")
    assert "live" in told
    assert "nats" in told
    assert feed("nowhere") == "nobody plays in that zone, so its feed is not told\n"


def test_a_zone_is_switched_off_and_on(look):
    assert look("zones", "disable", "izlude") == "izlude is disabled: it takes no new sessions\n"
    assert json.loads(look("zones", "show", "izlude", "--json"))["status"] == "disabled"
    assert look("zones", "enable", "izlude") == "izlude is enabled: it takes new sessions\n"
    assert look("zones", "disable", "izlude", "--p2p").startswith("izlude is enabled: hosts do not serve it")
    assert json.loads(look("zones", "enable", "izlude", "--p2p", "--json"))["p2p_enabled"] is True


def test_sessions_are_listed_and_shown_with_their_history(look, populated):
    assert populated in look("sessions", "--zone", "prontera", "--host", "host-00", "--player", "ann")
    shown = json.loads(look("sessions", "show", populated, "--json"))
    assert Session.model_validate(shown).connected_players == ("ann", "bob")
    assert [event["event"] for event in shown["events"]] == ["created", "joined"]
    assert "+bob" in look("sessions", "show", populated)


def test_why_a_session_is_where_it_is_is_told_host_by_host(look, populated):
    explained = SessionExplained.model_validate_json(look("sessions", "explain", populated, "--json"))
    (created,) = explained.decisions
    assert created.grounds is not None
    assert (created.event, created.grounds.judgements[0].host_id) == ("created", "host-00")
    told = look("sessions", "explain", populated)
    assert "chosen" in told
    assert all(judged.host_id in told for judged in created.grounds.judgements)


def test_a_session_is_ended_with_a_reason(look, gateway, populated):
    made = gateway.post("/sessions", json={"zone_id": "geffen"}).json()["session_id"]
    assert look("sessions", "end", made, "--reason", "for the test") == f"{made} is ended: for the test\n"
    assert json.loads(look("sessions", "show", made, "--json"))["end_reason"] == "for the test"


def test_a_host_is_drained_and_forgotten(look, gateway):
    gateway.post("/hosts", json={"host_id": "leaving", "player_id": "owner", "player_name": "Owner"})
    assert look("hosts", "drain", "leaving") == "leaving is draining: it gets no more sessions\n"
    assert look("hosts", "delete", "leaving", "--yes") == "leaving is forgotten\n"
    assert gateway.get("/hosts/leaving").status_code == 404


def test_pages_lead_to_one_another(suite, populated):
    first = p2p("hosts", "--limit", 5, "--data-dir", suite.data_dir)
    cursor = re.search(r"--cursor (\S+),", first.error)
    assert cursor is not None, first.error
    rest = p2p("hosts", "--cursor", cursor[1], "--data-dir", suite.data_dir)
    names = [line.split()[0] for said in (first, rest) for line in said.out.splitlines()[1:]]
    assert names == sorted(set(names))
    assert len(names) == 12
    assert rest.error == ""


def test_over_rest_too_pages_lead_to_one_another(suite, populated):
    page = json.loads(p2p("hosts", "--limit", 5, "--json", "--url", suite.gateways[0]).out)
    rest = json.loads(p2p("hosts", "--cursor", page["next_cursor"], "--json", "--url", suite.gateways[0]).out)
    assert len(page["items"]) + len(rest["items"]) == 12


@pytest.mark.parametrize("width", [60, 120])
def test_a_table_fits_the_terminal_in_colour(suite, populated, width):
    code, lines = on_terminal("hosts", "--data-dir", suite.data_dir, width=width)
    assert code == 0
    assert max(cell_len(COLOUR.sub("", line)) for line in lines) <= width
    assert any("\x1b[32m" in line for line in lines)
    # How long ago a beat was may take a character or two; whether a column or the end of a name fits hangs on that.
    assert COLOUR.sub("", lines[-1]).endswith("known, socket, region, player)") == (width == 60)


def test_no_color_is_heeded(suite, populated):
    _, lines = on_terminal("hosts", "--data-dir", suite.data_dir, width=100, environment={"NO_COLOR": "1"})
    assert not any(re.search(r"\x1b\[(3|9)\dm", line) for line in lines)


def test_in_a_pipe_nothing_is_cut_or_coloured_and_hostile_names_are_text(suite, populated):
    out = p2p("hosts", "--data-dir", suite.data_dir).out
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert out.count("[red]Bold[/red] \\u202e\\u001b[31m😀") == 12


def test_watching_takes_the_screen_and_gives_it_back_at_ctrl_c(suite, populated, gateway, opened):
    terminal = opened("hosts", "--watch", "--data-dir", suite.data_dir, width=80)
    terminal.until("host-11")
    gateway.post("/hosts", json={"host_id": "newcomer", "player_id": "new", "player_name": "New"})
    terminal.until("newcomer")
    gateway.delete("/hosts/newcomer")
    terminal.interrupt()
    assert terminal.ended() == 0
    assert "\x1b[?1049l" in terminal.shown
    assert "Traceback" not in terminal.shown


async def test_watching_outlives_who_is_asked(suite, populated, opened):
    terminal = opened("zones", "--watch", "--data-dir", suite.data_dir, width=100)
    terminal.until("every 2 s")
    async with suite.outage("zone_manager-1"):
        terminal.until("no zone_manager answers")
    terminal.shown = ""
    terminal.until("every 2 s")
    terminal.interrupt()
    assert terminal.ended() == 0


def test_programs_watch_line_by_line(suite, populated):
    command = [sys.executable, "-P", "-m", "cli", "sessions", "--watch", "--json", "--data-dir", str(suite.data_dir)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watching:
        try:
            assert watching.stdout is not None
            looks = [json.loads(watching.stdout.readline()) for _ in range(2)]
        finally:
            watching.send_signal(2)
    assert watching.returncode == 0
    assert all(look["items"] for look in looks)


def test_ctrl_c_while_nobody_answers_says_nothing(opened):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        terminal = opened("hosts", "--nats", f"nats://127.0.0.1:{silent.getsockname()[1]}", width=80)
        called, _ = silent.accept()
        with called:
            terminal.interrupt()
            assert terminal.ended() not in {0, 2}
    assert "Traceback" not in terminal.shown


def test_events_tell_what_happened_and_filters_hold(suite, populated):
    told = p2p("events", "--data-dir", suite.data_dir, "--limit", 0)
    assert told.code == 0, told.error
    assert re.search(rf"session  joined +{populated}  \+bob  zone prontera", told.out)
    assert "npc-feed" not in told.out
    mine = p2p("events", "--of", "sessions", "--id", populated, "--json", "--data-dir", suite.data_dir)
    facts = [json.loads(line) for line in mine.out.splitlines()]
    assert [fact["subject"].rpartition(".")[2] for fact in facts][:2] == ["created", "joined"]
    assert {fact["session_id"] for fact in facts} == {populated}
    only = p2p("events", "--what", "joined", "--data-dir", suite.data_dir).out.splitlines()
    assert only
    assert all("  joined  " in line for line in only)


def test_the_latest_events_are_shown_and_how_many_are_not(suite, populated):
    told = p2p("events", "--of", "hosts", "--limit", 2, "--data-dir", suite.data_dir)
    assert len(told.out.splitlines()) == 2
    assert re.fullmatch(r"\d+ earlier ones are not shown: a higher --limit shows them\n", told.error)


def test_events_of_before_are_left_out(suite, populated):
    future = f"{datetime.now(UTC) + timedelta(hours=1):%Y-%m-%dT%H:%M}"
    assert p2p("events", "--since", future, "--data-dir", suite.data_dir) == (0, "", "")


def test_following_shows_what_comes_until_ctrl_c(suite, populated, gateway, opened):
    terminal = opened("events", "--follow", "--of", "zones", "--data-dir", suite.data_dir, width=120)
    gateway.post("/zones/payon/disable-p2p")
    terminal.until("p2p off")
    gateway.post("/zones/payon/enable-p2p")
    terminal.until("p2p on")
    terminal.interrupt()
    assert terminal.ended() == 0


@pytest.mark.parametrize(
    ("words", "begin"),
    [("90s", 90), ("10m", 600), ("10min", 600), ("1.5h", 5400), ("3d", 259200), ("2026-01-31T08:00", 14400)],
)
def test_since_takes_spans_and_times(words, begin):
    now = datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert now - read_since(words, now) == timedelta(seconds=begin)


def test_since_says_what_it_takes():
    with pytest.raises(typer.BadParameter, match="write 90s, 10m, 2h, 3d or a time"):
        read_since("yesterday", datetime.now(UTC))


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("hosts", "show", "nobody"), "There is no host nobody. `p2p hosts` shows those there are"),
        (("zones", "explain", "nowhere"), "`p2p zones` shows those there are"),
        (("sessions", "end", "session-0"), "`p2p sessions` shows those there are"),
        (("hosts", "delete", "host-00"), "--yes forgets the host without"),
        (("hosts", "--cursor", "?"), "The cursor is not one that a page gave."),
    ],
)
def test_what_cannot_be_done_is_one_line(suite, populated, words, reason):
    said = p2p(*words, "--data-dir", suite.data_dir)
    assert (said.code, said.out, said.error.count("\n")) == (1, "", 1)
    assert reason in said.error


def test_deleting_asks_a_person(suite, populated, gateway, opened):
    terminal = opened("hosts", "delete", "host-11", "--data-dir", suite.data_dir, width=80)
    terminal.until("Forget host-11 and move its sessions? [y/N]")
    terminal.type("n\n")
    assert terminal.ended() == 1
    assert gateway.get("/hosts/host-11").status_code == 200


def test_what_only_nats_tells_says_so_to_who_names_a_gateway(suite):
    for words in (("jobs",), ("jobs", "run", "npc-feed"), ("events",)):
        said = p2p(*words, "--url", suite.gateways[0])
        assert (said.code, said.error.count("\n")) == (1, 1)
        assert "give --nats URL or --data-dir" in said.error


def test_another_program_is_no_gateway(suite):
    said = p2p("hosts", "--url", suite.http("zone_manager-1"))
    assert (said.code, said.error.count("\n")) == (1, 1)
    assert "another program answers there" in said.error


@pytest.mark.parametrize("command", ["hosts", "zones", "sessions", "jobs", "events"])
def test_where_nothing_runs_it_says_what_to_do(tmp_path, command):
    said = p2p(command, "--data-dir", tmp_path)
    assert (said.code, said.out) == (1, "")
    assert said.error == (
        f"error: nothing runs on {tmp_path}; start it with `{hint('up', data_dir=tmp_path)}`, "
        "or say where it is with --url or --nats\n"
    )


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("hosts", "--url", "127.0.0.1:8001"), "is not a URL such as http://127.0.0.1"),
        (("hosts", "--url", "http://a", "--nats", "nats://b"), "--nats and --url name two suites: give one of them"),
        (("hosts", "show", "a/b"), "must not contain '/'"),
        (("hosts", "--limit", "0"), "Invalid value for '--limit'"),
        (("events", "--audit", "--of", "hosts"), "--audit is a record of its own"),
    ],
)
def test_a_slip_of_the_finger_is_one_of_usage(words, reason):
    said = p2p(*words)
    assert said.code == 2
    assert reason in said.error.splitlines()[-1]


def test_a_wrong_address_is_one_line():
    for way in (("--url", "http://127.0.0.1:1"), ("--nats", "nats://127.0.0.1:1")):
        said = p2p("hosts", *way)
        assert (said.code, said.error.count("\n")) == (1, 1)
        assert "127.0.0.1:1 cannot be reached: " in said.error
        assert said.error.endswith("is it up, and the address right?\n")


def test_where_stands_before_or_behind_the_subcommand(suite, populated):
    before = p2p("hosts", "--data-dir", suite.data_dir, "show", "host-00", "--json")
    assert json.loads(before.out)["host"]["host_id"] == "host-00"


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("p2p hosts --data-dir {dir} show host-0", [f"host-0{number}" for number in range(10)]),
        ("p2p zones explain --data-dir {dir} pron", ["prontera"]),
        ("p2p explain --data-dir {dir} pron", ["prontera"]),
        ("p2p sessions --url {url} show {session}", ["{session}"]),
        ("p2p hosts --data-dir {dir}/nowhere show host", []),
    ],
)
def test_the_shell_completes_ids(suite, populated, words, completed):
    names = {"dir": suite.data_dir, "url": suite.gateways[0], "session": populated}
    line = words.format(**names)
    asked = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1), "_P2P_COMPLETE": "complete_bash"}
    program = Path(sys.executable).with_name("p2p")
    said = subprocess.run([program], env=os.environ | asked, capture_output=True, text=True, check=True)
    assert sorted(said.stdout.split()) == [name.format(**names) for name in completed]
