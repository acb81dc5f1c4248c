"""What every process counts; labels are names of code (subjects of the catalogue, routes, loops), never ids."""

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""From a round trip on one machine to just past the longest REST answer."""

REQUEST_SECONDS = Histogram("p2p_request_seconds", "Requests answered over NATS.", ["subject"], buckets=_SECONDS)
REQUEST_REFUSALS = Counter("p2p_request_refusals", "Requests refused over NATS, by code.", ["subject", "code"])
REQUESTS_LATE = Counter("p2p_requests_late", "Requests dropped because their deadline had passed.", ["subject"])

HTTP_SECONDS = Histogram("p2p_http_seconds", "HTTP requests answered.", ["route", "status"], buckets=_SECONDS)

EVENTS_CONSUMED = Counter("p2p_events_consumed", "Events handled, by consumer and outcome.", ["consumer", "outcome"])
OUTBOX_RELAYED = Counter("p2p_outbox_relayed", "Outbox rows published and acknowledged.")
OUTBOX_WAITING = Gauge("p2p_outbox_waiting", "Outbox rows seen waiting in the last round.")

LOOP_ROUNDS = Counter("p2p_loop_rounds", "Rounds of periodic work, by outcome.", ["loop", "outcome"])
LOOP_LAST_SUCCESS = Gauge("p2p_loop_last_success_seconds", "When a loop last succeeded, Unix time.", ["loop"])

BUS_DISCONNECTS = Counter("p2p_bus_disconnects", "Times the connection to NATS was lost.")
BUS_DROPPED = Counter("p2p_bus_dropped", "Messages dropped because a callback was too slow for them.")
