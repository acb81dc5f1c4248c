"""How a refusal looks on REST: one shape for all of them."""

import math
from collections.abc import Mapping
from typing import Any

from chassis import tracing
from chassis.refusals import HTTP_STATUS, InternalError
from contracts.refusals import Code, Refusal
from pydantic_core import to_json

from signaling_gateway.http.framework.exchange import Answer

_ASK_AGAIN = frozenset({Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.TOO_MANY_REQUESTS})

INTERNAL = InternalError("Something went wrong on our side.").refusal
OTHER_METHOD = Refusal(code=Code.ROUTE_NOT_FOUND, detail="This path does not take this method.")


def refused(
    refusal: Refusal,
    *,
    status: int | None = None,
    headers: tuple[tuple[bytes, bytes], ...] = (),
    beside: Mapping[str, Any] | None = None,
) -> Answer:
    """Say no: `detail` is a sentence, or for malformed requests the list of what is wrong where."""
    fields = dict(refusal.fields)
    detail = fields.pop("errors", None) or refusal.detail
    shape = {**(beside or {}), "detail": detail, "code": refusal.code, "trace_id": tracing.current_trace_id()}
    if fields:
        shape["fields"] = fields
    if refusal.code in _ASK_AGAIN:
        headers = (*headers, (b"retry-after", b"%d" % max(1, math.ceil(refusal.retry_after_s or 1))))
    return Answer(to_json(shape), status or HTTP_STATUS[refusal.code], headers)
