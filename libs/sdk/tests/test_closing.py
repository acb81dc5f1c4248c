"""What is closed is closed once, and whoever closes comes to an end, at whatever step they were cancelled."""

import asyncio
from contextlib import suppress

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection
from sdk import closing
from sdk.closing import Closing

MORE_STEPS_THAN_A_CLOSE_HAS = 1000


async def connected_pair():
    ours, theirs = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
    opened = asyncio.Event()
    ours.createDataChannel("game").on("open", opened.set)
    await ours.setLocalDescription(await ours.createOffer())
    await theirs.setRemoteDescription(ours.localDescription)
    await theirs.setLocalDescription(await theirs.createAnswer())
    await ours.setRemoteDescription(theirs.localDescription)
    await opened.wait()
    return ours, theirs


async def as_a_player_closes(closing):
    """Close, and close again at the very end, as a player's `run` does; say so where that end came by itself."""
    try:
        await closing.finish()
    finally:
        await closing.finish()
    return "closed"


async def cancelled_at(step, closing):
    """Cancel it at that step of the loop; give what came of it."""
    task = asyncio.create_task(as_a_player_closes(closing))
    for _ in range(step):
        await asyncio.sleep(0)
        if task.done():
            break
    task.cancel()
    with suppress(asyncio.CancelledError):
        return await task
    return "cancelled"


async def test_it_ends_at_whatever_step_it_is_cancelled():
    seen = []
    for step in range(MORE_STEPS_THAN_A_CLOSE_HAS):
        ours, theirs = await connected_pair()
        seen.append(await cancelled_at(step, Closing(ours)))
        await Closing(theirs).finish()
        if seen[-1] == "closed":
            break
        # The first is cancelled before it begins.
        assert step == 0 or ours.connectionState == "closed"
    assert seen[-1] == "closed"
    assert len(seen) > 3  # it was cancelled inside, too


async def test_a_cancellation_is_heard_of_when_it_is_closed():
    ours, theirs = await connected_pair()
    ending = Closing(ours)
    task = asyncio.create_task(ending.finish())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ours.connectionState == "closed"
    await Closing(theirs).finish()


async def test_a_close_that_never_ends_is_given_up(monkeypatch):
    class Stuck:
        async def close(self):
            await asyncio.Event().wait()

    monkeypatch.setattr(closing, "CLOSE_WITHIN_S", 0.01)
    ending = Closing(Stuck())
    await ending.finish()
    await ending.finish()


async def test_two_who_close_at_once_close_once():
    class Counting:
        closed = 0

        async def close(self):
            self.closed += 1
            await asyncio.sleep(0)

    peer = Counting()
    ending = Closing(peer)
    await asyncio.gather(ending.finish(), ending.finish())
    assert peer.closed == 1
