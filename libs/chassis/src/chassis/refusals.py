"""What a service refuses with, and what each code means on HTTP and on a WebSocket."""

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import ClassVar

from contracts.closing import CloseCode
from contracts.refusals import Code, Refusal
from pydantic import JsonValue, ValidationError


class ServiceError(Exception):
    """A refusal the caller should see; each kind of it is a class that names its code.

    class HostFullError(ServiceError):
        code = Code.HOST_FULL
    """

    code: ClassVar[Code] = Code.INTERNAL

    def __init__(
        self, detail: str, *, retry_after_s: float | None = None, fields: Mapping[str, JsonValue] | None = None
    ) -> None:
        super().__init__(detail)
        self.refusal = Refusal(code=self.code, detail=detail, retry_after_s=retry_after_s, fields=dict(fields or {}))


class RefusedError(ServiceError):
    """Another service refused; carries its refusal as it came."""

    def __init__(self, refusal: Refusal) -> None:
        Exception.__init__(self, refusal.detail)
        self.refusal = refusal


class InvalidError(ServiceError):
    """What was asked is malformed; `fields["errors"]` lists where and why."""

    code = Code.INVALID


def malformed(error: ValidationError) -> InvalidError:
    """Turn pydantic's findings into a refusal: where and why, without the values themselves."""
    errors: list[JsonValue] = [
        {"loc": list(found["loc"]), "msg": found["msg"], "type": found["type"]}
        for found in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    return InvalidError("The request is malformed.", fields={"errors": errors})


class UnavailableError(ServiceError):
    """Something we depend on is away."""

    code = Code.UNAVAILABLE

    def __init__(self, detail: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(detail, retry_after_s=retry_after_s)


class DeadlineExceededError(ServiceError):
    """No answer came in time; whether the work was done is not known."""

    code = Code.DEADLINE_EXCEEDED


class InternalError(ServiceError):
    """A defect of ours; says nothing about the inside."""

    code = Code.INTERNAL


HTTP_STATUS: Mapping[Code, HTTPStatus] = MappingProxyType(
    {
        Code.INVALID: HTTPStatus.UNPROCESSABLE_ENTITY,
        Code.FORBIDDEN: HTTPStatus.FORBIDDEN,
        Code.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
        Code.TOO_MANY_REQUESTS: HTTPStatus.TOO_MANY_REQUESTS,
        Code.IDEMPOTENCY_KEY_REUSED: HTTPStatus.UNPROCESSABLE_ENTITY,
        Code.HOST_NOT_FOUND: HTTPStatus.NOT_FOUND,
        Code.ZONE_NOT_FOUND: HTTPStatus.NOT_FOUND,
        Code.SESSION_NOT_FOUND: HTTPStatus.NOT_FOUND,
        Code.PLAYER_NOT_FOUND: HTTPStatus.NOT_FOUND,
        Code.PEER_NOT_FOUND: HTTPStatus.NOT_FOUND,
        Code.JOB_NOT_FOUND: HTTPStatus.NOT_FOUND,
        Code.KEY_NOT_FOUND: HTTPStatus.NOT_FOUND,
        Code.OFFER_NOT_FOUND: HTTPStatus.NOT_FOUND,
        Code.ANSWER_NOT_FOUND: HTTPStatus.NOT_FOUND,
        Code.TRACE_NOT_FOUND: HTTPStatus.NOT_FOUND,
        Code.CHECKPOINT_NOT_FOUND: HTTPStatus.NOT_FOUND,
        Code.ROUTE_NOT_FOUND: HTTPStatus.NOT_FOUND,
        Code.SESSION_FULL: HTTPStatus.CONFLICT,
        Code.HOST_FULL: HTTPStatus.CONFLICT,
        Code.HOST_NOT_ELIGIBLE: HTTPStatus.CONFLICT,
        Code.NO_HOST_FREE: HTTPStatus.CONFLICT,
        Code.ZONE_DISABLED: HTTPStatus.CONFLICT,
        Code.WRONG_STATE: HTTPStatus.CONFLICT,
        Code.STALE_EPOCH: HTTPStatus.CONFLICT,
        Code.CONFLICT: HTTPStatus.CONFLICT,
        Code.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
        Code.DEADLINE_EXCEEDED: HTTPStatus.GATEWAY_TIMEOUT,
        Code.INTERNAL: HTTPStatus.INTERNAL_SERVER_ERROR,
    }
)
"""The one table from a refusal's code to an HTTP status; NATS replies carry the same number."""

WEBSOCKET_CLOSE: Mapping[Code, CloseCode] = MappingProxyType(
    {
        Code.UNAUTHENTICATED: CloseCode.NOT_ALLOWED,
        Code.FORBIDDEN: CloseCode.NOT_ALLOWED,
        Code.UNAVAILABLE: CloseCode.TRY_LATER,
        Code.INTERNAL: CloseCode.DEFECT,
    }
)
"""Refusals that end a WebSocket, and its close code; every other one is an `error` message on a socket that lives."""
