"""Why a request is refused: one closed list of codes, the same on NATS, REST and WebSocket."""

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
    OFFER_NOT_FOUND = "offer_not_found"
    ANSWER_NOT_FOUND = "answer_not_found"
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


class Refusal(BaseModel):
    """The body of a refused request; shown to people as `detail`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    code: Code
    detail: str = Field(description="One sentence: what was wrong, and what to do where that is not obvious.")
    retry_after_s: float | None = Field(default=None, description="When another try makes sense.")
    fields: dict[str, JsonValue] = Field(default_factory=dict, description="What the refusal is about, typed.")
