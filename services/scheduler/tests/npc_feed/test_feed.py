"""The feed on real NATS: what AI servers publish reaches whoever hears a zone's feed."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from chassis.bus import Bus
from chassis.clock import SystemClock
from chassis.responder import NotOursError
from contracts.jobs import JobName
from contracts.npcs import SOURCE, FeedTotals, ListFeeds, NpcFeed, Source
from nats.aio.msg import Msg
from prometheus_client import REGISTRY
from scheduler.calendar import Tick
from scheduler.npc_feed.feed import Feed
from scheduler.npc_feed.played import PlayedZone
from scheduler.npc_feed.standing import Standings
from testkit.eventually import eventually
from testkit.patience import patient, within

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)

GUARD = b'{"npc_id": "guard", "x": 1, "agent_id": "agent-7"}'
URGENT = b'{"npc_id": "guard", "x": 2, "urgent": true}'


class Leading:
    """Leads under whatever term a test says."""

    def __init__(self, term: int | None) -> None:
        self.term = term


class Played:
    """Zones in memory."""

    def __init__(self, *zone_ids: str) -> None:
        self.zone_ids = zone_ids

    async def now(self) -> dict[str, PlayedZone]:
        return {zone_id: PlayedZone(zone_id, None, 300.0) for zone_id in self.zone_ids}


def a_feed(bus: Bus, leading: Leading, *zone_ids: str) -> Feed:
    a_minute = timedelta(minutes=1)
    played = Played(*zone_ids or ("prontera",))
    return Feed(bus, leading, played, SystemClock(), every=a_minute, full_every=a_minute, forgotten_after=a_minute)


@pytest.fixture
async def heard(bus: Bus) -> AsyncIterator[list[NpcFeed]]:
    messages: list[NpcFeed] = []

    async def hear(msg: Msg) -> None:
        messages.append(NpcFeed.model_validate_json(msg.data))

    subscription = await bus.subscribe("p2p.feed.prontera", hear)
    yield messages
    await subscription.unsubscribe()


async def test_a_new_leader_begins_full_with_what_was_said_before_and_a_higher_number(bus: Bus, heard: list[NpcFeed]):
    await bus.client.jetstream(timeout=patient(5)).publish("p2p.npc.prontera.guard", GUARD)
    await a_feed(bus, Leading(7)).round()
    await eventually(lambda: heard, of="the first leader's feed")
    known = len(heard)
    await a_feed(bus, Leading(8)).round()
    await eventually(lambda: len(heard) > known, of="the second leader's feed")
    assert heard[0].full
    assert heard[known].full
    assert heard[known].seq > heard[known - 1].seq
    assert [npc.x for npc in heard[known].npcs] == [1]


async def test_an_urgent_change_is_told_at_once(bus: Bus, heard: list[NpcFeed]):
    feed = a_feed(bus, Leading(7))
    await feed.round()
    await bus.client.publish("p2p.npc.prontera.guard", URGENT)
    await eventually(lambda: any(npc.x == 2 for message in heard for npc in message.npcs), of="the urgent change")


async def test_whoever_wants_it_gets_everything(bus: Bus, heard: list[NpcFeed]):
    feed = a_feed(bus, Leading(7))
    await feed.round()
    subscription = await bus.subscribe("p2p.feed.*.wanted", feed.wanted)
    known = len(heard)
    await bus.publish("p2p.feed.prontera.wanted", b"{}")
    await eventually(lambda: any(message.full for message in heard[known:]), of="a full message")
    await subscription.unsubscribe()


async def test_who_wants_it_before_it_is_recalled_gets_it_whole(bus: Bus, heard: list[NpcFeed]):
    await bus.client.jetstream(timeout=patient(5)).publish("p2p.npc.prontera.guard", GUARD)
    feed = a_feed(bus, Leading(7))
    beginning = asyncio.create_task(feed.round())
    while not beginning.done():
        await feed.wanted(Msg(bus.client, subject="p2p.feed.prontera.wanted"))
        await asyncio.sleep(0)
    await beginning
    await eventually(lambda: heard, of="the feed")
    assert heard[0].full
    assert [npc.npc_id for npc in heard[0].npcs] == ["guard"]


async def test_a_leader_deposed_since_tells_nothing(bus: Bus, heard: list[NpcFeed]):
    leading = Leading(7)
    feed = a_feed(bus, leading)
    await feed.round()
    await bus.settle()
    await eventually(lambda: heard, of="the feed while it led")
    known = len(heard)
    leading.term = None
    await bus.publish("p2p.npc.prontera.guard", URGENT)
    await bus.settle()
    await feed.round()
    await bus.settle()
    assert len(heard) == known


async def test_a_leader_that_renews_late_goes_on_where_it_was_and_has_missed_nothing(bus: Bus, heard: list[NpcFeed]):
    leading = Leading(7)
    feed = a_feed(bus, leading)
    await feed.round()
    await eventually(lambda: heard, of="the feed while it led")
    leading.term = None
    await feed.round()
    await bus.publish("p2p.npc.prontera.guard", GUARD)
    await bus.settle()
    await feed.round()
    known = len(heard)
    leading.term = 7
    await bus.publish("p2p.npc.prontera.smith", b'{"npc_id": "smith", "x": 3, "urgent": true}')
    await eventually(lambda: told_of(heard) == {"guard": 1, "smith": 3}, of="what was said meanwhile")
    assert heard[known].seq == heard[known - 1].seq + 1


async def test_a_term_that_comes_back_late_has_no_number_twice(
    bus: Bus, heard: list[NpcFeed], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("scheduler.npc_feed.feed.LET_GO_AFTER_S", 0.0)
    leading = Leading(7)
    feed = a_feed(bus, leading)
    await feed.round()
    await eventually(lambda: heard, of="the feed while it led")
    leading.term = None
    await feed.round()
    known = len(heard)
    leading.term = 7
    await feed.round()
    await eventually(lambda: len(heard) > known, of="the feed since it leads again")
    assert heard[known].full
    assert heard[known].seq > heard[known - 1].seq


async def test_how_a_feed_stands_is_told_by_its_leader_alone(bus: Bus, heard: list[NpcFeed]):
    leading = Leading(7)
    feed = a_feed(bus, leading, "prontera", "geffen", "alberta")
    standings = Standings(feed.zones, leading, SystemClock())
    await feed.round()
    await bus.publish("p2p.npc.prontera.guard", URGENT, headers={SOURCE: Source.REDIS})
    await bus.publish("p2p.npc.prontera.smith", b'{"npc_id": "smith", "urgent": true}')
    await eventually(lambda: told_of(heard).keys() == {"guard", "smith"}, of="both")

    page = await standings.listed(ListFeeds(worst_first=True))
    assert page.items[0].zone_id == "prontera", "of the others nobody spoke"
    assert page.totals == FeedTotals(zones=3, npcs=2, stale=0, gaps=0)
    standing = page.items[0]
    assert (standing.seq, standing.npcs, standing.stale) == (heard[-1].seq, 2, False)
    assert standing.sources.keys() == {Source.NATS, Source.REDIS}
    assert standing.heard_at is not None
    assert standing.told_at is not None

    first = await standings.listed(ListFeeds(limit=2))
    then = await standings.listed(ListFeeds(limit=2, cursor=first.next_cursor))
    assert [of.zone_id for of in (*first.items, *then.items)] == ["alberta", "geffen", "prontera"]
    assert then.next_cursor is None
    assert (await standings.listed(ListFeeds(zone_id="nowhere"))).items == ()
    leading.term = None
    with pytest.raises(NotOursError):
        await standings.listed(ListFeeds())


async def test_a_number_that_was_missed_counts_once_however_many_ask(bus: Bus, heard: list[NpcFeed]):
    leading = Leading(7)
    feed = a_feed(bus, leading)
    await feed.round()
    gaps = counted("p2p_npc_feed_gaps_total")
    for wish in (b"{}", b"?", b'{"seq": 7}', b'{"seq": 7}', b'{"seq": 9}'):
        await feed.wanted(Msg(bus.client, subject="p2p.feed.prontera.wanted", data=wish))
    (standing,) = (await Standings(feed.zones, leading, SystemClock()).listed(ListFeeds())).items
    assert standing.gaps == 2
    assert counted("p2p_npc_feed_gaps_total") - gaps == 2


async def test_words_of_each_source_are_counted_and_what_is_known_of_silence_is_shown(bus: Bus, heard: list[NpcFeed]):
    feed = a_feed(bus, Leading(7))
    await feed.round()
    before = {source: words_from(source) for source in Source}
    for npc_id, source in (("guard", Source.HTTP), ("smith", Source.HTTP), ("mage", Source.REDIS)):
        body = b'{"npc_id": "%s", "urgent": true}' % npc_id.encode()
        await bus.publish(f"p2p.npc.prontera.{npc_id}", body, headers={SOURCE: source})
    await eventually(lambda: len(told_of(heard)) == 3, of="all three")
    assert {source: words_from(source) - before[source] for source in Source} == {"nats": 0, "http": 2, "redis": 1}
    await feed.report(Tick(JobName.NPC_FEED, NOON))
    assert counted("p2p_npc_feed_npcs") == 3
    assert counted("p2p_npc_feed_zones_stale") == 0
    assert counted("p2p_npc_feed_silence_seconds") > 0


def words_from(source: Source) -> float:
    return REGISTRY.get_sample_value("p2p_npc_words_total", {"source": source}) or 0.0


def counted(name: str) -> float:
    return REGISTRY.get_sample_value(name) or 0.0


def told_of(heard: list[NpcFeed]) -> dict[str, float | None]:
    return {npc.npc_id: npc.x for message in heard for npc in message.npcs}


async def test_of_npcs_that_move_every_moment_the_newest_word_wins_and_the_rest_is_counted(
    bus: Bus, heard: list[NpcFeed]
):
    feed = a_feed(bus, Leading(7))
    await feed.round()
    overtaken = counted("p2p_npc_words_overtaken_total")
    for x in range(3000):
        for npc_id in ("guard", "smith"):
            await bus.publish(f"p2p.npc.prontera.{npc_id}", b'{"npc_id": "%s", "x": %d}' % (npc_id.encode(), x))
    await bus.publish("p2p.npc.prontera.guard", b'{"npc_id": "guard", "x": -1, "urgent": true}')
    await eventually(lambda: told_of(heard) == {"guard": -1, "smith": 2999}, of="where they are now")
    assert counted("p2p_npc_words_overtaken_total") - overtaken > 3000


async def test_a_flood_of_urgent_words_is_told_together_and_its_last_word_is_told(bus: Bus, heard: list[NpcFeed]):
    feed = a_feed(bus, Leading(7))
    await feed.round()
    for x in range(3000):
        await bus.publish("p2p.npc.prontera.guard", b'{"npc_id": "guard", "x": %d, "urgent": true}' % x)
    await eventually(lambda: told_of(heard) == {"guard": 2999}, of="its last word")
    assert len(heard) < 300


async def test_what_is_said_of_the_world_in_a_flood_is_told_as_it_was_said_last(bus: Bus, heard: list[NpcFeed]):
    feed = a_feed(bus, Leading(7))
    await feed.round()
    overtaken = counted("p2p_npc_words_overtaken_total")
    for number in range(1000):
        await bus.publish("p2p.environment.prontera", b'{"weather": "rain", "drops": %d}' % number)
    await bus.publish("p2p.npc.prontera.guard", URGENT)
    await bus.settle()

    async def the_last() -> bool:
        await feed.wanted(Msg(bus.client, subject="p2p.feed.prontera.wanted"))
        last = heard[-1].environment if heard else None
        return last is not None and last.model_extra == {"drops": 999}

    await eventually(the_last, of="the last drop")
    assert counted("p2p_npc_words_overtaken_total") - overtaken > 500


async def test_ten_megabytes_are_refused_and_one_is_no_word(bus: Bus, nats_url: str, heard: list[NpcFeed]):
    await a_feed(bus, Leading(7)).round()
    letters: asyncio.Queue[Msg] = asyncio.Queue()
    subscription = await bus.subscribe("p2p.dlq.npc", letters.put)
    host, _, port = nats_url.rpartition("/")[2].partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"CONNECT {}\r\nPUB p2p.npc.prontera.guard 10000000\r\n")
    async with within(5):
        said = await reader.read()  # to its end: the server hangs up
    writer.close()
    assert b"Maximum Payload Violation" in said
    await bus.publish("p2p.npc.prontera.guard", b'{"npc_id": "guard", "memories": "%s"}' % (b"m" * 900_000))
    async with within(5):
        letter = await letters.get()
    assert letter.headers is not None
    assert letter.headers["p2p-reason"].startswith("it has 9000")
    assert json.loads(letter.data) == {"npc_id": "guard"}
    await bus.publish("p2p.npc.prontera.guard", URGENT)
    await eventually(lambda: told_of(heard) == {"guard": 2}, of="the feed, which goes on")
    await subscription.unsubscribe()


@pytest.mark.parametrize(
    "body",
    [
        b'{"npc_id": "another", "agent_id": "agent-7", "information_items": ["mat"], "status": {"secret": 1}}',
        b'{"npc_id": "another", "agent_id": "agent-7"',
        b'["agent-7"]',
    ],
)
async def test_what_cannot_be_used_is_kept_without_its_secrets(bus: Bus, heard: list[NpcFeed], body: bytes):
    letters: asyncio.Queue[Msg] = asyncio.Queue()
    subscription = await bus.subscribe("p2p.dlq.npc", letters.put)
    await a_feed(bus, Leading(7)).round()
    await bus.publish("p2p.npc.prontera.guard", body)
    async with within(5):
        letter = await letters.get()
    assert letter.data in {b'{"npc_id":"another"}', b""}
    for secret in ("agent-7", "mat", "secret"):
        assert secret not in str(letter.headers)
    await subscription.unsubscribe()


async def test_nonsense_goes_to_the_dead_letters(bus: Bus, heard: list[NpcFeed]):
    letters: asyncio.Queue[Msg] = asyncio.Queue()
    subscription = await bus.subscribe("p2p.dlq.npc", letters.put)
    await a_feed(bus, Leading(7)).round()
    await bus.publish("p2p.npc.prontera.guard", b'{"npc_id": "another"}')
    async with within(5):
        letter = await letters.get()
    assert letter.headers is not None
    assert "subject" in letter.headers["p2p-reason"]
    await subscription.unsubscribe()
