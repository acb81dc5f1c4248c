"""One `.env` may serve every service: each takes its own variables from it, and leaves those of the others alone."""

import re
from importlib import import_module

import pytest
from chassis.settings import ServiceSettings
from embedded.catalogue import SERVICES

SETTINGS: dict[str, type[ServiceSettings]] = {
    service.name: import_module(f"{service.name}.settings").Settings for service in SERVICES
}

NO_SECRET = {"API_KEY_VALIDATION_ENABLED", "TLS_KEY"}
"""A switch, and a file already."""


@pytest.mark.parametrize("service", SETTINGS)
def test_it_takes_no_variable_of_another_service_for_a_misspelt_one_of_its_own(
    service: str, monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    monkeypatch.chdir(tmp_path)
    every = set[str]().union(*(settings.variables() for settings in SETTINGS.values()))
    others = dict.fromkeys(every - SETTINGS[service].variables(), "1")
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in others.items()))
    assert SETTINGS[service]().service_name() == service


@pytest.mark.parametrize("service", SETTINGS)
def test_each_of_its_secrets_may_stand_in_a_file_and_none_is_shown(
    service: str, monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    monkeypatch.chdir(tmp_path)
    named = {name for name in SETTINGS[service].variables() if re.search("SECRET|PASSWORD|KEY", name)} - NO_SECRET
    for name in named - {"SECRET_KEY"}:  # another name of JWT_SECRET_KEY
        secret = f"hunter2-{name}-k3Zq9vXw2LmPpR7tYb4NcD8sFh"
        (tmp_path / name).write_text(f"{secret}\n")
        monkeypatch.setenv(f"{name}_FILE", str(tmp_path / name))
    read = SETTINGS[service]()
    held = str(read.model_dump())
    assert {name for name in named - {"SECRET_KEY"} if f"hunter2-{name}-" not in held} == set()
    assert "hunter2" not in repr(read)
