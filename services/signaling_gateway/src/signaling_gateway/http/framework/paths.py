"""One spelling of every path, before anything is routed and without a redirect: `/api/hosts/` is `/api/v1/hosts`."""

from urllib.parse import unquote

from signaling_gateway.http.framework.reading import malformed
from signaling_gateway.http.framework.routing import API

_ALIAS = "/api/"
_CANONICAL = API + "/"


def canonical(path: str) -> str:
    """Give the canonical spelling of a path, percent-encoded as it came."""
    if path.startswith(_ALIAS) and not path.startswith(_CANONICAL):
        path = _CANONICAL + path[len(_ALIAS) :]
    if path.endswith("/") and len(path) > 1 and not _of_files(path):
        return path[:-1]
    return path


def _of_files(path: str) -> bool:
    # A page's relative links need its slash.
    return path.startswith(("/demo/", "/sdk/"))


def words(path: str) -> list[str]:
    """The decoded words of a canonical path; InvalidError when one of them can be no identifier."""
    found = path[1:].split("/")
    return [_decoded(word) for word in found] if "%" in path else found


def _decoded(word: str) -> str:
    try:
        text = unquote(word, errors="strict")
    except UnicodeDecodeError:
        raise _unusable("Must be UTF-8") from None
    if "/" in text:
        raise _unusable("An identifier must not contain '/'")
    if "\x00" in text:
        raise _unusable("An identifier must not contain the character U+0000")
    return text


def _unusable(why: str) -> Exception:
    return malformed({"loc": ["path"], "msg": why, "type": "value_error"})
