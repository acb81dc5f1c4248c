"""Session descriptions and candidates between the wire, where they are opaque, and aiortc.

That no more candidates will come is not passed on: aioice then gives up as soon as the checks of those it knows have
failed, while the one that succeeds may be the player's own, from an address nobody named (RFC 8863). Our deadline for
the data channel ends what leads nowhere.
"""

import re
from collections.abc import Iterable

from aiortc import RTCConfiguration, RTCIceCandidate, RTCIceServer, RTCSessionDescription
from aiortc.sdp import candidate_from_sdp
from contracts.frames import IceServer, Opaque

_UFRAG = re.compile(r"^a=ice-ufrag:(\S+)", re.MULTILINE)
_UFRAG_OF_CANDIDATE = re.compile(r" ufrag (\S+)")


def configuration(servers: Iterable[IceServer]) -> RTCConfiguration:
    """Use exactly these servers; aiortc left alone would ask a public STUN server."""
    return RTCConfiguration(
        iceServers=[
            RTCIceServer(urls=list(server.urls), username=server.username, credential=server.credential)
            for server in servers
        ]
    )


def offer_of(sdp: Opaque) -> RTCSessionDescription:
    """Read an offer: SDP text, or the object that browsers make of a description; ValueError when it is neither."""
    text = sdp.get("sdp") if isinstance(sdp, dict) else sdp
    if not isinstance(text, str):
        raise ValueError("an offer must be SDP text or an object with `sdp`")  # noqa: TRY004 -- the value came by wire
    lines = [line for line in text.splitlines() if line != "a=end-of-candidates"]
    return RTCSessionDescription(sdp="\r\n".join(lines) + "\r\n", type="offer")


def ufrag_of(sdp: Opaque) -> str | None:
    """ICE's name of a description (`a=ice-ufrag`), by which answers and candidates are told from those of another."""
    text = sdp.get("sdp") if isinstance(sdp, dict) else sdp
    found = _UFRAG.search(text) if isinstance(text, str) else None
    return found[1] if found else None


def ufrag_of_candidate(candidate: Opaque) -> str | None:
    """Whose candidate it is, where it says so."""
    if isinstance(candidate, dict):
        named = candidate.get("usernameFragment")
        return named if isinstance(named, str) else ufrag_of_candidate(candidate.get("candidate"))
    found = _UFRAG_OF_CANDIDATE.search(candidate) if isinstance(candidate, str) else None
    return found[1] if found else None


def without_names(sdp: str) -> tuple[str, list[str]]:
    """Take out the candidates whose address is a name (mDNS): looking one up may fail, which costs that one alone."""
    lines = sdp.splitlines()
    named = [line for line in lines if line.startswith("a=candidate:") and ".local " in line]
    return "\r\n".join(line for line in lines if line not in named) + "\r\n", [line[2:] for line in named]


def answer_like(offer: Opaque, answer: RTCSessionDescription) -> Opaque:
    """Write an answer in the form that the offer had, so that whoever asked can read it."""
    return {"type": answer.type, "sdp": answer.sdp} if isinstance(offer, dict) else answer.sdp


def candidate_of(candidate: Opaque) -> RTCIceCandidate | None:
    """Read a trickled candidate, text or a browser's object; None for the mark that no more will come."""
    if candidate is None:
        return None
    fields = candidate if isinstance(candidate, dict) else {"candidate": candidate}
    text = fields.get("candidate")
    if not isinstance(text, str):
        raise ValueError("a candidate must be text or an object with `candidate`")  # noqa: TRY004 -- as above
    line = text.removeprefix("a=").removeprefix("candidate:")
    if not line:
        return None
    read = candidate_from_sdp(line)
    mid, index = fields.get("sdpMid"), fields.get("sdpMLineIndex")
    read.sdpMid = mid if isinstance(mid, str) else None
    read.sdpMLineIndex = index if isinstance(index, int) else None
    if read.sdpMid is None and read.sdpMLineIndex is None:
        # Bare text names no medium; a connection that carries data alone has only one.
        read.sdpMLineIndex = 0
    return read
