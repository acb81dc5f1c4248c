"""compose.yaml describes the suite that is really here: no Docker engine is needed to know."""

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from chassis.settings import ServiceSettings
from contracts.grants import PROCESSES
from dotenv import dotenv_values
from embedded.catalogue import GATEWAY

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
TLS: dict[str, Any] = yaml.safe_load((ROOT / "deploy/compose.tls.yaml").read_text())
SERVICES = sorted(path.name for path in (ROOT / "services").iterdir() if (path / "pyproject.toml").exists())

STORING = [name for name in SERVICES if (ROOT / "services" / name / "src" / name / "migrations").is_dir()]
"""Those with a database."""

SERVERS = {"nats", "postgres", "dragonfly", "coturn", "jaeger", "prometheus", "grafana"}
SETUP = {"credentials"}
"""What runs once and ends."""

REACHED = {"nats", "signaling_gateway", "coturn"}
"""What players and game servers connect to; people on call come to the rest by way of the machine itself."""

SECRET = re.compile("PASSWORD|SECRET|(?<!PREVIOUS_)KEY$|requirepass|AUTH$")


def _settings_of(service: str) -> type[ServiceSettings]:
    settings: type[ServiceSettings] = import_module(f"{service}.settings").Settings
    return settings


def _asked_for(text: str) -> set[str]:
    """The names in `${NAME}`, `${NAME:-default}` and `${NAME:?why}`."""
    return set(re.findall(r"(?<!\$)\$\{(\w+)", text))


def test_every_service_of_the_tree_is_a_service_of_compose() -> None:
    built = [name for name, service in COMPOSE["services"].items() if "build" in service]
    assert sorted(built) == SERVICES


def test_the_servers_the_suite_needs_are_there_and_pinned() -> None:
    images = {name: service["image"] for name, service in COMPOSE["services"].items() if "image" in service}
    assert set(images) == SERVERS | SETUP
    for image in images.values():
        assert re.search(r":v?\d+[\w.-]*}?$", image), f"{image} is not pinned to a version"


@pytest.mark.parametrize("service", SERVICES)
def test_each_service_is_built_from_the_one_dockerfile_by_its_folders_name(service: str) -> None:
    assert COMPOSE["services"][service]["build"] == {"context": ".", "args": {"SERVICE": service}}


@pytest.mark.parametrize("service", SERVICES)
def test_each_environment_variable_is_one_that_the_service_reads(service: str) -> None:
    given = COMPOSE["services"][service]["environment"]
    assert given.keys() <= _settings_of(service).variables()


def test_tls_adds_to_the_gateway_alone_what_it_reads() -> None:
    assert list(TLS["services"]) == [GATEWAY]
    assert TLS["services"][GATEWAY]["environment"].keys() <= _settings_of(GATEWAY).variables()


@pytest.mark.parametrize("service", SERVICES)
def test_each_service_may_do_as_little_as_it_needs(service: str) -> None:
    about = COMPOSE["services"][service]
    assert about["read_only"]
    assert about["cap_drop"] == ["ALL"]
    assert about["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("service", SERVICES)
def test_each_service_stops_after_its_drain(service: str) -> None:
    about = COMPOSE["services"][service]
    assert float(about["stop_grace_period"].removesuffix("s")) > float(about["environment"]["DRAIN_SECONDS"])


def test_who_calls_is_asked_who_they_are() -> None:
    gateway = COMPOSE["services"][GATEWAY]["environment"]
    assert gateway["P2P_MODE"] == "enforced"
    assert "SIGNALING_GATEWAY_OPEN_TO_NETWORK" not in gateway


def test_each_service_finds_its_own_credentials_and_no_others() -> None:
    granted = {grant.name for grant in PROCESSES}
    given = {
        volume.partition(":")[0]: volume.partition(":")[2]
        for volume in COMPOSE["services"]["credentials"]["volumes"]
        if not volume.startswith(".")
    }
    assert given == {name: f"/for/{name}" for name in SERVICES}
    for name in SERVICES:
        service = COMPOSE["services"][name]
        assert name in granted
        assert service["volumes"] == [f"{name}:/credentials:ro"]
        assert service["environment"]["NATS_CREDS"] == "/credentials/nats.creds"
        assert service["depends_on"]["credentials"] == {"condition": "service_completed_successfully"}


def test_credentials_are_for_the_user_that_services_run_as() -> None:
    (user,) = re.findall(r"^USER (\d+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    (script,) = COMPOSE["services"]["credentials"]["command"]
    assert f"install -o {user} -m 400 " in script


def test_every_published_port_is_loopbacks_unless_somebody_says_otherwise() -> None:
    for name, service in COMPOSE["services"].items():
        for port in service.get("ports", []):
            assert port.startswith("${BIND_ADDRESS:-127.0.0.1}:" if name in REACHED else "127.0.0.1:"), port


def test_no_secret_has_a_default_and_the_suite_does_not_start_without() -> None:
    secrets = 0
    for service in COMPOSE["services"].values():
        for name, value in service.get("environment", {}).items():
            if SECRET.search(name) and value is not None:
                secrets += 1
                assert re.fullmatch(r"\$\{\w+:\?[^}]+\}", value), name
    assert secrets > 0


def test_the_example_names_what_compose_asks_for_and_gives_no_secret() -> None:
    example = ROOT / ".env.example"
    offered = set(re.findall(r"^#?([A-Z_]+)=", example.read_text(), re.MULTILINE))
    passed_on = {
        name
        for service in COMPOSE["services"].values()
        for name, value in service.get("environment", {}).items()
        if value is None
    }
    elsewhere = {"DRAGONFLY_IMAGE"}
    assert offered == (_asked_for((ROOT / "compose.yaml").read_text()) | passed_on) - elsewhere
    filled_in = {name for name, value in dotenv_values(example).items() if value}
    assert filled_in == set(), "what has a value may be a secret that everybody knows"


def test_whoever_is_waited_for_exists_and_can_say_that_it_is_there() -> None:
    for service in COMPOSE["services"].values():
        for name, how in service.get("depends_on", {}).items():
            if name in SETUP:
                assert how == {"condition": "service_completed_successfully"}
            else:
                assert how == {"condition": "service_healthy"}
                assert "healthcheck" in COMPOSE["services"][name] or name in SERVICES, "the image has one of its own"


def test_the_door_opens_last() -> None:
    waited_for = COMPOSE["services"][GATEWAY]["depends_on"].keys()
    assert waited_for >= {"host_registry", "zone_manager", "session_manager", "scheduler"}


def test_every_mounted_file_exists() -> None:
    for service in COMPOSE["services"].values():
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            if not source.startswith("."):
                assert source in COMPOSE["volumes"], source
            elif not source.startswith("./secrets/"):  # made by `p2p nats configure`
                assert (ROOT / source).exists(), source


def test_each_service_that_stores_has_a_database_of_its_own_and_no_other_has_one() -> None:
    made = re.findall(r"CREATE DATABASE (\w+)", (ROOT / "deploy/postgres/databases.sql").read_text())
    assert sorted(made) == STORING
    used = {
        name: service["environment"]["POSTGRES_DB"]
        for name, service in COMPOSE["services"].items()
        if "POSTGRES_DB" in service.get("environment", {})
    }
    assert used == {service: service for service in STORING}
    for name in SERVICES:
        waits_for_postgres = "postgres" in COMPOSE["services"][name]["depends_on"]
        assert waits_for_postgres == (name in STORING), name


def test_what_stays_outside_of_images() -> None:
    taken = {line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"}
    copied = set(re.findall(r"^COPY (?!--from)(\S+(?: \S+)*) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE))
    assert {word.removeprefix("./") for words in copied for word in words.split()} - {"deploy/install.sh"} < taken
    assert not any("env" in name or "secrets" in name for name in taken)
