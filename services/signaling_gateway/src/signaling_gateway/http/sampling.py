"""Which arriving messages leave a trace: changes do, up to a bound; what comes in floods hardly ever does."""

from collections.abc import Iterable

from chassis.sampling import NEVER, Policy, Sampling

from signaling_gateway.http.framework.routing import API, Route
from signaling_gateway.trace_rates import FLOOD, READ, up_to_a_bound

_FLOODS = frozenset(
    {
        f"POST {API}/hosts/{{host_id}}/heartbeat",
        f"PATCH {API}/sessions/{{session}}/metrics",
        f"POST {API}/signaling/offer",
        f"POST {API}/signaling/answer",
        f"POST {API}/signaling/ice-candidate",
        f"GET {API}/console",
        f"GET {API}/traces/{{trace_id}}",
        f"GET {API}/monitoring/dashboard",
        f"GET {API}/monitoring/metrics",
        f"GET {API}/monitoring/health",
        "GET /metrics",
        "GET /health",
        "GET /health/live",
        "GET /health/ready",
    }
)


_ENTRIES = frozenset(
    {
        f"POST {API}/sessions",
        f"POST {API}/sessions/join",
        f"POST {API}/sessions/{{session}}/players",
    }
)


def edge_sampling(routes: Iterable[Route]) -> Sampling:
    """Decide for every kind of request, by its route."""
    entries, changes = up_to_a_bound(), up_to_a_bound()
    return Sampling({route.kind: _policy(route, entries, changes) for route in routes}, otherwise=NEVER)


def _policy(route: Route, entries: Policy, changes: Policy) -> Policy:
    if route.kind in _FLOODS:
        return FLOOD
    if route.kind in _ENTRIES:
        return entries  # a bound of their own: a thousand hosts that register must not hide how players enter
    return READ if route.method == "GET" else changes
