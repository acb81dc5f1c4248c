"""What the OpenAPI document says of who may: for programs, in words, and how one shows who one is."""

from typing import Any

from contracts.access import Role

from signaling_gateway.access.permissions import Permission

SCHEMES: dict[str, Any] = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "Players and hosts: a token of `POST /api/v1/auth/token`. An API key is taken here too.",
    },
    "key": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "Game servers, AI servers and operators: a key of `POST /api/v1/auth/keys`, or of the settings.",
    },
}

_WITH_KEYS = frozenset({Role.SERVER, Role.OPERATOR})


def who_may(permission: Permission) -> dict[str, Any]:
    """For programs: `security`, and `x-permissions` by role with what must be so beside it."""
    ways: list[dict[str, list[str]]] = [{}] if Role.ANONYMOUS in permission.who else []
    ways.append({"token": []})
    if not _WITH_KEYS.isdisjoint(permission.who):
        ways.append({"key": []})
    conditions = {role.value: condition.name.lower() for role, condition in permission.who.items()}
    return {"security": ways, "x-permissions": conditions}


def in_words(permission: Permission) -> str:
    """For people: who may in enforced mode, and what must be so beside it."""
    if all(not condition.value for condition in permission.who.values()) and Role.ANONYMOUS in permission.who:
        return "Open to everybody."
    roles = [
        f"{role} ({condition.value.rstrip('.')})" if condition.value else role.value
        for role, condition in permission.who.items()
    ]
    return f"In enforced mode for: {', '.join(roles)}."
