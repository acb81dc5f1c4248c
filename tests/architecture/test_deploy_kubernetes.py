"""The manifests are what Kubernetes takes, and say of each service what the service itself says."""

from importlib import import_module
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from embedded.catalogue import GATEWAY, SERVICES

MANIFESTS = Path(__file__).parents[2] / "deploy" / "kubernetes"
FILES = sorted(MANIFESTS.rglob("*.yaml"))
VERSIONS = ("1.34", kubernetes_validate.latest_version())
NAMES = [service.name for service in SERVICES]
UID = 10001


def _read(file: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(file.read_text()))


def _deployment(service: str) -> dict[str, Any]:
    (deployment,) = _read(MANIFESTS / service.replace("_", "-") / "deployment.yaml")
    return deployment


def _pod(service: str) -> dict[str, Any]:
    pod: dict[str, Any] = _deployment(service)["spec"]["template"]["spec"]
    return pod


def _container(service: str) -> dict[str, Any]:
    (container,) = _pod(service)["containers"]
    assert isinstance(container, dict)
    return container


def _settings() -> dict[str, dict[str, str]]:
    return {about["metadata"]["name"]: about["data"] for about in _read(MANIFESTS / "suite" / "settings.yaml")}


def _given(service: str) -> set[str]:
    container = _container(service)
    shared = {name for source in container["envFrom"] for name in _settings()[source["configMapRef"]["name"]]}
    return shared | {variable["name"] for variable in container["env"]}


def test_each_service_has_a_folder_of_its_own() -> None:
    folders = {folder.name for folder in MANIFESTS.iterdir()}
    assert folders == {name.replace("_", "-") for name in NAMES} | {"suite"}
    for name in NAMES:
        files = {file.name for file in (MANIFESTS / name.replace("_", "-")).iterdir()}
        assert files == {"deployment.yaml", "service.yaml", "disruption-budget.yaml"}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(MANIFESTS)))
def test_kubernetes_takes_it(file: Path, version: str) -> None:
    for manifest in _read(file):
        kubernetes_validate.validate(manifest, version, strict=True)


def test_what_kubernetes_would_not_take_is_found() -> None:
    wrong = _deployment(GATEWAY)
    wrong["spec"]["template"]["spec"]["containers"][0]["readinessprobe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[0], strict=True)


@pytest.mark.parametrize("service", NAMES)
def test_each_environment_variable_is_one_that_the_service_reads(service: str) -> None:
    assert _given(service) <= import_module(f"{service}.settings").Settings.variables()


@pytest.mark.parametrize("service", NAMES)
def test_kubernetes_adds_no_variables_that_settings_would_take_for_theirs(service: str) -> None:
    assert _pod(service)["enableServiceLinks"] is False


@pytest.mark.parametrize("service", NAMES)
def test_every_secret_is_a_reference(service: str) -> None:
    for variable in _container(service)["env"]:
        if any(word in variable["name"] for word in ("PASSWORD", "SECRET", "KEY")) and variable["name"] != "TLS_KEY":
            assert "secretKeyRef" in variable["valueFrom"], variable["name"]
    for data in _settings().values():
        assert not any(word in name for name in data for word in ("PASSWORD", "SECRET", "KEY"))


@pytest.mark.parametrize("service", NAMES)
def test_it_runs_as_nobody_on_a_file_system_that_it_cannot_write(service: str) -> None:
    pod, container = _pod(service), _container(service)
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["runAsUser"] == pod["securityContext"]["fsGroup"] == UID
    assert f"USER {UID}\n" in (MANIFESTS.parents[1] / "Dockerfile").read_text()
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["automountServiceAccountToken"] is False


@pytest.mark.parametrize("service", NAMES)
def test_it_is_asked_on_its_port_whether_it_lives_and_is_ready(service: str) -> None:
    container = _container(service)
    (port,) = container["ports"]
    assert f"HTTP_PORT={port['containerPort']}" in (MANIFESTS.parents[1] / "Dockerfile").read_text()
    assert container["livenessProbe"]["httpGet"] == {"path": "/health/live", "port": port["name"]}
    assert container["startupProbe"]["httpGet"] == {"path": "/health/live", "port": port["name"]}
    assert container["readinessProbe"]["httpGet"] == {"path": "/health/ready", "port": port["name"]}
    assert {"cpu", "memory"} <= container["resources"]["requests"].keys()


@pytest.mark.parametrize("service", NAMES)
def test_it_is_given_longer_to_stop_than_its_drain_takes(service: str) -> None:
    before = _container(service).get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    assert _pod(service)["terminationGracePeriodSeconds"] > before + float(_settings()["p2p"]["DRAIN_SECONDS"])


@pytest.mark.parametrize("service", NAMES)
def test_service_and_budget_mean_the_pods_of_the_deployment(service: str) -> None:
    folder = MANIFESTS / service.replace("_", "-")
    labels = _deployment(service)["spec"]["template"]["metadata"]["labels"]
    (served,), (budget,) = _read(folder / "service.yaml"), _read(folder / "disruption-budget.yaml")
    assert served["spec"]["selector"].items() <= labels.items()
    assert budget["spec"]["selector"]["matchLabels"] == _deployment(service)["spec"]["selector"]["matchLabels"]
    assert served["spec"]["ports"][0]["targetPort"] == _container(service)["ports"][0]["name"]
