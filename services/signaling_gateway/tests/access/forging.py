"""Tokens as somebody else would make them, who has a secret or knows a public key: by PyJWT's Ed25519, not ours."""

from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from signaling_gateway.access.signing import Algorithm, KeyPair, signing_key


def signed(claims: dict[str, Any], secret: str, algorithm: Algorithm, *, kid: str | None = None) -> str:
    """Sign claims with the key that the secret makes, in the name of another if `kid` says so."""
    pair = KeyPair(secret)
    key: Any = Ed25519PrivateKey.from_private_bytes(bytes(pair.signing)) if algorithm is Algorithm.EDDSA else secret
    return jwt.encode(claims, key, algorithm, headers={"kid": kid or signing_key(secret, algorithm).kid})


def unsigned(claims: dict[str, Any], kid: str) -> str:
    return jwt.encode(claims, "", algorithm="none", headers={"kid": kid})


def claims_of(token: str) -> dict[str, Any]:
    """What it says, whoever has signed it."""
    found: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return found


def kid_of(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])
