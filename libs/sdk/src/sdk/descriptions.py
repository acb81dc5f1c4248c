"""Session descriptions and candidates between the wire, where they are opaque, and aiortc.

That no more candidates will come is not passed on: aioice then gives up as soon as the checks of those it knows have
failed, while the one that succeeds may be the player's own, from an address nobody named (RFC 8863). Our deadline for
the data channel ends what leads nowhere.
"""

from collections.abc import Iterable

from aiortc import RTCConfiguration, RTCIceCandidate, RTCIceServer, RTCSessionDescription
from aiortc.sdp import candidate_from_sdp
from contracts.frames import IceServer, Opaque


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
