"""`p2p kick`: a peer is put out of every gateway, within a second."""

from typing import Annotated

import typer
from contracts.access import KICK, Kick

from cli.answers import answer, question
from cli.reach import Where, reaching


@reaching
def kick(
    where: Where,
    peer: Annotated[str, typer.Argument(help="Its peer_id.")],
    reason: Annotated[str, typer.Option(help="For the record.")] = "kicked",
    seconds: Annotated[float, typer.Option("--for", help="It gets no new token either.", metavar="SECONDS", min=1)] = 1,
) -> None:
    """Close a peer's sockets and refuse its tokens."""
    kicked = answer(where, KICK, question(Kick, peer_id=peer, reason=reason, for_s=seconds))
    print(f"{kicked.peer_id} is out; it gets no token until {kicked.until:%Y-%m-%d %H:%M:%S} UTC")
