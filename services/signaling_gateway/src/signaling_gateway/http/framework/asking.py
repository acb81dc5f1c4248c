"""Asks the service that owns a resource, over NATS; its answer is passed on as the bytes it came as."""

from datetime import timedelta

from chassis.bus import Bus
from chassis.refusals import DeadlineExceededError, UnavailableError
from chassis.requests import Answer as Reply
from chassis.requests import Question, call_raw
from contracts.subjects import Rpc

from signaling_gateway.http.framework.exchange import KEY_LENGTH, Request
from signaling_gateway.http.framework.reading import malformed

IDEMPOTENCY_KEY = b"idempotency-key"

ASK_WITHIN = timedelta(seconds=3.5)
"""The longest that anything is asked for, so that a refusal for lateness still arrives within 4 s."""


async def ask(bus: Bus, rpc: Rpc[Question, Reply], question: Question, request: Request) -> bytes:
    """Send the question without the fields that the client left out; give the owner's JSON.

    Its refusals are raised as they come; UnavailableError and DeadlineExceededError name the owner.
    """
    payload = question.__pydantic_serializer__.to_json(question, exclude_unset=True)
    try:
        return await call_raw(
            bus,
            rpc,
            payload,
            deadline=ASK_WITHIN,
            caller=request.admission.caller,
            idempotency_key=_key(request),
        )
    except UnavailableError as error:
        raise UnavailableError(f"{_owned(rpc)} cannot be asked at the moment.") from error
    except DeadlineExceededError as error:
        raise DeadlineExceededError(
            f"{_owned(rpc)} did not answer in time; whether the work was done is not known.", retry_after_s=1
        ) from error


def _owned(rpc: Rpc[Question, Reply]) -> str:
    return f"The owner of {rpc.subject.split('.')[1]}"


def _key(request: Request) -> str | None:
    key = request.headers.get(IDEMPOTENCY_KEY)
    if key is None:
        return None
    if not key or len(key) > KEY_LENGTH:
        raise malformed(
            {
                "loc": ["header", "Idempotency-Key"],
                "msg": f"Must have 1 to {KEY_LENGTH} characters",
                "type": "value_error",
            }
        )
    return key.decode("latin-1")
