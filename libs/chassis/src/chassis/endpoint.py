"""One request that a service answers, and its count."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from contracts.subjects import Rpc
from pydantic import BaseModel

from chassis.metrics import REQUEST_SECONDS

NO_INBOXES = ("p2p.", "$")
"""NATS lets whoever answers publish wherever the question says: an answer must not become somebody's fact.

JetStream too sends what a consumer is to be told to any subject, with a reply of its own: that is no question either.
"""


@dataclass(eq=False)
class Endpoint:
    """A request, its handler, and what became of it so far."""

    rpc: Rpc[Any, Any]
    handler: Callable[..., Awaitable[BaseModel | bytes]]
    told: bool
    """Whether the handler wants to know the circumstances, as its second argument."""
    queue: str = ""
    """Of this group one instance is asked; of none, every instance, and whoever it concerns answers."""
    requests: int = 0
    errors: int = 0
    seconds: float = 0.0
    last_error: str = ""

    def __post_init__(self) -> None:
        self.observe = REQUEST_SECONDS.labels(self.rpc.subject).observe
