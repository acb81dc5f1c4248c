"""NATS's tokens: what an operator, an account or a user is, signed by whoever vouches for it (JWT, version 2)."""

import json
import os
from base64 import b32encode, urlsafe_b64encode
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from hashlib import sha256
from typing import Any

import nkeys

_HEADER = {"typ": "JWT", "alg": "ed25519-nkey"}


class Kind(IntEnum):
    """Of a key; NATS spells it in the first letter."""

    OPERATOR = nkeys.PREFIX_BYTE_OPERATOR
    ACCOUNT = nkeys.PREFIX_BYTE_ACCOUNT
    USER = nkeys.PREFIX_BYTE_USER


@dataclass(frozen=True)
class Key:
    """An Ed25519 key, as its seed: whoever has that can sign."""

    seed: str

    @classmethod
    def made(cls, kind: Kind) -> "Key":
        return cls(nkeys.encode_seed(os.urandom(32), kind).decode())

    @cached_property
    def _pair(self) -> nkeys.KeyPair:
        return nkeys.from_seed(bytearray(self.seed.encode()))

    @property
    def public(self) -> str:
        """What others know it by."""
        return str(self._pair.public_key.decode())

    def sign(self, text: str) -> bytes:
        return bytes(self._pair.sign(text.encode()))


def token(
    signer: Key, subject: str, name: str, nats: dict[str, Any], *, issued_at: int, expires_at: int | None = None
) -> str:
    """Have `signer` say of the key `subject` what `nats` says; the same words give the same token."""
    claims = {"iss": signer.public, "sub": subject, "name": name, "iat": issued_at, "nats": nats}
    if expires_at is not None:
        claims["exp"] = expires_at
    claims["jti"] = b32encode(sha256(_json(claims)).digest()).rstrip(b"=").decode()
    signed = f"{_base64(_json(_HEADER))}.{_base64(_json(claims))}"
    return f"{signed}.{_base64(signer.sign(signed))}"


def credentials(user_token: str, user: Key) -> str:
    """The text of a `.creds` file, as every NATS client reads it."""
    return f"""\
-----BEGIN NATS USER JWT-----
{user_token}
------END NATS USER JWT------

************************* IMPORTANT *************************
Whoever has the seed below is this user: keep the file to yourself.

-----BEGIN USER NKEY SEED-----
{user.seed}
------END USER NKEY SEED------
"""


def _json(claims: dict[str, Any]) -> bytes:
    return json.dumps(claims, separators=(",", ":")).encode()


def _base64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
