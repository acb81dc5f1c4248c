"""Streams are declared in one place, by whoever comes first, and by the next release again."""

import asyncio

from chassis.bus import connect_bus
from chassis.streams import declare_streams
from contracts.streams import ALL, EVENTS
from testkit.patience import patient


async def names(bus) -> set[str | None]:
    return {stream.config.name for stream in await bus.client.jsm(timeout=patient(5)).streams_info()}


async def test_all_streams_are_there_after_many_declared_them_at_once(nats_url):
    async with connect_bus(nats_url, "one") as one, connect_bus(nats_url, "two") as two:
        await asyncio.gather(*(declare_streams(bus) for bus in (one, two, one, two)))
        assert await names(one) == {stream.name for stream in ALL}


async def test_settings_that_changed_are_brought_up_to_date_and_messages_kept(bus):
    streams = bus.client.jsm(timeout=patient(5))
    present = (await streams.stream_info(EVENTS.name)).config
    await streams.update_stream(present.evolve(max_age=3600, subjects=["p2p.events.hosts.>"]))
    await bus.client.jetstream(timeout=patient(5)).publish("p2p.events.hosts.a.moved", b"{}")
    await declare_streams(bus)
    after = await streams.stream_info(EVENTS.name)
    assert after.config.max_age == 7 * 24 * 3600
    assert set(after.config.subjects or ()) == set(EVENTS.subjects)
    assert after.state.messages == 1


async def test_what_an_operator_set_beside_ours_is_left_alone(bus):
    streams = bus.client.jsm(timeout=patient(5))
    present = (await streams.stream_info(EVENTS.name)).config
    await streams.update_stream(present.evolve(max_bytes=10_000_000, max_age=3600))
    await declare_streams(bus)
    assert (await streams.stream_info(EVENTS.name)).config.max_bytes == 10_000_000
