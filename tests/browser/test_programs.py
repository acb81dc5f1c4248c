"""The SDK's example programs beside the whole suite, over NATS and REST alone."""

import json

import nats
import pytest
from testkit.clients import http_client
from testkit.eventually import eventually
from testkit.patience import patient, within

from libs.sdk.tests.aiortc_player import aiortc_player
from libs.sdk.tests.test_examples import running


@pytest.fixture
async def api(suite):
    async with http_client(base_url=f"{suite.gateways[0]}/api/v1") as client:
        yield client


@pytest.fixture
async def forgotten_after(api):
    """Hosts whose names a test puts in here are unregistered when it is over."""
    names: list[str] = []
    yield names
    for name in names:
        await api.delete(f"/hosts/{name}")


async def test_a_game_server_keeps_its_host_alive_and_hears_who_plays(suite, api, capsys, forgotten_after):
    forgotten_after.append("central-1")
    async with running("game_server", suite.nats):
        await eventually(lambda: "registered" in capsys.readouterr().out)

        async def beaten():
            host = (await api.get("/hosts/central-1")).json()
            return host["latency_ms"] == 2 and host["status"] == "online"

        await eventually(beaten)
        created = await api.post("/sessions/", json={"zone_id": "payon", "host_id": "central-1", "player_ids": ["eve"]})
        assert created.status_code == 201
        await eventually(lambda: "created payon eve" in capsys.readouterr().out)


async def test_what_an_ai_server_says_of_its_npcs_is_kept(suite):
    client = await nats.connect(suite.nats)

    async def kept(subject):
        return json.loads((await client.jetstream(timeout=patient(5)).get_last_msg("NPC", subject)).data or b"")

    async def walked():
        try:
            return (await kept("p2p.npc.prontera.guard"))["y"] == 200
        except nats.js.errors.NotFoundError:
            return False

    async with running("ai_server", suite.nats):
        await eventually(walked)
        assert (await kept("p2p.environment.prontera"))["weather"] == "rain"
    await client.close()


async def test_a_zone_host_moves_its_players(suite, api, forgotten_after):
    forgotten_after.append("zone-host")
    async with running("zone_host", suite.gateways[1]), aiortc_player(suite.gateways[0], "finn") as finn:

        async def connected():
            host = await api.get("/hosts/zone-host")
            return host.status_code == 200 and host.json()["connected"]

        await eventually(connected)
        (await finn.enter("geffen")).send(json.dumps({"x": 1, "y": 2}))
        async with within(10):
            while json.loads(await finn.heard.get())["places"] != {"finn": [1, 2]}:
                pass
