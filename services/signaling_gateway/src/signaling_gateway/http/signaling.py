"""Signaling for clients without a WebSocket, and what is told of it to anybody: `/signaling`."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Annotated, Any, Self

import orjson
from contracts.frames import IceServer
from contracts.identifiers import Identifier
from contracts.refusals import Code
from contracts.subjects import Message
from contracts.values import ShallowJson
from pydantic import AfterValidator, Field, JsonValue, model_validator

from signaling_gateway.cluster.mailbox import Letter
from signaling_gateway.http.framework.examples import SIGNAL
from signaling_gateway.http.framework.exchange import Answer, Request
from signaling_gateway.http.framework.reading import Reading
from signaling_gateway.http.framework.routing import API, Route
from signaling_gateway.monitoring.socket_totals import SocketTotals
from signaling_gateway.peers.frames import MAX_FRAME_BYTES
from signaling_gateway.rooms.ice_servers import IceServers
from signaling_gateway.rooms.polling import Polling

KINDS = ("offer", "answer")

_NOT_FOUND = {"offer": Code.OFFER_NOT_FOUND, "answer": Code.ANSWER_NOT_FOUND}
_MEMBERS = (Code.INVALID, Code.FORBIDDEN, Code.SESSION_NOT_FOUND, Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED)


def _fits(value: Any) -> Any:
    try:
        size = len(orjson.dumps(value, default=str))
    except TypeError:  # an integer beyond 64 bits; a frame's reader takes none either
        raise ValueError("must be JSON with integers of 64 bits at most") from None
    if size > MAX_FRAME_BYTES:
        raise ValueError(f"must not exceed {MAX_FRAME_BYTES // 1024} KiB")
    return value


def _is_there(value: Any) -> Any:
    if value is None:
        raise ValueError("must not be null")
    return value


Candidate = Annotated[ShallowJson, AfterValidator(_fits)]
"""null says that no more will come."""
Content = Annotated[Candidate, AfterValidator(_is_there)]


class Description(Message):
    """An offer or an answer."""

    session_id: Identifier
    peer_id: Identifier
    """Who sends it."""
    sdp: Content
    """Passed on as it is: a string or an object."""
    to: Identifier | None = None
    """A member; absent: any member may have it, and the host gets it at once."""


class CandidateSent(Message):
    """A trickled ICE candidate."""

    session_id: Identifier
    peer_id: Identifier
    candidate: Candidate
    to: Identifier | None = None


class Posted(Message):
    """What became of a signal."""

    session_id: str
    delivered: bool
    """The receiver has a WebSocket and got it there; it is kept for a minute in any case."""


class Wanted(Message):
    """Who asks for what is kept."""

    session_id: Identifier
    peer_id: Identifier | None = None
    """The member that asks: it gets what is meant for it."""


class WantedSince(Wanted):
    """Who asks, and what it has already."""

    after: str = Field(default="0", pattern=r"^[0-9]{1,19}(-[0-9]{1,19})?$")
    """`after` of the answer before; each part is below Redis's 2^64."""


class Described(Message):
    """A kept offer or answer."""

    peer_id: str
    sdp: JsonValue


class KeptCandidate(Message):
    """One candidate."""

    peer_id: str
    candidate: JsonValue


class Candidates(Message):
    """What is new."""

    candidates: tuple[KeptCandidate, ...]
    after: str
    """Ask with this the next time."""


class Asker(Message):
    """For whom TURN credentials are made."""

    peer_id: Identifier | None = None
    session_id: Identifier | None = None
    """Where it is a member: the credentials are for there."""

    @model_validator(mode="after")
    def _names_the_member(self) -> Self:
        if self.session_id is not None and self.peer_id is None:
            raise ValueError("session_id needs peer_id")
        return self


class IceServersFound(Message):
    """For RTCPeerConnection."""

    ice_servers: tuple[IceServer, ...]


class SignalingStats(Message):
    """Over all gateways."""

    active_connections: int
    active_sessions: int
    """Sessions and rooms with a socket."""


def signaling_routes(polling: Polling, totals: SocketTotals, ice: IceServers) -> list[Route]:
    """Every route under `/signaling` but the WebSocket itself."""
    return [
        *(_post(polling, kind, Description, "sdp") for kind in KINDS),
        *(_get(polling, kind) for kind in KINDS),
        _post(polling, "ice-candidate", CandidateSent, "candidate"),
        _candidates(polling),
        _ice_servers(polling, ice),
        _stats(totals),
    ]


def _post(polling: Polling, kind: str, body: type[Description | CandidateSent], content: str) -> Route:
    reading = Reading("POST", f"/signaling/{kind}", body)

    async def post(request: Request) -> Answer:
        sent = reading.read(request)
        letter = Letter(sent.peer_id, sent.to, getattr(sent, content))
        delivered = await polling.send(kind, sent.session_id, letter)
        return _answer(Posted(session_id=sent.session_id, delivered=delivered))

    return _route(
        reading,
        post,
        answer=Posted,
        codes=(*_MEMBERS, Code.PEER_NOT_FOUND),
        summary=f"Send an {kind.replace('ice-', 'ICE ')}",
        examples={kind: SIGNAL | {content: "…"}},
    )


def _get(polling: Polling, kind: str) -> Route:
    reading = Reading("GET", f"/signaling/{kind}/{{session_id}}", Wanted)

    async def get(request: Request) -> Answer:
        wanted = reading.read(request)
        letter = await polling.newest(kind, wanted.session_id, wanted.peer_id)
        return _answer(Described(peer_id=letter.sender, sdp=letter.content))

    codes = (*_MEMBERS, _NOT_FOUND[kind])
    return _route(reading, get, answer=Described, codes=codes, summary=f"Fetch the newest {kind} of the last minute")


def _candidates(polling: Polling) -> Route:
    reading = Reading("GET", "/signaling/ice-candidates/{session_id}", WantedSince)

    async def candidates(request: Request) -> Answer:
        wanted = reading.read(request)
        found = await polling.candidates(wanted.session_id, wanted.peer_id, wanted.after)
        kept = tuple(KeptCandidate(peer_id=each.letter.sender, candidate=each.letter.content) for each in found)
        told = Candidates(candidates=kept, after=found[-1].id if found else wanted.after)
        return Answer(told.model_dump_json().encode())  # a null among them is one too

    return _route(
        reading, candidates, answer=Candidates, codes=_MEMBERS, summary="Fetch the ICE candidates of the last minute"
    )


def _ice_servers(polling: Polling, ice: IceServers) -> Route:
    reading = Reading("GET", "/signaling/ice-servers", Asker)

    async def ice_servers(request: Request) -> Answer:
        asker = reading.read(request)
        if asker.session_id is None or asker.peer_id is None:
            return _answer(IceServersFound(ice_servers=await ice.of_peer(asker.peer_id or "anonymous")))
        circle = await polling.member(asker.session_id, asker.peer_id)
        await ice.learn(circle.host_id)
        servers = ice.of(asker.peer_id, circle.session_id, circle.host_id)
        return _answer(IceServersFound(ice_servers=servers))

    summary = "List the STUN and TURN servers to use, the nearest first"
    return _route(reading, ice_servers, answer=IceServersFound, codes=_MEMBERS, summary=summary)


def _stats(totals: SocketTotals) -> Route:
    reading = Reading("GET", "/signaling/stats", Message)

    async def stats(_request: Request) -> Answer:
        return _answer(SignalingStats.model_validate((await totals.all()).signaling.model_dump()))

    return _route(reading, stats, answer=SignalingStats, codes=(), summary="Count WebSockets and their sessions")


def _route(reading: Reading[Any], answering: Any, *, codes: Iterable[Code], **about: Any) -> Route:
    return Route(
        reading.method,
        API + reading.path,
        answering,
        reading=reading,
        status=HTTPStatus.OK,
        codes=codes,
        tag="signaling",
        **about,
    )


def _answer(message: Message) -> Answer:
    return Answer(message.model_dump_json(exclude_none=True).encode())
