"""Why a request is refused: one closed list of codes, the same on NATS, REST and WebSocket."""

from collections.abc import Mapping
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field, JsonValue


class Code(StrEnum):
    """The stable word of a refusal; clients match on it, so a word is never reused or renamed."""

    # the request itself
    INVALID = "invalid"
    FORBIDDEN = "forbidden"
    UNAUTHENTICATED = "unauthenticated"
    TOO_MANY_REQUESTS = "too_many_requests"
    IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused"
    # what it names
    HOST_NOT_FOUND = "host_not_found"
    ZONE_NOT_FOUND = "zone_not_found"
    SESSION_NOT_FOUND = "session_not_found"
    PLAYER_NOT_FOUND = "player_not_found"
    PEER_NOT_FOUND = "peer_not_found"
    JOB_NOT_FOUND = "job_not_found"
    KEY_NOT_FOUND = "key_not_found"
    OFFER_NOT_FOUND = "offer_not_found"
    ANSWER_NOT_FOUND = "answer_not_found"
    TRACE_NOT_FOUND = "trace_not_found"
    CHECKPOINT_NOT_FOUND = "checkpoint_not_found"
    ROUTE_NOT_FOUND = "route_not_found"
    # the state of what it names
    SESSION_FULL = "session_full"
    HOST_FULL = "host_full"
    HOST_NOT_ELIGIBLE = "host_not_eligible"
    NO_HOST_FREE = "no_host_free"
    ZONE_DISABLED = "zone_disabled"
    WRONG_STATE = "wrong_state"
    STALE_EPOCH = "stale_epoch"
    CONFLICT = "conflict"
    # us
    UNAVAILABLE = "unavailable"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    INTERNAL = "internal"


MEANINGS: Mapping[Code, str] = {
    Code.INVALID: "The request is malformed.",
    Code.FORBIDDEN: "Who asks may not do this, or not to what the request names.",
    Code.UNAUTHENTICATED: "Nothing was shown, or what was shown is no good: show an API key or a token.",
    Code.TOO_MANY_REQUESTS: "Too much was asked in too short a time: wait as long as the answer says.",
    Code.IDEMPOTENCY_KEY_REUSED: "The key has been used for another request: make a new one for each.",
    Code.HOST_NOT_FOUND: "There is no such host.",
    Code.ZONE_NOT_FOUND: "There is no such zone.",
    Code.SESSION_NOT_FOUND: "There is no such session.",
    Code.PLAYER_NOT_FOUND: "The player is not in the session.",
    Code.PEER_NOT_FOUND: "There is no such peer in the session, or it is not connected.",
    Code.JOB_NOT_FOUND: "The calendar has no such job.",
    Code.KEY_NOT_FOUND: "There is no such API key.",
    Code.OFFER_NOT_FOUND: "No offer was made within the last minute.",
    Code.ANSWER_NOT_FOUND: "No answer was given within the last minute.",
    Code.TRACE_NOT_FOUND: "The trace is not kept: it was not sampled, or is over.",
    Code.CHECKPOINT_NOT_FOUND: "The session has no checkpoint, or is over.",
    Code.ROUTE_NOT_FOUND: "There is nothing at this path, or not for this method.",
    Code.SESSION_FULL: "All seats of the session are taken.",
    Code.HOST_FULL: "The host has no seat or no slot left.",
    Code.HOST_NOT_ELIGIBLE: "The host does not meet what the zone asks; the answer says in what.",
    Code.NO_HOST_FREE: "No host can take the session; the answer counts why.",
    Code.ZONE_DISABLED: "The zone is not open for sessions.",
    Code.WRONG_STATE: "Its present state does not allow this.",
    Code.STALE_EPOCH: "Another host has taken over since.",
    Code.CONFLICT: "It contradicts what is there.",
    Code.UNAVAILABLE: "Something that is needed is away: try again in as many seconds as the answer says.",
    Code.DEADLINE_EXCEEDED: "No answer came in time; whether the work was done is not known.",
    Code.INTERNAL: "A defect of ours; its trace names it.",
}
"""What each code says, in general; `detail` says it of the case."""

TRY_AGAIN: Mapping[Code, str] = {
    Code.INVALID: "No: put right what it names first.",
    Code.FORBIDDEN: "No: somebody else may.",
    Code.UNAUTHENTICATED: "Yes, once, with a new token or another key.",
    Code.TOO_MANY_REQUESTS: "Later, after `retry_after_s`.",
    Code.IDEMPOTENCY_KEY_REUSED: "Yes, with a new key.",
    Code.HOST_NOT_FOUND: "No: the host is to register again.",
    Code.ZONE_NOT_FOUND: "No.",
    Code.SESSION_NOT_FOUND: "No: enter the zone again.",
    Code.PLAYER_NOT_FOUND: "No: join first.",
    Code.PEER_NOT_FOUND: "Later: it may be on its way back; its seat is kept for 30 s.",
    Code.JOB_NOT_FOUND: "No.",
    Code.KEY_NOT_FOUND: "No.",
    Code.OFFER_NOT_FOUND: "Later, each second: it may come yet.",
    Code.ANSWER_NOT_FOUND: "Later, each second: it may come yet.",
    Code.TRACE_NOT_FOUND: "Later, once: what ends is told some seconds after.",
    Code.CHECKPOINT_NOT_FOUND: "No: begin anew.",
    Code.ROUTE_NOT_FOUND: "No.",
    Code.SESSION_FULL: "No: enter the zone instead, which finds a session that has room.",
    Code.HOST_FULL: "No: name another host, or none.",
    Code.HOST_NOT_ELIGIBLE: "No: name another host, or none.",
    Code.NO_HOST_FREE: "Later, after some seconds, longer each time.",
    Code.ZONE_DISABLED: "Later: when its operator opens it.",
    Code.WRONG_STATE: "No: look at how it stands first.",
    Code.STALE_EPOCH: "No: it is the other host's now.",
    Code.CONFLICT: "Yes, after looking at what is there.",
    Code.UNAVAILABLE: "Later, after `retry_after_s`.",
    Code.DEADLINE_EXCEEDED: "Yes; what creates, with the same idempotency key.",
    Code.INTERNAL: "Yes, once; what creates, with the same idempotency key.",
}
"""Whether the same request makes sense again. Over HTTP `retry_after_s` is `Retry-After`."""


class Refusal(BaseModel):
    """The body of a refused request; shown to people as `detail`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    code: Code
    detail: str = Field(description="One sentence: what was wrong, and what to do where that is not obvious.")
    retry_after_s: float | None = Field(default=None, description="When another try makes sense.")
    fields: dict[str, JsonValue] = Field(default_factory=dict, description="What the refusal is about, typed.")
