"""Asking and answering over NATS."""

import asyncio
import json
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from chassis.bus import Bus
from chassis.refusals import DeadlineExceededError, RefusedError, UnavailableError
from chassis.requests import CALLER, DEADLINE, IDEMPOTENCY_KEY, Asked, Caller, call, call_raw
from chassis.responder import NotOursError, Responder
from contracts.refusals import Code, Refusal
from nats.micro.service import ServiceInfo, ServicePing, ServiceStats
from testkit.eventually import eventually
from testkit.patience import patient, within

from libs.chassis.tests.messages import DOUBLE, OTHER, Double, Doubled, FullError

VERBS: dict[str, Any] = {"PING": ServicePing, "INFO": ServiceInfo, "STATS": ServiceStats}

PATIENT = timedelta(seconds=patient(5))


@asynccontextmanager
async def answering(bus: Bus, handler, *, instance="one", limit=256, rpc=DOUBLE):
    responder = Responder(bus, "doubler", "1.2.3", instance=instance, limit=limit)
    responder.answer(rpc, handler)
    async with responder:
        yield responder


async def double(question: Double) -> Doubled:
    return Doubled(number=2 * question.number)


async def refused(bus: Bus, question: bytes = b'{"number":1}', deadline: timedelta = PATIENT) -> Refusal:
    with pytest.raises(RefusedError) as caught:
        await call_raw(bus, DOUBLE, question, deadline=deadline)
    return caught.value.refusal


async def test_an_answer_arrives_typed(bus):
    async with answering(bus, double):
        assert await call(bus, DOUBLE, Double(number=21)) == Doubled(number=42)


async def test_an_answer_given_as_json_passes_through(bus):
    async def handler(question: Double) -> bytes:
        return b'{"number":5,"by":"me"}'

    async with answering(bus, handler):
        assert await call_raw(bus, DOUBLE, b'{"number":1}') == b'{"number":5,"by":"me"}'


async def test_a_refusal_arrives_typed_with_its_fields(bus):
    async def handler(question: Double) -> Doubled:
        raise FullError("No seat is left.", retry_after_s=2.5, fields={"max_players": 20})

    async with answering(bus, handler):
        assert await refused(bus) == Refusal(
            code=Code.SESSION_FULL, detail="No seat is left.", retry_after_s=2.5, fields={"max_players": 20}
        )


async def test_a_refusal_carries_the_headers_of_natss_services(bus):
    async def handler(question: Double) -> Doubled:
        raise FullError("No seat is left.")

    async with answering(bus, handler):
        reply = await bus.client.request(DOUBLE.subject, b'{"number":1}', timeout=patient(5))
        assert reply.headers == {"Nats-Service-Error": "session_full", "Nats-Service-Error-Code": "409"}


async def test_what_everyone_is_asked_is_answered_by_whom_it_concerns(bus):
    async def silent(question: Double) -> Doubled:
        raise NotOursError

    async with AsyncExitStack() as stack:
        for instance, handler in (("one", silent), ("two", double), ("three", silent)):
            responder = Responder(bus, "doubler", "1.2.3", instance=instance)
            responder.answer(replace(DOUBLE, asks_all=True), handler)
            await stack.enter_async_context(responder)
        for number in range(10):
            assert await call(bus, DOUBLE, Double(number=number)) == Doubled(number=2 * number)


async def test_a_malformed_question_is_refused_with_what_is_wrong_where(bus):
    async with answering(bus, double):
        refusal = await refused(bus, b'{"number":"many"}')
        assert refusal.code is Code.INVALID
        assert refusal.fields["errors"] == [
            {
                "loc": ["number"],
                "msg": "Input should be a valid integer, unable to parse string as an integer",
                "type": "int_parsing",
            }
        ]


async def test_what_is_no_json_is_refused_and_the_next_request_answered(bus):
    async with answering(bus, double):
        assert (await refused(bus, b"\xff{")).code is Code.INVALID
        assert (await call(bus, DOUBLE, Double(number=1))).number == 2


async def test_a_handlers_defect_is_internal_at_once_and_tells_nothing_of_the_inside(bus):
    async def handler(question: Double) -> Doubled:
        raise KeyError("password=hunter2")

    async with answering(bus, handler):
        async with within(5):
            refusal = await refused(bus, deadline=timedelta(hours=1))
        assert refusal == Refusal(code=Code.INTERNAL, detail="Something went wrong on our side.")


async def test_an_answer_larger_than_nats_carries_is_internal(bus):
    async def handler(question: Double) -> Doubled:
        return Doubled(number=1, by="x" * 2_000_000)

    async with answering(bus, handler):
        assert (await refused(bus)).code is Code.INTERNAL


async def test_a_request_nobody_answers_is_unavailable_at_once(bus):
    async with within(5):
        with pytest.raises(UnavailableError):
            await call(bus, DOUBLE, Double(number=1), deadline=timedelta(hours=1))


async def test_no_answer_in_time_is_a_deadline_exceeded(bus):
    async def handler(question: Double) -> Doubled:
        await asyncio.Event().wait()
        raise AssertionError

    async with answering(bus, handler) as responder:
        with pytest.raises(DeadlineExceededError):
            await call(bus, DOUBLE, Double(number=1), deadline=timedelta(seconds=0.1))
        for task in responder._in_flight:
            task.cancel()


async def test_a_request_whose_deadline_has_passed_is_dropped(bus):
    asked = []

    async def handler(question: Double) -> Doubled:
        asked.append(question.number)
        return Doubled(number=0)

    async with answering(bus, handler):
        for number, seconds in ((1, -0.001), (2, patient(5))):
            headers = {DEADLINE: str(int((time.time() + seconds) * 1000))}
            await bus.client.publish(DOUBLE.subject, Double(number=number).model_dump_json().encode(), headers=headers)
        await eventually(lambda: asked)
        assert asked == [2]


async def test_what_a_handler_asks_does_not_outlive_what_it_was_asked(bus):
    remaining = []

    async def handler(question: Double) -> Doubled:
        return await call(bus, OTHER, question, deadline=timedelta(hours=1))

    async def other(question: Double, asked: Asked) -> Doubled:
        assert asked.deadline is not None
        remaining.append(asked.deadline.timestamp() - time.time())
        return Doubled(number=0)

    async with answering(bus, handler), answering(bus, other, rpc=OTHER):
        await call(bus, DOUBLE, Double(number=1), deadline=PATIENT)
    assert 0 < remaining[0] <= PATIENT.total_seconds()


async def test_a_handler_is_told_the_caller_and_the_key(bus):
    told = []

    async def handler(question: Double, asked: Asked) -> Doubled:
        told.append(asked)
        return Doubled(number=0)

    caller = Caller("player", "Zoë with spaces\nand lines")
    async with answering(bus, handler):
        await call(bus, DOUBLE, Double(number=1), caller=caller, idempotency_key="ключ 1")
    assert (told[0].subject, told[0].caller, told[0].idempotency_key) == (DOUBLE.subject, caller, "ключ 1")


@pytest.mark.parametrize("deadline", ["²", "99999999999999999999", "9" * 5000, "253402300800000", "-1", "soon", ""])
async def test_what_is_no_deadline_is_none(deadline, bus):
    told = []

    async def handler(question: Double, asked: Asked) -> Doubled:
        told.append(asked.deadline)
        return Doubled(number=2)

    async with answering(bus, handler):
        answer = await bus.request(DOUBLE.subject, b'{"number":1}', timeout_s=patient(5), headers={DEADLINE: deadline})
    assert (json.loads(answer.data)["number"], told) == (2, [None])


@pytest.mark.parametrize(
    "headers",
    [{IDEMPOTENCY_KEY: "%00"}, {IDEMPOTENCY_KEY: "k" * 256}, {CALLER: f"player {'p' * 256}"}],
    ids=["U+0000", "a long key", "a long name"],
)
async def test_a_key_or_caller_that_no_row_can_hold_is_refused(headers, bus):
    async def handler(question: Double, asked: Asked) -> Doubled:
        raise AssertionError(asked)

    async with answering(bus, handler):
        answer = await bus.request(DOUBLE.subject, b'{"number":1}', timeout_s=patient(5), headers=headers)
    assert Refusal.model_validate_json(answer.data).code is Code.INVALID


async def test_requests_beyond_the_limit_wait_their_turn(bus):
    at_work, most = 0, 0

    async def handler(question: Double) -> Doubled:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        await asyncio.sleep(0.001)
        at_work -= 1
        return Doubled(number=question.number)

    async with answering(bus, handler, limit=5):
        answers = await asyncio.gather(*(call(bus, DOUBLE, Double(number=number)) for number in range(100)))
    assert [answer.number for answer in answers] == list(range(100))
    assert most == 5


async def test_each_request_is_answered_by_one_instance(bus):
    answered = {"one": 0, "two": 0}

    def handler(name: str):
        async def handle(question: Double) -> Doubled:
            answered[name] += 1
            return Doubled(number=0)

        return handle

    async with answering(bus, handler("one")), answering(bus, handler("two"), instance="two"):
        await asyncio.gather(*(call(bus, DOUBLE, Double(number=1), deadline=6 * PATIENT) for _ in range(200)))
    assert sum(answered.values()) == 200
    assert all(answered.values())


@pytest.mark.parametrize("address", ["", ".doubler", ".doubler.one"])
async def test_the_services_api_of_nats_is_answered(bus, address):
    async with answering(bus, double):
        await call(bus, DOUBLE, Double(number=1))
        ping = json.loads((await bus.client.request(f"$SRV.PING{address}", timeout=patient(5))).data)
        stats = json.loads((await bus.client.request(f"$SRV.STATS{address}", timeout=patient(5))).data)
        about = json.loads((await bus.client.request(f"$SRV.INFO{address}", timeout=patient(5))).data)
    assert (ping["name"], ping["id"], ping["version"]) == ("doubler", "one", "1.2.3")
    assert ping["type"] == "io.nats.micro.v1.ping_response"
    assert stats["endpoints"][0]["num_requests"] == 1
    assert about["endpoints"][0]["subject"] == DOUBLE.subject


async def test_what_a_stock_client_of_the_services_api_reads_is_all_there(bus):
    started_after = datetime.now(UTC)
    async with answering(bus, double):
        await call(bus, DOUBLE, Double(number=1))
        said = {verb: (await bus.client.request(f"$SRV.{verb}.doubler", timeout=patient(5))).data for verb in VERBS}
    ping, info, stats = (kind.from_dict(json.loads(said[verb])) for verb, kind in VERBS.items())
    assert (ping.id, info.id, stats.id) == ("one", "one", "one")
    assert [endpoint.queue_group for endpoint in info.endpoints] == ["doubler"]
    assert [(endpoint.num_requests, endpoint.num_errors) for endpoint in stats.endpoints] == [(1, 0)]
    assert stats.started.replace(tzinfo=UTC) >= started_after - timedelta(milliseconds=1)
