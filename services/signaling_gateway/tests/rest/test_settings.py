"""What the environment may say to the gateway, under our names and the predecessor's."""

import pytest
from pydantic import ValidationError
from signaling_gateway.settings import Settings


@pytest.fixture(autouse=True)
def _nothing_else(monkeypatch: pytest.MonkeyPatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in ("HTTP_HOST", "HTTP_PORT", "NATS_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.77.1.1", "::1", "localhost"])
def test_loopback_needs_no_permission(host: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HTTP_HOST", host)

    assert Settings().http_host == host


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "game.example"])
def test_any_other_address_is_refused_with_what_to_do(host: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HTTP_HOST", host)

    with pytest.raises(ValidationError, match="SIGNALING_GATEWAY_OPEN_TO_NETWORK"):
        Settings()


def test_an_operator_may_say_that_strangers_are_kept_away(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HTTP_HOST", "0.0.0.0")
    monkeypatch.setenv("SIGNALING_GATEWAY_OPEN_TO_NETWORK", "true")

    assert Settings().http_host == "0.0.0.0"


def test_the_predecessors_names_still_mean_something(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("P2P_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("P2P_SERVICE_PORT", "9001")
    monkeypatch.setenv("STUN_SERVER", "stun:stun.example:3478")
    monkeypatch.setenv("ENABLE_P2P", "false")

    settings = Settings()

    assert (settings.http_port, settings.stun_servers, settings.enable_p2p) == (
        9001,
        ("stun:stun.example:3478",),
        False,
    )


@pytest.mark.parametrize(
    "written", ["https://a.example, https://b.example", '["https://a.example", "https://b.example"]']
)
def test_a_list_may_be_json_or_words_between_commas(written: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CORS_ORIGINS", written)

    assert Settings().cors_origins == ("https://a.example", "https://b.example")


def test_a_misspelt_setting_names_the_nearest(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SIGNALING_GATEWAY_OPEN_TO_NETWORKS", "true")

    with pytest.raises(ValidationError, match="did you mean SIGNALING_GATEWAY_OPEN_TO_NETWORK"):
        Settings()
