"""Keys that only they change who know the present revision: the same claims on the fake and on NATS."""

import pytest
from chassis.bus import Bus
from chassis.refusals import UnavailableError
from scheduler.bucket import ABSENT, Bucket, Entry, MovedError
from scheduler.leadership import Keys
from testkit.eventually import eventually
from testkit.patience import patient
from testkit.servers import TestServer

from services.scheduler.tests.fakes import BucketInMemory


@pytest.fixture(params=["fake", "nats"])
def keys(request: pytest.FixtureRequest) -> Keys:
    return BucketInMemory() if request.param == "fake" else Bucket(request.getfixturevalue("bus"))


async def test_a_key_that_was_never_written_is_not_there(keys: Keys):
    assert await keys.get("lease") is None


async def test_what_was_written_is_read_with_its_revision(keys: Keys):
    revision = await keys.put("lease", b"mine", after=ABSENT)
    assert await keys.get("lease") == Entry(b"mine", revision)


async def test_each_write_has_a_higher_revision_than_any_before_it(keys: Keys):
    first = await keys.put("lease", b"mine", after=ABSENT)
    other = await keys.put("ticked", b"noon", after=ABSENT)
    second = await keys.put("lease", b"still mine", after=first)
    assert first < other < second


async def test_two_who_make_a_key_at_once_are_one_who_made_it(keys: Keys):
    await keys.put("lease", b"mine", after=ABSENT)
    with pytest.raises(MovedError):
        await keys.put("lease", b"yours", after=ABSENT)


async def test_a_write_after_an_old_revision_changes_nothing(keys: Keys):
    old = await keys.put("lease", b"mine", after=ABSENT)
    new = await keys.put("lease", b"yours", after=old)
    with pytest.raises(MovedError):
        await keys.put("lease", b"mine again", after=old)
    assert await keys.get("lease") == Entry(b"yours", new)


async def test_a_key_deleted_by_hand_can_be_written_again(bus: Bus):
    keys = Bucket(bus)
    await keys.put("lease", b"mine", after=ABSENT)
    await (await bus.client.jetstream(timeout=patient(5)).key_value("scheduler")).delete("lease")
    assert await keys.get("lease") is None
    revision = await keys.put("lease", b"mine", after=ABSENT)
    assert await keys.get("lease") == Entry(b"mine", revision)


async def test_a_bucket_deleted_by_hand_is_made_again(bus: Bus):
    keys = Bucket(bus)
    await keys.put("lease", b"mine", after=ABSENT)
    await bus.client.jetstream(timeout=patient(5)).delete_key_value("scheduler")
    with pytest.raises(UnavailableError):
        await keys.put("lease", b"mine", after=ABSENT)
    revision = await keys.put("lease", b"mine", after=ABSENT)
    assert await keys.get("lease") == Entry(b"mine", revision)


async def test_a_bucket_that_whoever_runs_nats_has_changed_is_used_as_it_is(bus: Bus):
    revision = await Bucket(bus).put("lease", b"mine", after=ABSENT)
    streams = bus.client.jsm(timeout=patient(5))
    present = (await streams.stream_info("KV_scheduler")).config
    await streams.update_stream(present.evolve(description="On other disks."))
    assert await Bucket(bus).get("lease") == Entry(b"mine", revision)


async def test_without_nats_it_says_so_and_comes_back_with_what_was_written(bus: Bus, nats_server: TestServer):
    keys = Bucket(bus)
    revision = await keys.put("lease", b"mine", after=ABSENT)
    await nats_server.stop()
    await eventually(lambda: not bus.connected)
    with pytest.raises(UnavailableError):
        await keys.put("lease", b"late", after=revision)
    await nats_server.start()
    await eventually(lambda: bus.connected)
    assert await keys.get("lease") == Entry(b"mine", revision)
