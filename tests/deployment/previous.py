"""The release before this one, as far as it matters to its neighbours: the last contract, and programs that speak it.

Nothing has been released yet from which it could be taken, and where this is tested the history may not be there. So it
is made out of the present tree: the fields by which the contract grew last are taken away, from the messages and from
the one program that writes them itself, and so is the answer to what is asked of late. What is left is installed as any
release is.

When the contract grows, the growth is written down here and what stands here now goes.
"""

import ast
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from tests.deployment.environments import ROOT, install

SERVICES = ("host_registry", "signaling_gateway")

GROWN_BY: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "frames": {"SessionJoined": ("zone_id", "standby"), "HostMigrated": ("ice_servers", "reason")},
    "gateway": {"PeerPresence": ("keeps_seat",)},
    "hosts": {
        "Machine": ("accepts_probes",),
        "Host": ("measured_at", "jitter_ms", "upload_mbps", "accepts_probes"),
        "HostPage": ("count",),
    },
    "sessions": {
        "ListSessions": ("standby_host_id",),
        "ReportMetrics": ("player_id", "epoch"),
        "Session": ("standby",),
        "SessionFact": ("by_socket", "standby_seats"),
    },
    "zones": {"Judgement": ("connected",), "Requirements": ("standby",), "Zone": ("standby",)},
}
"""Module of contracts -> message -> fields."""

_HOST_REGISTRY = Path("services/host_registry/src/host_registry")
_GATEWAY = Path("services/signaling_gateway/src/signaling_gateway")

IN_PROGRAMS: Mapping[Path, tuple[str, ...]] = {
    _GATEWAY / "http/framework/gate.py": ("session.standby.host_id if session.standby is not None else None",),
    _GATEWAY / "rooms/entering.py": (
        "            if session is not None:\n                self._standing_by.note(room, session)\n",
        "                standby=room.standby if room is not None else None,\n",
    ),
    _GATEWAY / "rooms/hosting.py": (
        (
            "        async for session in self._live_sessions(standby_host_id=host_id):\n"
            "            await self._standing_by.follow(session)\n"
        ),
        "        elif session.status not in FINAL:\n            await self._standing_by.follow(session)\n",
    ),
    _GATEWAY / "rooms/session_facts.py": (
        "fact.by_socket",
        "        await self._standing_by.follow(fact.session, fact.reason)\n",
    ),
    _HOST_REGISTRY / "app.py": ("        answer_retelling(responder, RetellingStore(database))\n",),
    _HOST_REGISTRY / "occupancy.py": ("fact.session.standby", "fact.standby_seats"),
    _HOST_REGISTRY / "answers.py": (',"count":%d', ".encode(), count)"),
    _HOST_REGISTRY / "store/rows.py": (" s.measured_at, s.jitter_ms, s.upload_mbps, s.accepts_probes,",),
    _HOST_REGISTRY / "store/registrations.py": (
        " accepts_probes = excluded.accepts_probes,",
        " asked.accepts_probes,",
        " accepts_probes, last_beat,",
        ", accepts_probes",
    ),
}
"""File -> what is taken out of it, each as often as it is there."""

_INSTEAD = {
    "fact.by_socket": "False",
    "fact.session.standby": "None",
    "session.standby.host_id if session.standby is not None else None": "None",
    "fact.standby_seats": "None",
    " accepts_probes, last_beat,": " last_beat,",
    ".encode(), count)": ".encode())",
}


def install_previous(into: Path) -> None:
    """Make environments with the previous release's gateway and registry."""
    tree = into / "source"
    _copy(tree)
    for path, text in changed():
        (tree / path).write_text(text)
    install(SERVICES, into, tree)


def changed() -> Iterator[tuple[Path, str]]:
    """Each file that was otherwise, and as it was."""
    for module, messages in GROWN_BY.items():
        path = Path(f"libs/contracts/src/contracts/{module}.py")
        yield path, _without_fields((ROOT / path).read_text(), messages)
    for path, parts in IN_PROGRAMS.items():
        yield path, _without_parts((ROOT / path).read_text(), parts)


def _without_fields(source: str, gone: Mapping[str, Iterable[str]]) -> str:
    """A module without these fields of its messages, and without what is said of them."""
    lines = source.splitlines(keepends=True)
    left = {(message, field) for message, fields in gone.items() for field in fields}
    for message, field, first, last in reversed(list(_fields(ast.parse(source)))):
        if (message, field) in left:
            left.remove((message, field))
            del lines[first - 1 : last]
    assert left == set(), "no such fields"
    return "".join(lines)


def _fields(module: ast.Module) -> Iterator[tuple[str, str, int, int]]:
    """Message, field, and its first and last line, with those of its docstring."""
    for message in module.body:
        if isinstance(message, ast.ClassDef):
            for statement, following in zip(message.body, [*message.body[1:], None], strict=True):
                if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                    last = following if isinstance(following, ast.Expr) else statement
                    yield message.name, statement.target.id, statement.lineno, last.end_lineno or last.lineno


def _without_parts(text: str, parts: Iterable[str]) -> str:
    for part in parts:
        assert part in text, f"{part!r} is not there any more"
        text = text.replace(part, _INSTEAD.get(part, ""))
    return text


def _copy(tree: Path) -> None:
    for folder in ("deploy", "libs", "services"):
        shutil.copytree(ROOT / folder, tree / folder, ignore=shutil.ignore_patterns("tests", "__pycache__"))
    for file in ("pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / file, tree / file)
