"""The first words of a newcomer to `p2p`."""

from importlib.metadata import version

import pytest

from libs.cli.tests.terminal import Terminal, p2p

LOG = """\
p2p                  | nats is ready after 0.1 s
zone_manager-1       | one
zone_manager-2       | two
nats                 | three
"""


def test_it_says_which_release_it_is():
    said = p2p("--version")
    assert (said.code, said.out) == (0, f"p2p {version('cli')}\n")


@pytest.mark.parametrize("words", [("-h",), ("--help",), ("help",)])
def test_help_has_three_names(words):
    said = p2p(*words)
    assert said.code == 0
    assert all(word in said.out for word in ("up", "down", "stop", "logs", "demo"))


@pytest.mark.parametrize("words", [("up", "-h"), ("help", "up")])
def test_so_has_that_of_a_command(words):
    said = p2p(*words)
    assert said.code == 0
    assert "--detach" in said.out


@pytest.mark.parametrize(
    ("word", "hint"), [("statsu", "did you mean status?"), ("zone", "did you mean zones?"), ("qqqq", "see p2p --help")]
)
def test_a_word_that_is_none_is_told_the_nearest(word, hint):
    said = p2p(word)
    assert said.code == 2
    assert said.error.splitlines()[-1].endswith(hint)


def test_links_of_kubernetes_are_no_options():
    links = {
        "P2P_PORT": "tcp://10.96.0.3:80",
        "P2P_PORT_80_TCP": "tcp://10.96.0.3:80",
        "P2P_SERVICE_HOST": "10.96.0.3",
        "P2P_SERVICE_PORT": "none",
        "P2P_HTTP_PORT": "tcp://10.96.0.4:80",
        "P2P_HTTP_PORT_80_TCP_PORT": "80",
        "P2P_HTTP_SERVICE_PORT": "80",
    }
    said = p2p("up", "--replicas", "nobody=1", environment=links)
    assert "there is no service 'nobody'" in said.error
    assert "10.96" not in said.error


@pytest.mark.parametrize(
    ("misspelt", "nearest"),
    [("P2P_HTTPPORT", "P2P_HTTP_PORT"), ("P2P_SERVICE_PORTS", "P2P_SERVICE_PORT"), ("P2P_NATS_PRT", "P2P_NATS_PORT")],
)
def test_a_misspelt_variable_is_told_the_nearest(misspelt, nearest):
    said = p2p("status", environment={misspelt: "1"})
    assert (said.code, said.error) == (2, f"error: {misspelt} is no setting; did you mean {nearest}?\n")


@pytest.mark.parametrize("name", ["P2P_HTTP_PORT", "P2P_SERVICE_PORT"])
def test_the_gateways_port_has_two_names(name):
    said = p2p("up", "--replicas", "nobody=1", environment={name: "none"})
    assert (said.code, "Invalid value for '--http-port'" in said.error) == (2, True)


def test_stop_is_another_word_for_down(tmp_path):
    assert p2p("stop", "--data-dir", tmp_path) == p2p("down", "--data-dir", tmp_path)


def test_an_address_without_http_is_told_so():
    said = p2p("demo", "--url", "127.0.0.1:8001")
    assert said.code == 2
    assert "did you mean http://127.0.0.1:8001?" in said.error


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ((), LOG.splitlines()),
        (("zone_manager",), LOG.splitlines()[1:3]),
        (("zone-manager-2",), LOG.splitlines()[2:3]),
        (("nats", "--lines", "0"), []),
        (("-n", "1"), LOG.splitlines()[-1:]),
    ],
)
def test_logs_are_shown_of_all_or_of_one(tmp_path, words, shown):
    (tmp_path / "suite.log").write_text(LOG)
    assert p2p("logs", "--data-dir", tmp_path, *words).out.splitlines() == shown


def test_logs_of_nobody_and_of_nothing_are_one_line(tmp_path):
    assert "nobody is called 'mongo'" in p2p("logs", "mongo", "--data-dir", tmp_path).error
    none = p2p("logs", "--data-dir", tmp_path)
    assert (none.code, none.error.count("\n")) == (1, 1)
    assert "suite.log: No such file or directory" in none.error


def test_logs_are_followed_into_the_next_suite(tmp_path):
    log = tmp_path / "suite.log"
    log.write_text(LOG)
    terminal = Terminal("logs", "--data-dir", tmp_path, "--follow", "zone_manager", width=80)
    try:
        terminal.until("| two")
        with log.open("a") as more:
            more.write("nats                 | not this\nzone_manager-1       | fo")
            more.flush()
            more.write("ur\n")
        terminal.until("| four")
        log.write_text("zone_manager-1       | anew\n")
        terminal.until("| anew")
        assert "not this" not in terminal.shown
        terminal.interrupt()
        assert terminal.ended() == 0
    finally:
        terminal.leave()
