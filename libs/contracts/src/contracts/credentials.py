"""Who a NATS credentials file is for, and where that user's answers go; the file's own format is NATS's."""

import binascii
import json
import re
from base64 import urlsafe_b64decode

_TOKEN = re.compile(r"-----BEGIN NATS USER JWT-----\s+(\S+)\s")

USER_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""One subject token, since the name is part of the user's inbox."""


READERS = 16
"""How many readers of a stream a user may have at once: NATS can permit a consumer's name, but no beginning of one."""


def reader_names(user: str) -> list[str]:
    """The names that `user`, and nobody else, may give to consumers of its own."""
    return [f"{user}-{number}" for number in range(READERS)]


def inbox_prefix(user: str) -> str:
    """Where `user`, and nobody else, may listen for answers; clients of NATS take it as their inbox prefix."""
    return f"_INBOX_{user}"


def user_of(credentials: str) -> str:
    """Read the user's name from the text of a credentials file; ValueError when it is none."""
    found = _TOKEN.search(credentials)
    if found is None:
        raise ValueError("it is no NATS credentials file: there is no user JWT in it")
    try:
        claims = json.loads(_decoded(found[1].split(".")[1]))
        name = claims["name"]
    except (binascii.Error, ValueError, LookupError, TypeError) as error:
        raise ValueError("the user JWT in it cannot be read") from error
    if not isinstance(name, str) or not USER_NAME.fullmatch(name):
        raise ValueError("the user it names cannot be an inbox's: letters, digits, _ and - make a name")
    return name


def _decoded(part: str) -> bytes:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))
