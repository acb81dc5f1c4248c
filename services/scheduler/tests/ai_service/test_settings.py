"""The AI service's variables, as the predecessor's users have them in their `.env`."""

import pytest
from pydantic import ValidationError
from scheduler.settings import Settings


def read(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Settings:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return Settings()


def test_nothing_is_asked_or_read_unless_somebody_says_so(monkeypatch: pytest.MonkeyPatch):
    settings = read(monkeypatch)
    assert (settings.ai_service_enabled, settings.ai_redis_url) == (False, "")


def test_the_names_of_the_predecessor_are_read(monkeypatch: pytest.MonkeyPatch):
    settings = read(
        monkeypatch,
        AI_SERVICE_ENABLED="true",
        AI_SERVICE_URL="http://ai.example:8000",
        AI_SERVICE_API_KEY="of-the-service",
        AI_SERVICE_NPCS='{"prontera": ["guard", "smith"]}',
        AI_REDIS_URL="redis://ai.example:6379/0",
    )
    assert settings.ai_service_enabled
    assert settings.ai_service_npcs == {"prontera": ("guard", "smith")}
    assert "of-the-service" not in repr(settings)


@pytest.mark.parametrize(
    "name, value",
    [
        ("AI_SERVICE_URL", "ai.example:8000"),
        ("AI_SERVICE_API_KEY", "two\nlines"),
        ("AI_SERVICE_NPCS", '{"prontera": ["a/b"]}'),
        ("AI_SERVICE_REQUESTS_PER_MINUTE", "0"),
        ("AI_REDIS_URL", "http://ai.example"),
    ],
)
def test_what_cannot_be_meant_stops_the_start(monkeypatch: pytest.MonkeyPatch, name: str, value: str):
    with pytest.raises(ValidationError, match=name):
        read(monkeypatch, **{name: value})


def test_a_misspelt_name_is_an_error_that_names_the_right_one(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(ValidationError, match="did you mean AI_SERVICE_ENABLED"):
        read(monkeypatch, AI_SERVICE_ENABLE="true")
