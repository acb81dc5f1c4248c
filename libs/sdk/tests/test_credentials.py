"""A program of somebody else enters NATS with its credentials file, or is told what is wrong with it."""

from datetime import timedelta

import pytest
from contracts.hosts import Heartbeat
from contracts.npcs import NpcState
from contracts.streams import NPC
from nats.js.api import StreamConfig
from sdk import AiServer, CredentialsError, GameServer
from sdk.nats_link import nats_link
from testkit.nats_accounts import guarded_nats
from testkit.patience import patient, within

pytestmark = pytest.mark.servers


@pytest.fixture
async def nats(tmp_path):
    async with guarded_nats(tmp_path) as nats:
        yield nats


async def test_a_game_server_beats_and_an_ai_server_s_word_is_stored(nats, monkeypatch):
    async with nats_link(nats.url, "operator", nats.issue("operator", "operator")) as operator:
        stream = StreamConfig(name=NPC.name, subjects=[*NPC.subjects])
        await operator.client.jetstream(timeout=patient(5)).add_stream(stream)
        async with operator.hearing("p2p.heartbeat.central") as beats:
            async with GameServer(nats.url, credentials=nats.issue("game-1", "game")) as game:
                await game.heartbeat("central", Heartbeat(latency_ms=2))
            assert b"latency_ms" in (await anext(beats)).data
        monkeypatch.setenv("NATS_CREDS", str(nats.issue("ai-1", "ai")))
        async with AiServer(nats.url) as ai:
            await ai.publish("prontera", NpcState(npc_id="guard"))
        assert (await operator.client.jetstream(timeout=patient(5)).stream_info(NPC.name)).state.messages == 1


async def test_a_file_that_is_no_good_is_told_with_what_to_do(nats, tmp_path):
    (tmp_path / "empty.creds").touch()
    expired = nats.issue("game-1", "game", lifetime=-timedelta(seconds=1))
    for file, cause in ((tmp_path / "none.creds", "No such file"), (tmp_path / "empty.creds", "no user JWT")):
        with pytest.raises(CredentialsError, match=cause):
            await _enter(nats.url, file)
    with pytest.raises(CredentialsError, match="p2p keys create"):
        await _enter(nats.url, expired)
    with pytest.raises(CredentialsError, match="without credentials"):
        await _enter(nats.url, None)


async def _enter(url, credentials):
    async with within(5), GameServer(url, credentials=credentials):
        pass
