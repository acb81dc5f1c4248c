"""compose.yaml describes the suite that is really here: no Docker engine is needed to know."""

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from chassis.settings import ServiceSettings

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES = sorted(path.name for path in (ROOT / "services").iterdir() if (path / "pyproject.toml").exists())


def _settings_of(service: str) -> type[ServiceSettings]:
    return import_module(f"{service}.settings").Settings


def test_every_service_of_the_tree_is_a_service_of_compose() -> None:
    built = [name for name, service in COMPOSE["services"].items() if "build" in service]
    assert sorted(built) == SERVICES


@pytest.mark.parametrize("service", SERVICES)
def test_each_service_is_built_from_the_one_dockerfile_by_its_folders_name(service: str) -> None:
    assert COMPOSE["services"][service]["build"] == {"context": ".", "args": {"SERVICE": service}}


@pytest.mark.parametrize("service", SERVICES)
def test_each_environment_variable_is_one_that_the_service_reads(service: str) -> None:
    given = COMPOSE["services"][service]["environment"]
    assert given.keys() <= _settings_of(service).variables()


def test_the_servers_the_suite_needs_are_there() -> None:
    images = {name: service["image"] for name, service in COMPOSE["services"].items() if "image" in service}
    assert set(images) == {"nats", "postgres", "dragonfly", "jaeger"}
    for image in images.values():
        assert re.search(r":v?\d+[\w.-]*}?$", image), f"{image} is not pinned to a version"


def test_every_published_port_is_bound_to_loopback() -> None:
    for service in COMPOSE["services"].values():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), port


def test_no_secret_has_a_default() -> None:
    for service in COMPOSE["services"].values():
        for name, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|KEY", name):
                assert str(value).startswith("${"), name
                assert ":-" not in value, name


def test_whoever_is_waited_for_exists_and_can_say_that_it_is_healthy() -> None:
    for service in COMPOSE["services"].values():
        for name, how in service.get("depends_on", {}).items():
            assert how == {"condition": "service_healthy"}
            assert "healthcheck" in COMPOSE["services"][name]


def test_every_mounted_file_exists() -> None:
    for service in COMPOSE["services"].values():
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert (ROOT / source).exists() if source.startswith(".") else source in COMPOSE["volumes"], source


def test_each_service_has_a_database_of_its_own() -> None:
    made = set(re.findall(r"CREATE DATABASE (\w+)", (ROOT / "deploy/postgres/databases.sql").read_text()))
    used = {
        service["environment"]["POSTGRES_DB"]
        for service in COMPOSE["services"].values()
        if "POSTGRES_DB" in service.get("environment", {})
    }
    assert used <= made
    assert made == set(SERVICES)
