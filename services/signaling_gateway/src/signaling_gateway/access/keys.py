"""API keys: 256 random bits behind a prefix that tells people, and secret scanners, what it is."""

from base64 import urlsafe_b64encode
from hashlib import sha256

from contracts.access import Role

PREFIX = "p2p_"
RANDOM_BYTES = 32
ID_LETTERS = 12


def written(role: Role, random: bytes) -> str:
    """Write a key of `RANDOM_BYTES` random bytes."""
    return f"{PREFIX}{role}_{urlsafe_b64encode(random).decode().rstrip('=')}"


def fingerprint(key: str) -> bytes:
    """What is kept of a key.

    Keys are looked up by it: how long that takes tells of the hash of what was sent, which says nothing about a key.
    """
    return sha256(key.encode()).digest()


def id_of(key: str) -> str:
    """The name under which a key is listed and revoked."""
    return f"k-{fingerprint(key).hex()[:ID_LETTERS]}"
