"""Every knob of the gateway."""

import re
from datetime import timedelta
from ipaddress import ip_address
from typing import Annotated, Literal, Self

from chassis.certificate import Certificate, CertificateError
from chassis.proxied import Network
from chassis.settings import Listed, RedisSettings, ServiceSettings, Words, shared
from pydantic import AfterValidator, Field, HttpUrl, TypeAdapter, model_validator
from pydantic_settings import SettingsConfigDict

from signaling_gateway.access.opening import Rules
from signaling_gateway.access.signing import Algorithm
from signaling_gateway.limits.rates import UNLIMITED, Rates, rates
from signaling_gateway.rooms.ice_servers import TurnServer


def _web_address(url: str) -> str:
    return str(TypeAdapter(HttpUrl).validate_python(url)).rstrip("/")


WebAddress = Annotated[str, AfterValidator(_web_address)]

SHORTEST_SECRET = 32
"""Characters: less than HS256's own length can be guessed at leisure by whoever has one token."""

EXAMPLES = ("change", "example", "secret", "your-", "your_", "password", "12345678", "default", "insecure", "test-key")
"""Words of secrets that were copied from documentation; a random one has none of them but once in millions."""

_ICE_PLACE = r"(\[[0-9a-f:.]+\]|[^\s:/?#@=\[\]]+)(:[0-9]{1,5})?(\?transport=(udp|tcp))?"
"""Host, port and transport of a STUN or TURN URL (RFC 7064, RFC 7065)."""

MAKE_ONE = "make one with: python -c 'import secrets; print(secrets.token_urlsafe(48))'"


class Settings(RedisSettings, ServiceSettings):
    """Read once, at the start."""

    model_config = SettingsConfigDict(env_prefix="SIGNALING_GATEWAY_")

    http_host: str = shared("HTTP_HOST", "P2P_SERVICE_HOST", default="127.0.0.1")
    http_port: int = shared("HTTP_PORT", "P2P_SERVICE_PORT", default=8001)

    mode: Literal["open", "enforced"] = shared("P2P_MODE", default="open")
    """open: anybody may do anything. enforced: everybody shows a key or a token, and may do what their role may."""

    open_to_network: bool = False
    """In open mode nobody is asked who they are, so only this machine may connect; unless this says that something
    else keeps strangers away from the address, such as a container's port published on loopback."""

    jwt_secret_key: str = shared("JWT_SECRET_KEY", "SECRET_KEY", default="", repr=False)
    """Makes the pair of keys that signs tokens, and the same for every gateway. In open mode one is made if there is
    none. Whoever is to verify tokens needs the public half alone: `/.well-known/jwks.json`."""

    jwt_previous_keys: Words = shared("JWT_PREVIOUS_KEYS", default=(), repr=False)
    """Others whose tokens hold. To rotate, put a new one here and restart the gateways; then exchange it with the
    present one and restart them again, so that each knows it before any signs with it."""

    token_algorithm: Algorithm = Algorithm.EDDSA
    """What signs tokens. HS256 is for an upgrade of several gateways, one after the other: until the last is new, since
    those of before know nothing else. Tokens of either hold at a new one."""

    jwt_expiration_seconds: int = shared("JWT_EXPIRATION_SECONDS", default=3840, ge=60, le=86_400)
    """The WARP client looks once an hour whether its token ends within five minutes; a shorter life loses it."""

    coordinator_api_key: str = shared("COORDINATOR_API_KEY", default="", repr=False)
    """A server's API key beside those that `p2p keys` makes."""

    api_key_validation_enabled: bool | None = shared("API_KEY_VALIDATION_ENABLED", default=None)
    """In open mode, true refuses an API key that is no good, which is ignored otherwise."""

    jwt_validation_enabled: bool | None = shared("JWT_VALIDATION_ENABLED", default=None)
    """In open mode, false ignores tokens that are sent, which are checked otherwise."""

    warp_anonymous: bool = shared("WARP_ANONYMOUS", default=False)
    """In enforced mode, lets game clients in that have no key, with few rights."""

    warp_peer_ids: str = shared("WARP_PEER_IDS", default="[0-9]{1,18}")
    """The peer_ids that they may have, as a regular expression for the whole of it."""

    cors_origins: Words = shared("CORS_ORIGINS", default=())
    """Origins of web pages that may call, beside our own; `*` lets every page."""

    allowed_hosts: Words = shared("ALLOWED_HOSTS", default=())
    """Names (of `Host`) that a gateway which listens on loopback answers to beside loopback's own, as behind a proxy on
    the same machine; `*` for any. Without it a web page could have its own name lead here, and be let in."""

    stun_servers: Words = shared("STUN_SERVER", default=())
    """stun: URLs; without one, peers find each other on a local network only. No public server is anyone's default."""

    turn_servers: Words = shared("TURN_SERVER", default=())
    """turn: and turns: URLs. `eu=turn:…` stands in region `eu`: whoever plays on a host that says the same of itself
    is given it before the others."""

    turn_secret: str = shared("TURN_SECRET", default="", repr=False)
    """Shared with the TURN server (coturn's `static-auth-secret`): credentials are made of it. To rotate, let coturn
    have both (it takes several `static-auth-secret`s, and any of them counts), then set the new one here, and take the
    old one from coturn when the last credentials made of it have ended."""

    turn_credentials_s: int = shared("TURN_CREDENTIALS_S", default=3600, ge=1, le=86_400)
    """How long they are good for: a connection needs them while it comes about or changes its way."""

    limits_enabled: bool | None = shared("LIMITS_ENABLED", default=None)
    """Whether anybody's requests are limited; by default in enforced mode, where somebody is who they say they are."""

    limit_anonymous_per_minute: int = Field(default=100, ge=1)
    """Requests of an address without a key or token. Its sockets' failures to show who they are count too."""

    limit_player_per_minute: int = Field(default=300, ge=1)

    limit_host_per_minute: int = Field(default=600, ge=1)

    limit_connects_per_second: int = Field(default=10, ge=1)
    """Sockets that an address may open."""

    limit_messages_per_second: int = Field(default=200, ge=1)
    """Frames of one socket; a busy negotiation has 30 in its first second, and then one now and then."""

    limit_messages_burst: int = Field(default=400, ge=2)

    limits_wait_s: float = Field(default=0.005, gt=0)
    """How long a request may wait for Redis to say what other gateways have granted; then this one decides alone."""

    trusted_proxies: Listed[Network] = shared("TRUSTED_PROXIES", default=())
    """Networks (CIDR) of proxies and balancers whose word counts for who the client is: X-Forwarded-For, or the PROXY
    protocol, version 2. Whatever anybody else says of it is ignored."""

    enable_p2p: bool = shared("ENABLE_P2P", default=True)

    tls_cert: str = shared("TLS_CERT", default="")
    """PEM file with the certificate and its chain: the port serves TLS beside clear text. Looked at each minute."""

    tls_key: str = shared("TLS_KEY", default="")
    """PEM file with its key, not encrypted."""

    traces_url: WebAddress | None = shared("TRACES_URL", default=None)
    """The store of spans of `p2p up`: the console shows a session's trace out of it."""
    traces_key: str = shared("TRACES_KEY", default="", repr=False)
    """What the store of spans asks for; the one of `p2p up` does in enforced mode."""

    jaeger_url: WebAddress | None = shared("JAEGER_URL", default=None)
    """Where people look at traces in Jaeger: the console links there."""

    answer_within_s: float = Field(default=30, gt=0)
    """A host that has not answered a player's offers for this long serves that player badly; p2p.js offers twice."""

    warp_upgrade_delay_s: float = 0.3
    """The shipped game client loses its first event when its upgrade is answered within 100 ms; thrice that is safe."""

    @property
    def names(self) -> tuple[str, ...] | None:
        """The names to answer to beside loopback's; None where every name is right."""
        return self.allowed_hosts if _is_loopback(self.http_host) else None

    @property
    def access_rules(self) -> Rules:
        return Rules(
            enforced=self.mode == "enforced",
            secret=self.jwt_secret_key,
            previous_secrets=self.jwt_previous_keys,
            algorithm=self.token_algorithm,
            token_life=timedelta(seconds=self.jwt_expiration_seconds),
            key_in_settings=self.coordinator_api_key,
            checks_keys=self.api_key_validation_enabled is True,
            checks_tokens=self.jwt_validation_enabled is not False,
            warp_anonymous=self.warp_anonymous,
            warp_peer_ids=self.warp_peer_ids,
        )

    @property
    def turn(self) -> tuple[TurnServer, ...]:
        return tuple(map(TurnServer.read, self.turn_servers))

    @property
    def turn_credentials(self) -> timedelta:
        return timedelta(seconds=self.turn_credentials_s)

    @property
    def rates(self) -> Rates:
        limited = self.mode == "enforced" if self.limits_enabled is None else self.limits_enabled
        if not limited:
            return UNLIMITED
        return rates(
            anonymous=self.limit_anonymous_per_minute,
            player=self.limit_player_per_minute,
            host=self.limit_host_per_minute,
            connects_per_s=self.limit_connects_per_second,
            messages_per_s=self.limit_messages_per_second,
            burst_of_messages=self.limit_messages_burst,
        )

    @model_validator(mode="after")
    def _ice_that_browsers_take(self) -> Self:
        # A browser throws for one that is malformed, and then nobody connects at all.
        for name, schemes, urls in (
            ("STUN_SERVER", "stun|stuns", self.stun_servers),
            ("TURN_SERVER", "turn|turns", tuple(server.url for server in self.turn)),
        ):
            for url in urls:
                if not re.fullmatch(rf"(({schemes}):)?{_ICE_PLACE}", url, re.IGNORECASE):
                    raise ValueError(f"{name}: {url!r} is none of {schemes.replace('|', ':, ')}:HOST or …:HOST:PORT")
        if self.turn_servers and not self.turn_secret:
            raise ValueError("TURN_SERVER needs TURN_SECRET, of which its credentials are made; or take it out")
        return self

    @model_validator(mode="after")
    def _regular_expression(self) -> Self:
        try:
            re.compile(self.warp_peer_ids)
        except re.error as error:
            raise ValueError(f"WARP_PEER_IDS is no regular expression: {error}") from None
        return self

    @model_validator(mode="after")
    def _enforced_with_secrets(self) -> Self:
        if self.mode != "enforced":
            return self
        if False in {self.api_key_validation_enabled, self.jwt_validation_enabled}:
            raise ValueError(
                "P2P_MODE=enforced checks keys and tokens: take API_KEY_VALIDATION_ENABLED=false and "
                "JWT_VALIDATION_ENABLED=false out, or set P2P_MODE=open"
            )
        if not self.jwt_secret_key:
            raise ValueError(f"P2P_MODE=enforced needs JWT_SECRET_KEY; {MAKE_ONE}")
        secrets = {"JWT_SECRET_KEY": (self.jwt_secret_key,), "JWT_PREVIOUS_KEYS": self.jwt_previous_keys}
        if self.coordinator_api_key:
            secrets["COORDINATOR_API_KEY"] = (self.coordinator_api_key,)
        for name, words in secrets.items():
            for secret in words:
                _require_secret(name, secret)
        return self

    @model_validator(mode="after")
    def _certificate_with_its_key(self) -> Self:
        if bool(self.tls_cert) != bool(self.tls_key):
            raise ValueError("TLS_CERT and TLS_KEY go together: the one without the other is of no use")
        if self.tls_cert:
            try:
                Certificate(self.tls_cert, self.tls_key)
            except CertificateError as error:
                raise ValueError(f"TLS_CERT, TLS_KEY: {error}") from error
        return self

    @model_validator(mode="after")
    def _open_on_loopback_only(self) -> Self:
        if self.mode == "open" and not (self.open_to_network or _is_loopback(self.http_host)):
            raise ValueError(
                f"in open mode anybody who reaches {self.http_host} may do anything: listen on 127.0.0.1, or, if the "
                "address is out of strangers' reach (a container's port published on loopback), set "
                "SIGNALING_GATEWAY_OPEN_TO_NETWORK=true; or have everybody asked who they are: P2P_MODE=enforced"
            )
        return self


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _require_secret(name: str, secret: str) -> None:
    if len(secret) < SHORTEST_SECRET or len(set(secret)) < SHORTEST_SECRET // 4:
        raise ValueError(f"{name} is too easy to guess, it needs {SHORTEST_SECRET} random characters; {MAKE_ONE}")
    if any(word in secret.lower() for word in EXAMPLES):
        raise ValueError(f"{name} is an example from a document; {MAKE_ONE}")
