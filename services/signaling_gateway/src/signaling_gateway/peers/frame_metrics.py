"""What comes in over sockets, by type of frame, and how it was refused; types are ours, never a client's word."""

from collections import defaultdict
from collections.abc import Iterator

from prometheus_client import REGISTRY, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

HEARD: defaultdict[str, int] = defaultdict(int)
"""Plain numbers, told when Prometheus asks: a counter of its own costs a relayed signal 2 % of its way."""

REFUSED = Counter("p2p_frames_refused", "Frames refused, by type and code.", ["type", "code"])
SECONDS = Histogram(
    "p2p_frame_seconds",
    "Frames answered, but for relayed signals that leave no trace.",
    ["kind"],
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
)


class _FramesHeard(Collector):
    def collect(self) -> Iterator[Metric]:
        heard = CounterMetricFamily("p2p_frames", "Frames read from sockets, by type.", labels=["type"])
        for kind, number in list(HEARD.items()):
            heard.add_metric([kind], number)
        yield heard


REGISTRY.register(_FramesHeard())
