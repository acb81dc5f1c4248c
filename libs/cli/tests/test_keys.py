"""`p2p keys` and `p2p nats configure`, as whoever runs a suite elsewhere uses them: no server is needed."""

import json
import shutil
import stat
import subprocess
import sysconfig
from pathlib import Path

import pytest
from cli.rotating import steps
from contracts.credentials import user_of
from contracts.grants import PROCESSES
from embedded.private import private_directory
from embedded.secrets import MOST_OF_BEFORE, SigningKeys, secrets_directory

from libs.cli.tests import terminal

DEPLOYED = Path(__file__).parents[3] / "deploy" / "nats" / "nats.conf"


@pytest.fixture
def p2p(tmp_path):
    def run(*words):
        return terminal.p2p(*words, directory=tmp_path)

    return run


@pytest.fixture
def accounts(p2p, tmp_path):
    assert p2p("nats", "configure", "--out", "accounts").code == 0
    return tmp_path / "accounts"


@pytest.fixture
def keys(p2p, accounts):
    return lambda *words: p2p("keys", *words, "--accounts", accounts)


def listed(keys):
    return {user["name"]: user for user in json.loads(keys("list", "--nats", "--json").out)}


def test_configuring_gives_each_service_credentials_of_its_own(accounts):
    names = {path.stem: user_of(path.read_text()) for path in accounts.glob("*.creds")}
    assert names == {name: name for name in (*(grant.name for grant in PROCESSES), "operator")}
    assert {stat.S_IMODE(path.stat().st_mode) for path in accounts.iterdir()} == {0o600}
    assert stat.S_IMODE(accounts.stat().st_mode) == 0o700


def test_configuring_again_keeps_what_was_given(p2p, accounts):
    before = {path.name: path.read_text() for path in accounts.glob("*.creds")}
    printed = p2p("nats", "configure", "--out", accounts).out.split()
    assert {path.name: path.read_text() for path in accounts.glob("*.creds")} == before
    assert {Path(path).name for path in printed} == {*before, "accounts.conf"}


def test_a_server_takes_the_configuration_that_we_deploy(accounts):
    shutil.copy(DEPLOYED, accounts)
    server = Path(sysconfig.get_path("scripts"), "nats-server")
    checked = subprocess.run([server, "-t", "-c", accounts / "nats.conf"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_a_new_key_is_a_private_file_and_its_path_is_all_that_is_printed(keys, tmp_path):
    made = keys(
        "create", "--role", "ai", "--zone", "prontera", "--zone", "1@tower", "--name", "ai-1", "--nats", "a.creds"
    )
    assert made.out == "a.creds\n"
    assert user_of((tmp_path / "a.creds").read_text()) == "ai-1"
    assert stat.S_IMODE((tmp_path / "a.creds").stat().st_mode) == 0o600
    assert listed(keys)["ai-1"]["zones"] == ["prontera", "1@tower"]


def test_a_name_is_found_for_who_gives_none(keys, tmp_path):
    assert keys("create", "--role", "game", "--nats", "g.creds").code == 0
    assert user_of((tmp_path / "g.creds").read_text()).startswith("game-")


def test_a_revoked_key_stays_in_the_list_and_its_name_is_free(keys):
    keys("create", "--role", "game", "--name", "game-1", "--nats", "one.creds")
    assert "game-1 is revoked" in keys("revoke", "game-1", "--nats").out
    assert listed(keys)["game-1"]["revoked_at"] is not None
    assert "revoked" in keys("list", "--nats").out
    assert keys("create", "--role", "game", "--name", "game-1", "--nats", "two.creds").code == 0


@pytest.mark.parametrize(
    "words, reason",
    [
        (("create", "--role", "game", "--nats", "there.creds"), "there already"),
        (("create", "--role", "game", "--nats", "nowhere/x.creds"), "nowhere"),
        (("create", "--role", "game", "--zone", "prontera", "--nats", "x.creds"), "not bound to zones"),
        (("create", "--role", "game", "--name", "a.b", "--nats", "x.creds"), "no user's name"),
        (("revoke", "nobody", "--nats"), "p2p keys list --nats"),
    ],
)
def test_what_can_t_be_done_is_said_in_one_line_and_leaves_nothing(keys, tmp_path, words, reason):
    (tmp_path / "there.creds").write_text("somebody's")
    before = listed(keys)
    refused = keys(*words)
    assert refused.code != 0
    assert reason in refused.error.splitlines()[-1]
    assert "Traceback" not in refused.error
    assert listed(keys) == before
    assert not (tmp_path / "x.creds").exists()
    assert (tmp_path / "there.creds").read_text() == "somebody's"


def test_where_there_are_no_accounts_it_says_how_to_make_them(p2p, tmp_path):
    refused = p2p("keys", "create", "--role", "game", "--nats", "x.creds", "--data-dir", "data")
    assert "p2p up --mode enforced --data-dir data" in refused.error
    assert not (tmp_path / "x.creds").exists()


def test_another_signing_key_waits_for_the_next_start_where_nothing_runs(p2p, tmp_path):
    secrets = private_directory(secrets_directory(tmp_path / "data"))
    before = SigningKeys.kept_in(tmp_path / "data")

    said = p2p("keys", "rotate", "--data-dir", "data")

    assert (said.code, said.error) == (0, "")
    assert "those of before hold until they end; it signs from the next start" in said.out
    after = SigningKeys.kept_in(tmp_path / "data")
    assert after.present not in {before.present, said.out}
    assert after.others == (before.present,)
    assert {stat.S_IMODE(file.stat().st_mode) for file in secrets.iterdir()} == {0o600}
    for _ in range(MOST_OF_BEFORE):
        p2p("keys", "rotate", "--data-dir", "data")
    assert before.present not in SigningKeys.kept_in(tmp_path / "data").others
    assert p2p("keys", "rotate", "--leaked", "--data-dir", "data").code == 0
    assert SigningKeys.kept_in(tmp_path / "data").others == ()


@pytest.mark.parametrize(
    ("gateways", "leaked", "told"),
    [
        (0, False, [("new", ("old", "older"))]),
        (1, False, [("new", ("old", "older"))]),
        (2, False, [("old", ("new", "older")), ("new", ("old", "older"))]),
        (2, True, [("new", ())]),
    ],
)
def test_each_of_several_gateways_knows_the_key_before_one_signs_with_it(gateways, leaked, told):
    keys = steps(SigningKeys("old", ("older",)), "new", gateways, leaked=leaked)
    assert [(each.present, each.others) for each in keys] == told


def test_where_nothing_signs_there_is_no_key_to_rotate(p2p, tmp_path):
    said = p2p("keys", "rotate", "--data-dir", "data")
    assert (said.code, said.out) == (1, "")
    assert "no suite in enforced mode was started there" in said.error
    assert not (tmp_path / "data").exists()
