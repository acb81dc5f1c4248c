"""nats-server itself takes our tokens, and lets each user do what its role's grant says."""

import asyncio
import stat
import time
from datetime import timedelta
from pathlib import Path

import pytest
from embedded.errors import EmbeddedError
from embedded.nats_accounts import Accounts
from embedded.nats_jwt import Key, Kind, credentials, token
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError
from testkit.eventually import eventually
from testkit.nats_accounts import guarded_nats
from testkit.patience import patient


@pytest.fixture
async def server(tmp_path):
    async with guarded_nats(tmp_path) as server:
        yield server


@pytest.fixture
def accounts(tmp_path):
    return Accounts(tmp_path / "secrets")


class NotingClient(Client):
    def __init__(self):
        super().__init__()
        self.refused = []

    async def note(self, error):
        self.refused.append(str(error))


@pytest.fixture
async def connected(server, tmp_path):
    """Connect with the text of a credentials file; the client notes what it is refused."""
    clients = []

    async def connect(text, name="user"):
        path = tmp_path / f"{name}.creds"
        path.write_text(text)
        client = NotingClient()
        clients.append(client)
        await client.connect(
            server.url,
            user_credentials=str(path) if text else None,
            inbox_prefix=f"_INBOX_{name}",
            error_cb=client.note,
            allow_reconnect=False,
        )
        return client

    yield connect
    for client in clients:
        await client.close()


async def publish(client, subject):
    """Publish and give back what the server said to it."""
    client.refused.clear()
    await client.publish(subject, b"{}")
    for _ in range(2):  # nats-py sends the first PING ahead of what it has buffered
        await client.flush()
    return list(client.refused)


@pytest.mark.servers
async def test_an_ai_server_speaks_of_its_own_zones_alone(accounts, connected):
    client = await connected(accounts.issue("ai-1", "ai", ["prontera", "gef.Fild 07"]), "ai-1")
    assert await publish(client, "p2p.npc.prontera.cat") == []
    assert await publish(client, "p2p.npc.gef%2EFild%2007.cat") == []
    assert await publish(client, "p2p.environment.prontera") == []
    assert "permissions violation" in (await publish(client, "p2p.npc.geffen.cat"))[0]
    assert "permissions violation" in (await publish(client, "p2p.events.zones.prontera.changed"))[0]


@pytest.mark.servers
async def test_without_named_zones_it_speaks_of_all(accounts, connected):
    client = await connected(accounts.issue("ai-1", "ai"), "ai-1")
    assert await publish(client, "p2p.npc.prontera.cat") == []
    assert await publish(client, "p2p.npc.geffen.cat") == []


@pytest.mark.servers
async def test_who_answers_may_answer_whoever_asks_and_nobody_else(accounts, connected):
    registry = await connected(accounts.issue("host_registry", "host_registry"), "host_registry")
    game = await connected(accounts.issue("game-1", "game"), "game-1")

    async def answer(msg):
        await msg.respond(b"here")

    await registry.subscribe("p2p.hosts.get", cb=answer)
    await registry.flush()

    async def answered() -> bool:
        try:
            return (await game.request("p2p.hosts.get", b"{}", timeout=patient(5))).data == b"here"
        except NoRespondersError:  # the two accounts learn of each other's users side by side
            return False

    await eventually(answered)
    assert "permissions violation" in (await publish(registry, "_INBOX_game-1.made-up"))[0]


@pytest.mark.servers
async def test_nobody_gets_in_without_credentials(connected):
    with pytest.raises(NatsError, match="Authorization Violation"):
        await connected("")


@pytest.mark.servers
async def test_nor_with_those_of_another_operator(tmp_path, connected):
    strange = Accounts(tmp_path / "elsewhere").issue("game-1", "game")
    with pytest.raises(NatsError, match="Authorization Violation"):
        await connected(strange)


@pytest.mark.servers
async def test_nor_with_credentials_that_have_expired(accounts, connected):
    with pytest.raises(NatsError, match="Authorization Violation"):
        await connected(accounts.issue("late", "game", lifetime=timedelta(seconds=-1)))


@pytest.mark.servers
async def test_who_is_revoked_is_cut_off_and_the_others_stay(accounts, server, connected):
    gone = await connected(accounts.issue("game-1", "game"), "game-1")
    stays = await connected(accounts.issue("game-2", "game"), "game-2")
    server.revoke("game-1")
    await eventually(lambda: gone.is_closed)
    await stays.flush()
    renewed = await connected(accounts.issue("game-1", "game"), "game-1")
    await renewed.flush()


@pytest.mark.servers
async def test_a_role_s_key_vouches_for_no_more_than_its_role(accounts, connected):
    book, crook = accounts._book(), Key.made(Kind.USER)
    wish = {"type": "user", "version": 2, "issuer_account": Key(book.account).public, "pub": {"allow": [">"]}}
    forged = token(Key(book.roles["ai"]), crook.public, "crook", wish, issued_at=int(time.time()))
    with pytest.raises(NatsError, match="Authorization Violation"):
        await connected(credentials(forged, crook))


def test_what_is_made_is_kept_and_closed_to_others(tmp_path, accounts):
    accounts.configure()
    path = accounts.credentials_of("scheduler", "scheduler")
    text = path.read_text()
    again = Accounts(tmp_path / "secrets")
    assert again.credentials_of("scheduler", "scheduler").read_text() == text
    assert stat.S_IMODE(accounts.directory.stat().st_mode) == 0o700
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in accounts.directory.glob("*.*")}
    assert set(modes.values()) == {0o600}, modes


@pytest.mark.parametrize("lose", [Path.unlink, lambda file: file.write_text("")], ids=["gone", "empty"])
def test_credentials_that_were_lost_are_revoked_and_made_anew(accounts, lose):
    lose(accounts.credentials_of("scheduler", "scheduler"))
    assert accounts.credentials_of("scheduler", "scheduler").read_text()
    assert [user.revoked_at is None for user in accounts.users] == [False, True]


@pytest.mark.parametrize(
    "name, role, zones, words",
    [
        ("a.b", "game", [], "no user's name"),
        ("", "game", [], "no user's name"),
        ("twice", "game", [], "already"),
        ("game-1", "game", ["prontera"], "not bound to zones"),
        ("ai-1", "ai", ["a/b"], "can be no zone"),
    ],
)
def test_a_wish_that_cannot_be_met_is_refused_in_words(accounts, name, role, zones, words):
    accounts.issue("twice", "game")
    with pytest.raises(EmbeddedError, match=words):
        accounts.issue(name, role, zones)


@pytest.mark.parametrize("book", [b"", b"\xff\xfe", b"{", b"[]", b"null", b"{}", b"[" * 100_000])
def test_a_book_that_cannot_be_understood_is_said_so_and_kept(accounts, book):
    file = accounts.directory / "accounts.json"
    file.write_bytes(book)
    with pytest.raises(EmbeddedError, match=r"accounts\.json cannot be understood; put it back"):
        Accounts(accounts.directory)
    assert file.read_bytes() == book


def test_who_has_no_credentials_has_none_to_revoke(accounts):
    with pytest.raises(EmbeddedError, match="p2p keys list"):
        accounts.revoke("nobody")


async def test_two_at_once_both_get_theirs(accounts):
    await asyncio.gather(*(asyncio.to_thread(accounts.issue, f"game-{n}", "game") for n in range(8)))
    assert {user.name for user in accounts.users} == {f"game-{n}" for n in range(8)}
