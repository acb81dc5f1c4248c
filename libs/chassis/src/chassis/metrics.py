"""What every process counts; labels are names of code (subjects of the catalogue, routes, loops), never ids."""

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.exposition import choose_encoder

disable_created_metrics()  # type: ignore[no-untyped-call]  # when each series began is another series for each, and nobody asks

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""From a round trip on one machine to just past the longest REST answer."""

REQUEST_SECONDS = Histogram("p2p_request_seconds", "Requests answered over NATS.", ["subject"], buckets=_SECONDS)
REQUEST_REFUSALS = Counter("p2p_request_refusals", "Requests refused over NATS, by code.", ["subject", "code"])
REQUESTS_LATE = Counter("p2p_requests_late", "Requests dropped because their deadline had passed.", ["subject"])
REQUESTS_AT_WORK = Gauge("p2p_requests_at_work", "Requests being answered now.")
REQUESTS_WAITING = Gauge("p2p_requests_waiting", "Requests that have arrived and wait for a place.")

HTTP_SECONDS = Histogram("p2p_http_seconds", "HTTP requests answered.", ["route", "status"], buckets=_SECONDS)

EVENT_SECONDS = Histogram("p2p_event_seconds", "Events handled, well or not.", ["consumer"], buckets=_SECONDS)
EVENTS_CONSUMED = Counter("p2p_events_consumed", "Events handled, by consumer and outcome.", ["consumer", "outcome"])
EVENTS_WAITING = Gauge(
    "p2p_events_waiting", "Events a consumer has not acknowledged yet, as JetStream counts them.", ["consumer"]
)
OUTBOX_RELAYED = Counter("p2p_outbox_relayed", "Outbox rows published and acknowledged.")
OUTBOX_WAITING = Gauge("p2p_outbox_waiting", "Outbox rows waiting in the last round; 0 where another relays.")
OUTBOX_OLDEST = Gauge("p2p_outbox_oldest_seconds", "Age of the oldest outbox row waiting in the last round.")
OUTBOX_RELAYING = Gauge("p2p_outbox_relaying", "1 in the process that relays the outbox of its database.")

DATABASE_CONNECTIONS = Gauge("p2p_database_connections", "Connections to PostgreSQL that are open.")
DATABASE_WAITING = Gauge("p2p_database_waiting", "Statements that wait for a connection.")

LOOP_ROUNDS = Counter("p2p_loop_rounds", "Rounds of periodic work, by outcome.", ["loop", "outcome"])
LOOP_LAST_SUCCESS = Gauge("p2p_loop_last_success_seconds", "When a loop last succeeded, Unix time.", ["loop"])

BUS_CONNECTED = Gauge("p2p_bus_connected", "1 while there is a connection to NATS.")
BUS_DISCONNECTS = Counter("p2p_bus_disconnects", "Times the connection to NATS was lost.")
BUS_NOT_PERMITTED = Counter("p2p_bus_not_permitted", "What NATS did not let us publish or subscribe to.", ["act"])
BUS_DROPPED = Counter("p2p_bus_dropped", "Messages dropped because a callback was too slow for them.")

CERTIFICATE_ENDS = Gauge("p2p_certificate_ends_seconds", "When the certificate we show ends, Unix time.")


def exposition(accept: str, registry: CollectorRegistry = REGISTRY) -> tuple[bytes, str]:
    """All of it and its content type; with exemplars for those who accept OpenMetrics, as Prometheus does."""
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type
