"""What the environment may say to the gateway, under our names and the predecessor's."""

import pytest
from contracts.access import Role
from embedded.certificates import keep_certificates
from pydantic import ValidationError
from signaling_gateway.access.signing import Algorithm
from signaling_gateway.limits.rates import UNLIMITED
from signaling_gateway.settings import Settings

GOOD = "k3Zq9vXw2LmPpR7tYb4NcD8sFh1JgA6uE0iOQ5Wx"


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


@pytest.mark.parametrize(
    ("misspelt", "nearest"),
    [("CORS_ORIGIN", "CORS_ORIGINS"), ("JWT_SECRETKEY", "JWT_SECRET_KEY"), ("STUN_SERVERS", "STUN_SERVER")],
)
def test_so_does_one_under_a_name_that_the_predecessor_had(
    misspelt: str, nearest: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(misspelt, "1")

    with pytest.raises(ValidationError, match=f"{misspelt} is no setting; did you mean {nearest}?"):
        Settings()


def test_a_certificate_comes_with_its_key(monkeypatch: pytest.MonkeyPatch, tmp_path):
    kept = keep_certificates(tmp_path / "secrets")
    monkeypatch.setenv("TLS_CERT", str(kept.certificate))
    with pytest.raises(ValidationError, match="TLS_CERT and TLS_KEY go together"):
        Settings()
    monkeypatch.setenv("TLS_KEY", str(kept.key))
    assert Settings().tls_key == str(kept.key)


def test_a_certificate_that_cannot_be_used_is_refused_in_words(monkeypatch: pytest.MonkeyPatch, tmp_path):
    kept = keep_certificates(tmp_path / "secrets")
    monkeypatch.setenv("TLS_CERT", str(kept.certificate))
    monkeypatch.setenv("TLS_KEY", str(keep_certificates(tmp_path / "elsewhere").key))
    with pytest.raises(ValidationError, match=r"server-key.pem is not the key of .*server.pem"):
        Settings()
    monkeypatch.setenv("TLS_KEY", str(tmp_path / "nowhere.pem"))
    with pytest.raises(ValidationError, match=r"cannot read .*nowhere.pem: No such file"):
        Settings()


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({}, "needs JWT_SECRET_KEY"),
        ({"JWT_SECRET_KEY": "short"}, "JWT_SECRET_KEY is too easy"),
        ({"JWT_SECRET_KEY": "a" * 40}, "JWT_SECRET_KEY is too easy"),
        ({"JWT_SECRET_KEY": "change-me-k3Zq9vXw2LmPpR7tYb4NcD8sFh"}, "JWT_SECRET_KEY is an example"),
        ({"SECRET_KEY": "your-super-secret-key-of-32-characters"}, "JWT_SECRET_KEY is an example"),
        ({"JWT_SECRET_KEY": GOOD, "JWT_PREVIOUS_KEYS": "short"}, "JWT_PREVIOUS_KEYS is too easy"),
        ({"JWT_SECRET_KEY": GOOD, "COORDINATOR_API_KEY": "short"}, "COORDINATOR_API_KEY is too easy"),
    ],
)
def test_enforced_mode_starts_with_good_secrets_alone_and_says_how_to_make_one(
    variables: dict[str, str], told: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("P2P_MODE", "enforced")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(ValidationError, match=f"{told}.*token_urlsafe") as refused:
        Settings()

    errors = refused.value.errors(include_input=False, include_context=False)
    assert not any(value in str(errors) for value in variables.values() if value != "short")


@pytest.mark.parametrize("switch", ["API_KEY_VALIDATION_ENABLED", "JWT_VALIDATION_ENABLED"])
def test_enforced_mode_cannot_be_told_not_to_look(switch: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("P2P_MODE", "enforced")
    monkeypatch.setenv("JWT_SECRET_KEY", GOOD)
    monkeypatch.setenv(switch, "false")

    with pytest.raises(ValidationError, match=f"{switch}=false"):
        Settings()


def test_enforced_mode_may_listen_anywhere(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("P2P_MODE", "enforced")
    monkeypatch.setenv("JWT_SECRET_KEY", GOOD)
    monkeypatch.setenv("HTTP_HOST", "0.0.0.0")

    settings = Settings()

    assert settings.access_rules.enforced
    assert GOOD not in repr(settings)


def test_the_predecessors_switches_mean_something_in_open_mode(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("API_KEY_VALIDATION_ENABLED", "true")
    monkeypatch.setenv("JWT_VALIDATION_ENABLED", "false")

    rules = Settings().access_rules

    assert (rules.enforced, rules.checks_keys, rules.checks_tokens) == (False, True, False)


def test_limits_are_on_in_enforced_mode_and_off_in_open_mode_unless_said_otherwise(monkeypatch: pytest.MonkeyPatch):
    assert Settings().rates is UNLIMITED
    monkeypatch.setenv("LIMITS_ENABLED", "true")
    assert Settings().rates is not UNLIMITED
    monkeypatch.setenv("P2P_MODE", "enforced")
    monkeypatch.setenv("JWT_SECRET_KEY", GOOD)
    monkeypatch.setenv("LIMITS_ENABLED", "false")
    assert Settings().rates is UNLIMITED
    monkeypatch.delenv("LIMITS_ENABLED")
    rates = Settings().rates
    assert {role: limit.burst for role, limit in rates.requests.items()} == {
        Role.ANONYMOUS: 100,
        Role.PLAYER: 300,
        Role.HOST: 600,
    }
    assert rates.connects is not None
    assert rates.messages is not None
    assert (rates.connects.burst, rates.messages.burst) == (10, 400)
    assert rates.messages.interval == 5_000_000


def test_trusted_proxies_are_networks_or_addresses(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TRUSTED_PROXIES", "10.0.0.0/8, 192.0.2.7, fd00::/8")

    assert [str(network) for network in Settings().trusted_proxies] == ["10.0.0.0/8", "192.0.2.7/32", "fd00::/8"]

    monkeypatch.setenv("TRUSTED_PROXIES", "balancer.example")
    with pytest.raises(ValidationError, match="TRUSTED_PROXIES"):
        Settings()


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"stun_servers": ("http://stun.example",)}, "STUN_SERVER"),
        ({"stun_servers": ("turn:stun.example",)}, "STUN_SERVER"),
        ({"stun_servers": ("stun:",)}, "STUN_SERVER"),
        ({"stun_servers": ("stun:a b",)}, "STUN_SERVER"),
        ({"turn_servers": ("turn:t.example?transport=sctp",), "turn_secret": "s"}, "TURN_SERVER"),
        ({"turn_servers": ("turn:t.example:x",), "turn_secret": "s"}, "TURN_SERVER"),
        ({"turn_servers": ("eu=stun:t.example",), "turn_secret": "s"}, "TURN_SERVER"),
        ({"turn_servers": ("eu=",), "turn_secret": "s"}, "TURN_SERVER"),
        ({"turn_servers": ("=turn:t.example",), "turn_secret": "s"}, "TURN_SERVER"),
        ({"turn_servers": ("eu=us=turn:t.example",), "turn_secret": "s"}, "TURN_SERVER"),
        ({"turn_servers": ("turn:t.example",)}, "TURN_SECRET"),
        ({"turn_servers": ("eu=turn:t.example",)}, "TURN_SECRET"),
    ],
)
def test_ice_servers_that_a_browser_would_throw_at_are_refused_in_words(settings, word):
    with pytest.raises(ValidationError, match=word):
        Settings(**settings)


def test_ice_servers_that_a_browser_takes_are_taken():
    Settings(
        stun_servers=("stun:a.example", "stuns:a.example:5349", "10.0.0.1:3478", "stun:[::1]:3478"),
        turn_servers=(
            "turn:t.example:3478?transport=udp",
            "TURNS:t.example",
            "eu=t.example",
            "the far east = turn:e.example",
        ),
        turn_secret="s3cret",
    )


def test_tokens_are_signed_with_eddsa_unless_something_else_is_said_that_we_know(monkeypatch: pytest.MonkeyPatch):
    assert Settings().access_rules.algorithm is Algorithm.EDDSA
    monkeypatch.setenv("SIGNALING_GATEWAY_TOKEN_ALGORITHM", "HS256")
    assert Settings().access_rules.algorithm is Algorithm.HS256
    for other in ("none", "RS256", ""):
        monkeypatch.setenv("SIGNALING_GATEWAY_TOKEN_ALGORITHM", other)
        with pytest.raises(ValidationError, match="token_algorithm"):
            Settings()


def test_the_regions_of_turn_servers_are_read_from_one_variable(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TURN_SECRET", "s3cret")
    monkeypatch.setenv("TURN_SERVER", "eu=turn:a.example, us = turns:b.example:5349?transport=tcp,c.example")

    assert [(server.region, server.url) for server in Settings().turn] == [
        ("eu", "turn:a.example"),
        ("us", "turns:b.example:5349?transport=tcp"),
        (None, "turn:c.example"),
    ]
