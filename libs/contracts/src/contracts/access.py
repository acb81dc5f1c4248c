"""Who may speak to the suite: API keys, tokens, kicks, and the record of what was done with them."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, JsonValue

from contracts.identifiers import Identifier
from contracts.refusals import Code
from contracts.subjects import Fact, Message, Page, Rpc, Subject
from contracts.values import Text


class Role(StrEnum):
    """What somebody is to the suite."""

    ANONYMOUS = "anonymous"
    """Has shown nothing; or is a WARP client that is let in without a key."""
    PLAYER = "player"
    HOST = "host"
    SERVER = "server"
    """A game server or an AI server."""
    OPERATOR = "operator"


KeyRole = Literal[Role.SERVER, Role.OPERATOR]
"""Players and hosts have tokens, which a server's key asks for."""


class CreateKey(Message):
    """Make an API key."""

    role: KeyRole
    name: Text = "unnamed"
    """Whose it is, for people."""


class ApiKey(Message):
    """An API key without its secret, which nobody but its holder has."""

    key_id: str
    role: Role
    name: str
    created_at: AwareDatetime
    created_by: str
    revoked_at: AwareDatetime | None


class KeyCreated(Message):
    """A new API key; the only time that it is shown."""

    key_id: str
    role: Role
    name: str
    key: str
    """To be sent as `X-API-Key`."""


class ListKeys(Page):
    """List the keys, newest first."""


class KeyPage(Message):
    """Some of the keys."""

    items: tuple[ApiKey, ...]
    next_cursor: str | None


class RevokeKey(Message):
    """Refuse a key from now on, and every token that it has asked for."""

    key_id: Identifier


class Kick(Message):
    """Close a peer's sockets and refuse its tokens."""

    peer_id: Identifier
    reason: Text = "kicked"
    for_s: Annotated[float, Field(ge=1, le=365 * 86400)] = 1
    """For so long it gets no new token either; a second is what clocks of gateways may differ by."""


class Kicked(Message):
    """The peer is out."""

    peer_id: str
    until: AwareDatetime
    """Tokens from before, and new ones until then, are refused."""
    reason: str


class AccessChanged(Message):
    """Keys, kicks or revoked tokens are no longer what they were: read them again."""

    revision: int


class TokenAnswer(Message):
    """What a client sends along from now on, and how it gets the next."""

    token: str
    """As `Authorization: Bearer`, or as `token` in the URL of the signaling socket."""
    access_token: str
    """The same as `token`."""
    refresh_token: str
    """Good for one exchange; the answer has the next."""
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 -- the word of OAuth
    expires_in: int
    """Seconds."""


class AuditAction(StrEnum):
    """What is put on record."""

    TOKEN_ISSUED = "token-issued"  # noqa: S105 -- a word, as below
    TOKEN_REFRESHED = "token-refreshed"  # noqa: S105
    TOKEN_REFUSED = "token-refused"  # noqa: S105
    """A token, a key, or the wish for one."""
    TOKENS_REVOKED = "tokens-revoked"
    """A refresh token was used twice: whoever has the others is as likely the thief."""
    KEY_CREATED = "key-created"
    KEY_REVOKED = "key-revoked"
    PEER_KICKED = "peer-kicked"
    HOST_DRAINED = "host-drained"
    HOST_DELETED = "host-deleted"
    SESSION_ENDED = "session-ended"
    PERMISSION_REFUSED = "permission-refused"


class AuditFact(Fact):
    """Who did what, or was not let do it; each is a thing of its own, so `revision` is 1."""

    action: AuditAction
    role: Role
    name: str
    """Of whoever did it: a key's id, a peer's name, an address."""
    target: str | None = None
    """What it was done to."""
    detail: str | None = None
    fields: dict[str, JsonValue] = Field(default_factory=dict)
    count: int = 1
    """Refusals of a kind beyond the first few are told as one, with their number."""


CREATE_KEY = Rpc("p2p.access.create_key", CreateKey, KeyCreated, frozenset())
LIST_KEYS = Rpc("p2p.access.list_keys", ListKeys, KeyPage, frozenset())
REVOKE_KEY = Rpc("p2p.access.revoke_key", RevokeKey, ApiKey, frozenset({Code.KEY_NOT_FOUND}))
KICK = Rpc("p2p.access.kick", Kick, Kicked, frozenset())

ACCESS_CHANGED = Subject("p2p.gateway.access.changed", AccessChanged)
"""From one gateway to all."""
AUDITED = Subject("p2p.events.audit.{who}.{what}", AuditFact)
