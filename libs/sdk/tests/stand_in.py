"""A coordinator of one process and no memory: what the wire contract says a client sees, for tests of clients."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web
from testkit.patience import within

Json = dict[str, Any]

SIGNALS = {"offer": "sdp", "answer": "sdp", "ice-candidate": "candidate"}


@dataclass
class SessionState:
    session_id: str
    zone_id: str
    host_id: str
    epoch: int = 1
    players: list[str] = field(default_factory=list)

    def as_json(self) -> Json:
        now = _now()
        return {
            "id": 1,
            "session_id": self.session_id,
            "host_id": self.host_id,
            "host_peer_id": self.host_id,
            "zone_id": self.zone_id,
            "connected_players": self.players,
            "current_players": len(self.players),
            "max_players": 50,
            "status": "active",
            "average_latency_ms": None,
            "average_packet_loss_percent": None,
            "bandwidth_usage_mbps": None,
            "quality_score": None,
            "connection_type": "webrtc",
            "epoch": self.epoch,
            "end_reason": None,
            "last_activity_at": now,
            "started_at": now,
            "ended_at": None,
            "created_at": now,
            "updated_at": now,
        }


class StandIn:
    """Its state is open to the test, which may change it, send frames of its own, and close sockets."""

    def __init__(self, web_root: Path | None = None) -> None:
        self.url = ""
        self.hosts: dict[str, Json] = {}
        self.beats: list[Json] = []
        self.drained: list[str] = []
        self.drains_for = "host_lost"
        """The reason for which a draining host loses its sessions: nobody takes them, unless it is `host_draining`."""
        self.stands_still = False
        """Answers no `ping`."""
        self.sessions: dict[str, SessionState] = {}
        self.sockets: dict[str, web.WebSocketResponse] = {}
        self.dialled: list[str] = []
        """The peers whose sockets came, each time one came."""
        self.frames: list[tuple[str, Json]] = []
        """What came over signaling, with the peer it came from."""
        self.measures: list[Json] = []
        """What players say of their connections, each with its session."""
        self.refuse_measures_with = 0
        self.checkpoints: dict[str, tuple[int, bytes]] = {}
        """The newest of each session, behind its sequence."""
        self.ice_servers: list[Json] = []
        self.refuse_sockets_with = 0
        self.takes_sockets = asyncio.Event()
        self.takes_sockets.set()
        self._changed = asyncio.Condition()
        self._web_root = web_root

    def app(self) -> web.Application:
        app = web.Application()
        api = "/api/v1"
        app.router.add_post(f"{api}/hosts/register", self._register)
        app.router.add_post(f"{api}/hosts/{{host_id}}/heartbeat", self._beat)
        app.router.add_post(f"{api}/hosts/{{host_id}}/drain", self._drain)
        app.router.add_delete(f"{api}/hosts/{{host_id}}", self._unregister)
        app.router.add_get(f"{api}/sessions/host/{{host_id}}/active", self._active)
        app.router.add_patch(f"{api}/sessions/{{session_id}}/metrics", self._measured)
        app.router.add_put(f"{api}/sessions/{{session_id}}/checkpoint", self._keep_checkpoint)
        app.router.add_get(f"{api}/sessions/{{session_id}}/checkpoint", self._checkpoint)
        app.router.add_get(f"{api}/signaling/ice-servers", self._ice_servers)
        app.router.add_get(f"{api}/zones/p2p/enabled", self._zones)
        app.router.add_get(f"{api}/signaling/ws", self._socket)
        if self._web_root:
            app.router.add_get("/demo/", self._demo)
            app.router.add_static("/demo", self._web_root / "demo")
            app.router.add_static("/sdk", self._web_root / "sdk")
        return app

    async def until(self, condition: Any) -> None:
        """Wait until something here has changed so that the condition holds."""
        async with within(10), self._changed:
            await self._changed.wait_for(condition)

    async def assign(self, session_id: str, zone_id: str, host_id: str) -> SessionState:
        """Give the host a session, as a placement would; it is told if it is connected."""
        session = self.sessions[session_id] = SessionState(session_id, zone_id, host_id)
        if host_id in self.sockets:
            await self.send(host_id, _assigned(session))
        return session

    async def move(self, session_id: str, host_id: str, reason: str) -> None:
        """Give the session to another host, and tell everybody as the gateway does."""
        session = self.sessions[session_id]
        former, session.host_id = session.host_id, host_id
        session.epoch += 1
        moved = {"session_id": session_id, "host_id": host_id, "host_peer_id": host_id, "epoch": session.epoch}
        for player in session.players:
            await self.send(player, {"type": "host-migrated", **moved, "reason": reason})
        await self.send(host_id, _assigned(session))
        await self.send(former, {"type": "session-released", "session_id": session_id, "reason": reason})

    async def stand_by(self, session_id: str, host_id: str) -> None:
        """Have this host stand by for the session, and tell everybody as the gateway does."""
        session = self.sessions[session_id]
        named = {"host_id": host_id, "host_peer_id": host_id}
        for player in session.players:
            told = {"type": "session-standby", "session_id": session_id, "epoch": session.epoch, "standby": named}
            await self.send(player, told)
        await self.send(host_id, _assigned(session) | {"type": "standby-assigned"})

    async def send(self, peer_id: str, frame: Mapping[str, Any]) -> None:
        await self.sockets[peer_id].send_json(frame)

    async def tell_npcs(self, peer_id: str, zone_id: str, seq: int, *npcs: Json, **more: Any) -> None:
        """Send a message of the zone's feed: a delta, unless it is said to be `full`."""
        feed = {"zone_id": zone_id, "seq": seq, "ts": _now(), "full": False, "npcs": npcs, "removed": []}
        await self.send(peer_id, {"type": "npc-state", **feed, **more})

    async def close(self, peer_id: str, code: int, message: bytes = b"") -> None:
        await self.sockets[peer_id].close(code=code, message=message)

    def frames_from(self, peer_id: str, kind: str) -> list[Json]:
        return [frame for sender, frame in self.frames if sender == peer_id and frame["type"] == kind]

    async def _happened(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _demo(self, _: web.Request) -> web.FileResponse:
        assert self._web_root
        return web.FileResponse(self._web_root / "demo" / "index.html")

    async def _register(self, request: web.Request) -> web.Response:
        asked = await request.json()
        self.hosts[asked["host_id"]] = asked
        await self._happened()
        return web.json_response(_host(asked), status=201)

    async def _beat(self, request: web.Request) -> web.Response:
        host = self.hosts.get(request.match_info["host_id"])
        if host is None:
            return _problem(404, "host_not_found")
        beat = await request.json()
        self.beats.append(beat)
        await self._happened()
        return web.json_response(_host(host))

    async def _drain(self, request: web.Request) -> web.Response:
        if (await request.json())["run_id"] != self.hosts[request.match_info["host_id"]]["run_id"]:
            return _problem(409, "conflict")
        self.drained.append(request.match_info["host_id"])
        for session in self.sessions.values():
            if session.host_id == request.match_info["host_id"] and session.host_id in self.sockets:
                released = {"session_id": session.session_id, "reason": self.drains_for}
                await self.send(session.host_id, {"type": "session-released", **released})
        return web.json_response(_host(self.hosts[request.match_info["host_id"]]))

    async def _unregister(self, request: web.Request) -> web.Response:
        if request.query["run_id"] != self.hosts[request.match_info["host_id"]]["run_id"]:
            return _problem(409, "conflict")
        del self.hosts[request.match_info["host_id"]]
        return web.Response(status=204)

    async def _active(self, request: web.Request) -> web.Response:
        host_id = request.match_info["host_id"]
        return web.json_response([one.as_json() for one in self.sessions.values() if one.host_id == host_id])

    async def _measured(self, request: web.Request) -> web.Response:
        self.measures.append({"session_id": request.match_info["session_id"], **await request.json()})
        await self._happened()
        if self.refuse_measures_with:
            return _problem(self.refuse_measures_with, "forbidden")
        return web.json_response({})

    async def _keep_checkpoint(self, request: web.Request) -> web.Response:
        sequence = int(request.query["sequence"])
        self.checkpoints[request.match_info["session_id"]] = (sequence, await request.read())
        await self._happened()
        return web.json_response({})

    async def _checkpoint(self, request: web.Request) -> web.Response:
        kept = self.checkpoints.get(request.match_info["session_id"])
        if kept is None:
            return _problem(404, "checkpoint_not_found")
        return web.Response(body=kept[1], headers={"P2p-Sequence": str(kept[0])})

    async def _ice_servers(self, _: web.Request) -> web.Response:
        return web.json_response({"ice_servers": self.ice_servers})

    async def _zones(self, _: web.Request) -> web.Response:
        zones = [{"zone_id": name, "zone_display_name": name.title()} for name in ("prontera", "geffen", "payon")]
        return web.json_response(zones)

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        if self.refuse_sockets_with:
            return web.Response(status=self.refuse_sockets_with)
        await self.takes_sockets.wait()
        peer_id = request.query.get("peer_id", "")
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets[peer_id] = socket
        self.dialled.append(peer_id)
        await self._happened()
        for session in self.sessions.values():
            if session.host_id == peer_id:
                await socket.send_json(_assigned(session))
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                frame = json.loads(message.data)
                self.frames.append((peer_id, frame))
                await self._heard(peer_id, socket, frame)
                await self._happened()
        if self.sockets.get(peer_id) is socket:
            del self.sockets[peer_id]
        await self._happened()
        return socket

    async def _heard(self, peer_id: str, socket: web.WebSocketResponse, frame: Json) -> None:
        match frame:
            case {"type": "enter", "zone_id": zone_id}:
                await self._enter(peer_id, socket, zone_id, {"id": frame["id"]} if "id" in frame else {})
            case {"type": "ping"} if not self.stands_still:
                await socket.send_json({"type": "pong", "id": frame.get("id")})
            case {"type": "leave"}:
                await self._leave(peer_id, socket)
            case {"type": "offer" | "answer" | "ice-candidate" as kind, "to": to}:
                await self._relay(peer_id, socket, kind, to, frame)

    async def _enter(self, peer_id: str, socket: web.WebSocketResponse, zone_id: str, more: Json) -> None:
        session = next((one for one in self.sessions.values() if one.zone_id == zone_id), None)
        if session is None:
            host_id = next((host_id for host_id in self.hosts if host_id in self.sockets), None)
            if host_id is None or zone_id == "nowhere":
                refused = _error("No host can take the zone now.", "no_host_free", "enter")
                await socket.send_json(refused | more)
                return
            session = await self.assign(f"session-{len(self.sessions):016x}", zone_id, host_id)
        others = [player for player in session.players if player != peer_id]
        if peer_id not in session.players:
            session.players.append(peer_id)
        await socket.send_json(
            {
                "type": "session-joined",
                "session_id": session.session_id,
                "peers": others,
                "host_id": session.host_id,
                "host_peer_id": session.host_id,
                "epoch": session.epoch,
                "ice_servers": self.ice_servers,
                **more,
            }
        )

    async def _leave(self, peer_id: str, socket: web.WebSocketResponse) -> None:
        for session in self.sessions.values():
            if peer_id in session.players:
                session.players.remove(peer_id)
                await socket.send_json({"type": "session-left", "session_id": session.session_id})

    async def _relay(self, peer_id: str, socket: web.WebSocketResponse, kind: str, to: str, frame: Json) -> None:
        target = self.sockets.get(to)
        if target is None:
            about = {"id": frame["id"]} if "id" in frame else {}
            await socket.send_json(_error(f"Failed to deliver {kind} to {to}", "peer_not_found", kind) | about)
            return
        out = {"type": kind, "from": peer_id, SIGNALS[kind]: frame[SIGNALS[kind]], "timestamp": _now()}
        out |= {name: frame[name] for name in ("session_id", "traceparent", "ufrag") if name in frame}
        await target.send_json(out)


@asynccontextmanager
async def running_stand_in(web_root: Path | None = None, port: int = 0) -> AsyncIterator[StandIn]:
    stand_in = StandIn(web_root)
    runner = web.AppRunner(stand_in.app(), shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    stand_in.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield stand_in
    finally:
        await runner.cleanup()


def _assigned(session: SessionState) -> Json:
    return {
        "type": "session-assigned",
        "session_id": session.session_id,
        "zone_id": session.zone_id,
        "epoch": session.epoch,
        "players": session.players,
    }


def _error(message: str, code: str, in_reply_to: str) -> Json:
    return {"type": "error", "message": message, "code": code, "in_reply_to": in_reply_to}


def _problem(status: int, code: str) -> web.Response:
    return web.json_response({"detail": code.replace("_", " "), "code": code, "trace_id": "0" * 32}, status=status)


def _host(asked: Json) -> Json:
    now = _now()
    names = (
        "ip_address port public_ip cpu_cores cpu_frequency_mhz memory_mb network_speed_mbps latency_ms "
        "packet_loss_percent bandwidth_usage_mbps region metadata"
    )
    return {
        **dict.fromkeys(names.split()),
        "id": 1,
        "peer_id": asked["host_id"],
        "status": "online",
        "max_players": 50,
        "current_players": 0,
        "max_zones": 5,
        "current_zones": 0,
        "quality_score": 75.0,
        "confidence": 0.0,
        "measured": False,
        "connected": True,
        "last_heartbeat": now,
        "created_at": now,
        "updated_at": now,
        **asked,
    }


def _now() -> str:
    return datetime.now(UTC).isoformat()
