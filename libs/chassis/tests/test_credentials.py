"""A process is somebody on NATS: it hears its own answers, says what it may not do, and waits to be let in."""

import asyncio
from datetime import timedelta

import pytest
from chassis.bus import connect_bus
from chassis.requests import call
from chassis.responder import Responder
from contracts.hosts import GET_HOST, NameHost
from contracts.jobs import LIST_JOBS, Jobs
from contracts.streams import EVENTS
from contracts.subjects import Nothing
from contracts.zones import GET_ZONE
from structlog.testing import capture_logs
from testkit.eventually import eventually
from testkit.nats_accounts import guarded_nats
from testkit.patience import patient

pytestmark = pytest.mark.servers


@pytest.fixture
async def nats(tmp_path):
    async with guarded_nats(tmp_path) as nats:
        yield nats


async def no_jobs(_question: Nothing) -> Jobs:
    return Jobs(leader="nobody", items=())


async def test_an_answer_reaches_whoever_asked(nats):
    async with (
        connect_bus(nats.url, "scheduler-1", nats.issue("scheduler", "scheduler")) as scheduler,
        connect_bus(nats.url, "operator", nats.issue("operator", "operator")) as operator,
    ):
        responder = Responder(scheduler, "scheduler", "1", instance="scheduler-1")
        responder.answer(LIST_JOBS, no_jobs)
        async with responder:
            assert (await call(operator, LIST_JOBS, Nothing())).leader == "nobody"


async def test_what_is_not_permitted_is_said_once_for_each_subject(nats):
    with capture_logs() as logs:
        async with connect_bus(nats.url, "prober-1", nats.issue("prober", "prober")) as bus:
            for subject in (GET_HOST.subject, GET_HOST.subject, GET_ZONE.subject):
                await bus.publish(subject, b"{}")
            await bus.subscribe(">", _ignore)
    told = [(line["act"], line["subject"]) for line in logs if line["event"] == "bus.not_permitted"]
    assert sorted(told) == [("publish", GET_HOST.subject), ("publish", GET_ZONE.subject), ("subscription", ">")]


async def test_who_is_not_let_in_says_so_once_and_enters_with_a_better_file(nats):
    file = nats.issue("prober", "prober", lifetime=-timedelta(seconds=1))
    with capture_logs() as logs:
        async with asyncio.TaskGroup() as group:
            entered = asyncio.Event()

            async def enter():
                async with connect_bus(nats.url, "prober-1", file):
                    entered.set()

            group.create_task(enter())
            await eventually(lambda: [line for line in logs if line["event"] == "bus.not_let_in"])
            assert not entered.is_set()
            file.write_text(nats.accounts.issue("prober-2", "prober"))
            await entered.wait()
    assert len([line for line in logs if line["event"] == "bus.not_let_in"]) == 1


async def test_who_is_cut_off_comes_back_with_a_better_file(nats):
    file = nats.issue("prober", "prober")
    async with connect_bus(nats.url, "prober-1", file) as bus:
        nats.revoke("prober")
        await eventually(lambda: not bus.connected)
        file.write_text(nats.accounts.issue("prober", "prober"))
        await eventually(lambda: bus.connected)


@pytest.mark.parametrize("reply", ["p2p.events.jobs.npc-feed.done", "$JS.ACK.EVENTS.x.1.1.1.1.0"])
async def test_an_answer_goes_nowhere_but_to_an_inbox(bus, reply):
    asked = []

    async def noting(question: NameHost) -> Nothing:
        asked.append(question.host_id)
        return Nothing()

    responder = Responder(bus, "host_registry", "1", instance="one")
    responder.answer(GET_HOST, noting)  # type: ignore[arg-type]
    async with responder:
        await bus.publish(GET_HOST.subject, b'{"host_id": "trick"}', reply=reply)
        await bus.request(GET_HOST.subject, b'{"host_id": "question"}', timeout_s=patient(2))
    assert asked == ["question"]
    assert (await bus.client.jetstream(timeout=patient(5)).stream_info(EVENTS.name)).state.messages == 0


async def _ignore(_msg):
    pass
