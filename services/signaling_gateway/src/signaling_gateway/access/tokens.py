"""Tokens: what is in them, and what is refused of one whatever else it says.

Keys have ids, so that a new one may sign while tokens of the ones before still hold.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from contracts.access import Role
from contracts.identifiers import identifier
from jwt import PyJWTError

from signaling_gateway.access.errors import BadTokenError
from signaling_gateway.access.identity import Identity
from signaling_gateway.access.signing import Algorithm, KeyPair, PublicKey, jws, keys_of, signing_key

ISSUER = "p2p-coordinator"
ACCESS = "p2p-access"
TICKET = "p2p-ticket"
REFRESH = "p2p-refresh"
"""Audiences: a refresh token opens nothing, an access token refreshes nothing by itself."""

LEEWAY = timedelta(seconds=5)
"""What the clocks of gateways may differ by."""

TICKET_LIFE = timedelta(seconds=60)
FAMILY_LIFE = timedelta(hours=24)
REFRESHED_UP_TO = timedelta(minutes=5)
"""An access token may be exchanged for so long after its end."""

MOST_GENERATIONS = 2**31 - 1

LONGEST = 2048
"""Characters; ours have 580, and up to 1,100 where names are long."""

_REQUIRED = ("iss", "aud", "sub", "iat", "nbf", "exp", "jti", "role")

BEARERS = frozenset({Role.PLAYER, Role.HOST, Role.ANONYMOUS})
"""Who has tokens. Servers and operators have keys: a token that says it is theirs is of somebody who has the secret."""


class Tokens:
    """Signs with the first secret's key, and reads what any of them has signed."""

    def __init__(self, secrets: Sequence[str], life: timedelta, algorithm: Algorithm = Algorithm.EDDSA) -> None:
        self._signing = signing_key(secrets[0], algorithm)
        self._keys = keys_of(secrets)
        self._jws = jws()
        self.life = life

    @property
    def public_keys(self) -> tuple[PublicKey, ...]:
        """What verifies tokens without being able to make one; that of the first secret first."""
        return tuple(key.public for key in self._keys.values() if isinstance(key, KeyPair))

    def access(self, identity: Identity, now: datetime, token_id: str) -> str:
        return self._write(identity, ACCESS, now, self.life, token_id)

    def refresh(self, identity: Identity, now: datetime, token_id: str, until: datetime) -> str:
        return self._write(identity, REFRESH, now, until - now, token_id)

    def ticket(self, identity: Identity, now: datetime, token_id: str) -> str:
        return self._write(identity, TICKET, now, TICKET_LIFE, token_id)

    def _write(self, identity: Identity, audience: str, now: datetime, life: timedelta, token_id: str) -> str:
        claims = {
            "iss": ISSUER,
            "aud": audience,
            "sub": identity.name,
            "role": identity.role.value,
            "peer": identity.peer_id,
            "host": identity.host_id,
            "sid": identity.session_id,
            "key": identity.key_id,
            "fam": identity.family_id,
            "gen": identity.generation,
            "iat": round(now.timestamp(), 3),
            "nbf": round(now.timestamp(), 3),
            "exp": round((now + life).timestamp(), 3),
            "jti": token_id,
        }
        given = {name: value for name, value in claims.items() if value is not None}
        key = self._signing
        return self._jws.encode(orjson.dumps(given), key.signing, key.algorithm, headers={"kid": key.kid})

    def read(
        self, token: str, now: datetime, audiences: Sequence[str] = (ACCESS,), late: timedelta = timedelta(0)
    ) -> Identity:
        """Say who a token is; BadTokenError for one that is not ours, not for this, not yet or no longer good."""
        if len(token) > LONGEST:
            raise BadTokenError("too long")
        try:
            kid = self._jws.get_unverified_header(token).get("kid")
            key = self._keys.get(kid) if isinstance(kid, str) else None
            if key is None:
                raise BadTokenError("signed with a key that is not ours")
            # By the key's own algorithm, whatever the token says.
            payload = self._jws.decode(token, key.verifying, algorithms=[key.algorithm])
            return _identity(_claims(payload, audiences), now, late)
        except PyJWTError as error:
            raise BadTokenError(type(error).__name__) from None  # its text may hold parts of the token
        except (KeyError, TypeError, ValueError, OverflowError):
            raise BadTokenError("claims of another shape") from None


def _claims(payload: bytes, audiences: Sequence[str]) -> Mapping[str, Any]:
    """Read what is claimed, of us, for one of these uses."""
    claims = orjson.loads(payload)
    if not isinstance(claims, dict) or any(claims.get(name) is None for name in _REQUIRED):
        raise ValueError("claims are missing")
    if claims["iss"] != ISSUER:
        raise BadTokenError("of another issuer")
    meant_for = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    if not any(audience in meant_for for audience in audiences):
        raise BadTokenError("for another use")
    return claims


def _identity(claims: Mapping[str, Any], now: datetime, late: timedelta) -> Identity:
    expires_at = datetime.fromtimestamp(claims["exp"], UTC)
    if now >= expires_at + late:
        raise BadTokenError("expired")
    if now + LEEWAY < datetime.fromtimestamp(claims["nbf"], UTC):
        raise BadTokenError("not yet valid")
    role = Role(claims["role"])
    if role not in BEARERS:
        raise ValueError("a role that has keys and no tokens")
    return Identity(
        role=role,
        name=identifier(claims["sub"]),
        peer_id=_named(claims, "peer"),
        host_id=_named(claims, "host"),
        session_id=_named(claims, "sid"),
        key_id=_named(claims, "key"),
        family_id=_named(claims, "fam"),
        generation=_generation(claims.get("gen", 0)),
        issued_at=datetime.fromtimestamp(claims["iat"], UTC),
        expires_at=expires_at,
    )


def _named(claims: Mapping[str, Any], claim: str) -> str | None:
    # Another program may have the secret, and a laxer idea of names.
    return identifier(claims[claim]) if claim in claims else None


def _generation(claim: Any) -> int:
    if type(claim) is not int or not 0 <= claim <= MOST_GENERATIONS:
        raise ValueError("no generation of a family")
    return claim
