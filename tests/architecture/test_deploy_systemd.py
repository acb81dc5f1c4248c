"""The unit for plain Linux is one that systemd takes, hardened, and says what the services say."""

import re
import subprocess
import sys
from configparser import ConfigParser
from importlib import import_module
from pathlib import Path

import pytest
from chassis.process import BAD_SETTINGS
from embedded.catalogue import SERVICES

DEPLOY = Path(__file__).parents[2] / "deploy" / "systemd"
UNIT = DEPLOY / "p2p@.service"


def _lines(name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text(), re.MULTILINE)


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit as it would be on a machine where the service is installed."""
    (command,) = _lines("ExecStart")
    program = command.split()[0]
    here = tmp_path / UNIT.name
    here.write_text(UNIT.read_text().replace(program, sys.executable))
    return here


def _analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("service", [service.name for service in SERVICES])
def test_systemd_takes_it_without_a_word(service: str, unit: Path) -> None:
    found = _analyze("verify", "--man=no", str(unit.with_name(f"p2p@{service}.service")))
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")


def test_what_systemd_does_not_know_is_found(unit: Path) -> None:
    unit.write_text(unit.read_text().replace("ProtectSystem=strict", "ProtectSystm=strict"))
    assert "ProtectSystm" in _analyze("verify", "--man=no", str(unit)).stderr


def test_it_is_exposed_as_little_as_a_network_service_can_be(unit: Path) -> None:
    """systemd's own measure, from 0 to 10, in tenths: its own well-kept services are between 1 and 2."""
    found = _analyze("security", "--offline=true", "--no-pager", "--threshold=15", str(unit))
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize("service", [service.name for service in SERVICES])
def test_each_variable_is_one_that_the_service_reads(service: str) -> None:
    known = import_module(f"{service}.settings").Settings.variables()
    set_here = {line.partition("=")[0] for line in _lines("Environment")} - {"PYTHONDONTWRITEBYTECODE"}
    for name in ("suite.env", f"{service}.env"):
        text = (DEPLOY / "examples" / name).read_text()
        assert set(re.findall(r"^#?([A-Z0-9_]+)=", text, re.MULTILINE)) | set_here <= known, name


def test_it_is_given_longer_to_stop_than_its_drain_takes() -> None:
    drain = float(next(line.partition("=")[2] for line in _lines("Environment") if line.startswith("DRAIN_SECONDS")))
    assert float(_lines("TimeoutStopSec")[0]) > drain


def test_a_bad_setting_is_not_tried_again_and_anything_else_is() -> None:
    assert _lines("Restart") == ["always"]
    assert _lines("RestartPreventExitStatus") == [str(BAD_SETTINGS)]


def test_no_port_is_given_twice() -> None:
    ports = [
        re.findall(r"^HTTP_PORT=(\d+)$", file.read_text(), re.MULTILINE) for file in (DEPLOY / "examples").glob("*.env")
    ]
    given = [port for one in ports for port in one]
    assert len(given) == len(set(given)) == len(SERVICES)


def test_it_is_ini_with_the_three_sections() -> None:
    unit = ConfigParser(strict=False, interpolation=None)
    unit.read(UNIT)
    assert unit.sections() == ["Unit", "Service", "Install"]
