"""The keys that tokens are signed with, and what of them anybody may know.

A secret makes two keys, each with an id (`kid`) of its own: an Ed25519 pair, whose public half verifies and cannot
sign, and the secret itself for HS256, by which tokens hold that were signed before there were pairs. An id stands for
one algorithm: a token that names the one key and the other algorithm is no token.
"""

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Any

from jwt import PyJWS
from jwt.algorithms import Algorithm as Signing
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

_DERIVED_FOR = b"p2p-coordinator tokens"
_THE_SEED = b"Ed25519 seed 1\x01"
"""RFC 5869's `info` and the number of the block, which is the only one. Another text is another pair."""


class Algorithm(StrEnum):
    """What a token may be signed by, as its header says it (RFC 7518, RFC 8037)."""

    EDDSA = "EdDSA"
    HS256 = "HS256"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """The half of a pair that everybody may have, in RFC 8037's letters."""

    kid: str
    x: str


class KeyPair:
    """Ed25519, made of a secret: whoever has the secret has the pair, and nothing but the secret need be kept."""

    algorithm = Algorithm.EDDSA

    def __init__(self, secret: str) -> None:
        self.signing: Any = SigningKey(_seed(secret))
        self.verifying: Any = self.signing.verify_key
        x = _base64url(bytes(self.verifying))
        self.public = PublicKey(_thumbprint(x), x)

    @property
    def kid(self) -> str:
        return self.public.kid


class SharedSecret:
    """HS256: whoever verifies could sign as well."""

    algorithm = Algorithm.HS256

    def __init__(self, secret: str) -> None:
        self.signing: Any = secret
        self.verifying: Any = secret

    @property
    def kid(self) -> str:
        return sha256(b"p2p kid " + self.signing.encode()).hexdigest()[:8]


Key = KeyPair | SharedSecret


def keys_of(secrets: Iterable[str]) -> Mapping[str, Key]:
    """Every key whose tokens hold, by its id."""
    made: list[Key] = [kind(secret) for secret in secrets for kind in (KeyPair, SharedSecret)]
    return {key.kid: key for key in made}


def signing_key(secret: str, algorithm: Algorithm) -> Key:
    """The one of a secret's keys that signs."""
    return KeyPair(secret) if algorithm is Algorithm.EDDSA else SharedSecret(secret)


def jws() -> PyJWS:
    """What signs and verifies by our two algorithms, and knows no other."""
    known = PyJWS(algorithms=[Algorithm.HS256])
    known.register_algorithm(Algorithm.EDDSA, _Ed25519())
    return known


class _Ed25519(Signing):
    """By libsodium, which comes with signing in to NATS; PyJWT's own needs `cryptography`: 16 MB more.

    Keys are neither written nor read as JWK here, as PyJWT would have it: `http/auth.py` writes the public ones.
    """

    def prepare_key(self, key: Any) -> Any:
        if not isinstance(key, SigningKey | VerifyKey):
            raise TypeError("no Ed25519 key")
        return key

    def sign(self, msg: bytes, key: SigningKey) -> bytes:
        return key.sign(msg).signature

    def verify(self, msg: bytes, key: VerifyKey, sig: bytes) -> bool:
        try:
            key.verify(msg, sig)
        except (BadSignatureError, ValueError):  # ValueError: of another length
            return False
        return True

    @staticmethod
    def to_jwk(key_obj: Any, *_: Any, **__: Any) -> Any:
        raise NotImplementedError

    @staticmethod
    def from_jwk(jwk: Any) -> Any:
        raise NotImplementedError


def _seed(secret: str) -> bytes:
    """HKDF (RFC 5869): 32 bytes that tell nothing of the secret, nor of what HS256 makes of it."""
    extracted = hmac.digest(_DERIVED_FOR, secret.encode(), "sha256")
    return hmac.digest(extracted, _THE_SEED, "sha256")


def _thumbprint(x: str) -> str:
    """RFC 7638: the same everywhere, for whoever has the key."""
    canonical = f'{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}'
    return _base64url(sha256(canonical.encode()).digest())


def _base64url(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")
