"""Measuring hosts: which are due, how the prober reaches one through its gateway, and what it found."""

from pydantic import AwareDatetime, Field

from contracts.frames import ProbeAnswer, ProbeOffer
from contracts.identifiers import Identifier
from contracts.refusals import Code
from contracts.subjects import Message, Nothing, Rpc, Subject
from contracts.values import Mbps, Milliseconds, Percent, Text


class TakeProbes(Message):
    """Have some of the hosts that are due for a probe; nobody else is given them meanwhile."""

    prober: Text
    limit: int = Field(default=10, ge=1, le=100)


class ProbeDue(Message):
    """A host to probe: connected, online or suspect, and willing."""

    host_id: str
    peer_id: str
    upload: bool
    """Whether its upload is due as well."""


class ProbesTaken(Message):
    """Those that have waited longest first."""

    items: tuple[ProbeDue, ...]


class ReportProbe(Message):
    """What a probe came to; round trip, jitter and loss are absent where no connection came about."""

    host_id: Identifier
    prober: Text
    probed_at: AwareDatetime
    reached: bool
    round_trip_ms: Milliseconds | None = None
    """The median over the data channel."""
    jitter_ms: Milliseconds | None = None
    """The mean difference from one round trip to the next."""
    packet_loss_percent: Percent | None = None
    upload_mbps: Mbps | None = None
    """From host to prober; absent where it was not measured, or the prober itself was too busy to tell."""


TAKE_PROBES = Rpc("p2p.hosts.take_probes", TakeProbes, ProbesTaken, frozenset())
REPORT_PROBE = Rpc("p2p.hosts.report_probe", ReportProbe, Nothing, frozenset({Code.HOST_NOT_FOUND}))

PROBE_OFFER = Subject("p2p.probes.offer.{peer_id}", ProbeOffer)
"""Every gateway hears it; the one that holds the host's socket passes it on, the others say nothing."""
PROBE_ANSWER = Subject("p2p.probes.answer.{probe_id}", ProbeAnswer)
"""What the host said; `probe_id` is the prober's, random, and known to nobody else but that host."""

PING_CHANNEL = "p2p-ping"
"""Unordered and never resent; each `{"ping": n}` is answered by `{"pong": n}`, as text, as for players."""
UPLOAD_CHANNEL = "p2p-upload"
"""Unordered; `{"upload": n}` is answered by n bytes in messages of at most 16 KiB, or by `{"upload": 0}`: not now."""
MAX_UPLOAD_BYTES = 1024 * 1024
"""Nobody sends more for one probe: a second of a good home line."""
