"""Dashboards and alerts ask for metrics that a running suite has, by labels that those have."""

import asyncio
import json
import pkgutil
import re
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import promql_parser
import pytest
import yaml
from embedded.catalogue import SERVICES
from prometheus_client import REGISTRY
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.samples import Sample
from testkit.eventually import eventually
from testkit.patience import patient
from testkit.suites import RunningSuite

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
OPENMETRICS = {"accept": "application/openmetrics-text;version=1.0.0"}

BY_PROMETHEUS = {"up": frozenset[str]()}
"""What Prometheus itself says of its targets."""

OF_EVERY_TARGET = {"job", "instance", "le"}

RULES = [
    rule for group in yaml.safe_load((DEPLOY / "prometheus/rules.yml").read_text())["groups"] for rule in group["rules"]
]
DASHBOARDS = {
    file.name: json.loads(file.read_text()) for file in sorted((DEPLOY / "grafana/dashboards").glob("*.json"))
}


class Asked(NamedTuple):
    """A metric somewhere in an expression, and the labels it is chosen or grouped by."""

    metric: str
    labels: frozenset[str]


def _panels(dashboard: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from (panel for panel in dashboard["panels"] if panel["type"] != "row")


def _expressions() -> Iterator[tuple[str, str]]:
    for rule in RULES:
        yield rule["alert"], rule["expr"]
    for dashboard in DASHBOARDS.values():
        for panel in _panels(dashboard):
            for target in panel["targets"]:
                yield f"{dashboard['title']}: {panel['title']}", target["expr"].replace("$__rate_interval", "1m")


EXPRESSIONS = list(_expressions())

HOST = {
    "host_id": "measured",
    "player_id": "p",
    "player_name": "P",
    "cpu_cores": 8,
    "memory_mb": 16384,
    "network_speed_mbps": 1000,
}


def _asked(expression: Any, grouped: frozenset[str] = frozenset()) -> Iterator[Asked]:
    match expression:
        case promql_parser.VectorSelector():
            yield Asked(expression.name or "", grouped | {matcher.name for matcher in expression.matchers.matchers})
        case promql_parser.MatrixSelector():
            yield from _asked(expression.vector_selector, grouped)
        case promql_parser.AggregateExpr():
            by = frozenset(expression.modifier.labels) if expression.modifier is not None else frozenset[str]()
            yield from _asked(expression.expr, grouped | by)
        case promql_parser.BinaryExpr():
            yield from _asked(expression.lhs, grouped)
            yield from _asked(expression.rhs, grouped)
        case promql_parser.Call():
            for argument in expression.args:
                yield from _asked(argument, grouped)
        case promql_parser.ParenExpr() | promql_parser.UnaryExpr():
            yield from _asked(expression.expr, grouped)
        case promql_parser.NumberLiteral() | promql_parser.StringLiteral():
            return
        case _:
            raise AssertionError(f"what is {type(expression).__name__}?")


@pytest.fixture(scope="module")
def scraped(suite: RunningSuite) -> dict[str, str]:
    """The text of each process's metrics, by its name, while a session is played whose players measured it."""
    with httpx.Client(base_url=f"{suite.gateways[0]}/api/v1", timeout=patient(10)) as api:
        assert api.post("/hosts/register", json=HOST).status_code == HTTPStatus.CREATED
        session = api.post("/sessions", json={"zone_id": "prontera", "host_id": HOST["host_id"]}).json()["session_id"]
        assert api.patch(f"/sessions/{session}/metrics", json={"avg_latency_ms": 20}).status_code == HTTPStatus.OK
        told = lambda: "p2p_session_latency_ms_avg" in api.get("/monitoring/metrics").text  # noqa: E731
        asyncio.run(eventually(told, of="the mean latency of sessions"))
    return {
        instance: httpx.get(f"{suite.http(instance)}/metrics", headers=OPENMETRICS, timeout=patient(10)).text
        for instance in suite.instances
    }


def _series(texts: Iterable[str]) -> set[str]:
    """The names under which Prometheus keeps what is told, of families without a sample yet too."""
    names: set[str] = set()
    endings = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}
    for text in texts:
        for family in text_string_to_metric_families(text):
            names |= {f"{family.name}{ending}" for ending in endings.get(family.type, ())}
    return names


def _labels(metric: str) -> set[str]:
    for service in SERVICES:
        package = import_module(service.name)
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                import_module(module.name)
    collector = REGISTRY._names_to_collectors.get(metric)
    named = getattr(collector, "_labelnames", None)
    if named is None:  # those that are put together when asked
        return {"type"} if metric == "p2p_frames_total" else set()
    return set(named)


@pytest.mark.parametrize("where, expression", EXPRESSIONS, ids=[where for where, _ in EXPRESSIONS])
def test_every_expression_asks_for_labels_that_its_metrics_have(where: str, expression: str) -> None:
    asked = list(_asked(promql_parser.parse(expression)))
    assert asked
    for metric, labels in asked:
        if metric not in BY_PROMETHEUS:
            assert labels - OF_EVERY_TARGET <= _labels(metric), f"{where}: {metric}"


def test_every_metric_of_dashboards_and_alerts_exists_on_a_running_suite(scraped: dict[str, str]) -> None:
    there = _series(scraped.values()) | BY_PROMETHEUS.keys()
    asked = {
        (where, metric) for where, expression in EXPRESSIONS for metric, _ in _asked(promql_parser.parse(expression))
    }
    assert {(where, metric) for where, metric in asked if metric not in there} == set()


def test_every_process_is_scraped_by_its_services_name(suite: RunningSuite) -> None:
    scrape = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())["scrape_configs"]
    jobs = {config["job_name"]: config["dns_sd_configs"][0]["names"] for config in scrape}
    assert jobs == {service.name: [service.name] for service in SERVICES}


def test_no_label_grows_with_hosts_players_or_sessions(scraped: dict[str, str]) -> None:
    identifiers = re.compile("host_id|player|peer|session(?!-)|zone|token|trace", re.IGNORECASE)
    for text in scraped.values():
        for sample in _samples(text):
            assert not [name for name in sample.labels if identifiers.search(name)], sample


def _samples(text: str) -> Iterator[Sample]:
    for family in text_string_to_metric_families(text):
        yield from family.samples


def test_each_alert_says_what_to_do_in_operations() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (page|ticket) \|", (ROOT / "docs/operations.md").read_text(), re.MULTILINE)
    assert dict(rows) == {rule["alert"]: rule["labels"]["severity"] for rule in RULES}


def test_each_alert_has_a_summary_and_says_how_urgent_it_is() -> None:
    for rule in RULES:
        assert rule["labels"]["severity"] in {"page", "ticket"}, rule["alert"]
        assert rule["annotations"]["summary"], rule["alert"]


@pytest.mark.parametrize("name", DASHBOARDS)
def test_grafana_takes_the_dashboard(name: str) -> None:
    dashboard = DASHBOARDS[name]
    assert f"{dashboard['uid']}.json" == name
    assert dashboard["schemaVersion"] >= 39
    (source,) = [
        one
        for one in yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/p2p.yaml").read_text())["datasources"]
        if one["type"] == "prometheus"
    ]
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, f"{panel['title']} lies on another"
        taken |= cells
    for panel in _panels(dashboard):
        refs = [target["refId"] for target in panel["targets"]]
        assert len(refs) == len(set(refs)) > 0
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {source["uid"]}
