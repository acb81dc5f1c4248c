"""A host counts its checkpoints on from the one that it began with, and hears when it is no longer the host."""

import asyncio

import pytest
from contracts.frames import SessionAssigned
from contracts.refusals import Code, Refusal
from sdk import NotAssignedError, RefusedError, StaleEpochError
from sdk.checkpoints import Checkpoints
from testkit.eventually import eventually


class FakeRegistration:
    """Keeps what it is sent; refuses once with what it was told to."""

    def __init__(self):
        self.kept = {}
        self.sent = []
        self.refusal = None
        self.carried = 0

    async def carry(self, method, path, data, _patience, headers=None):
        self.sent.append((method, path))
        await asyncio.sleep(0)
        if self.refusal is not None:
            refusal, self.refusal = self.refusal, None
            raise RefusedError(refusal)
        about = {"P2p-Sequence": str(self.kept.get("sequence", 0)), "ETag": str(self.kept.get("data"))}
        if headers is not None and headers["If-None-Match"] == about["ETag"]:
            return b"", about
        self.carried += 1
        return self.kept.get("data", b""), about


@pytest.fixture
def registration():
    return FakeRegistration()


@pytest.fixture
def checkpoints(registration):
    return Checkpoints(registration, {"s": SessionAssigned(session_id="s", zone_id="z", epoch=4, players=())})


async def test_the_sequence_goes_on_from_what_was_loaded(checkpoints, registration):
    registration.kept = {"data": b"state", "sequence": 41}
    assert await checkpoints.load("s") == b"state"
    await asyncio.gather(checkpoints.save("s", b"a"), checkpoints.save("s", b"b"))
    assert registration.sent[1:] == [
        ("PUT", "/sessions/s/checkpoint?epoch=4&sequence=42"),
        ("PUT", "/sessions/s/checkpoint?epoch=4&sequence=43"),
    ]


async def test_where_the_bytes_are_lost_it_goes_on_all_the_same(checkpoints, registration):
    registration.refusal = Refusal(code=Code.CHECKPOINT_NOT_FOUND, detail="Lost.", fields={"sequence": 7})
    assert await checkpoints.load("s") is None
    await checkpoints.save("s", b"a")
    assert registration.sent[-1] == ("PUT", "/sessions/s/checkpoint?epoch=4&sequence=8")


async def test_a_host_that_was_replaced_hears_by_whom(checkpoints, registration):
    registration.refusal = Refusal(code=Code.STALE_EPOCH, detail="No.", fields={"host_id": "other", "epoch": 5})
    with pytest.raises(StaleEpochError) as stale:
        await checkpoints.save("s", b"a")
    assert (stale.value.host_id, stale.value.epoch, stale.value.code) == ("other", 5, Code.STALE_EPOCH)


async def test_what_is_not_served_here_is_not_stored(checkpoints, registration):
    with pytest.raises(NotAssignedError):
        await checkpoints.save("another", b"a")
    assert registration.sent == []


async def test_a_host_that_stood_by_has_the_newest_state_already(registration):
    sessions: dict[str, SessionAssigned] = {}
    checkpoints = Checkpoints(registration, sessions)
    registration.kept = {"data": b"at first", "sequence": 1}
    ahead = asyncio.create_task(checkpoints.load_ahead("s"))
    await eventually(lambda: registration.carried)
    sessions["s"] = SessionAssigned(session_id="s", zone_id="z", epoch=2, players=())
    ahead.cancel()
    assert await checkpoints.load("s") == b"at first"
    assert registration.carried == 1
    registration.kept = {"data": b"then", "sequence": 2}
    assert await checkpoints.load("s") == b"then"
    await checkpoints.save("s", b"a")
    assert registration.sent[-1] == ("PUT", "/sessions/s/checkpoint?epoch=2&sequence=3")
