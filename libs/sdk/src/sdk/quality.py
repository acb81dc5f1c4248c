"""What a host can say of itself: the beat, out of what its players' connections measured."""

from collections.abc import Iterable, Mapping
from statistics import fmean, median

from contracts.frames import SessionAssigned
from contracts.hosts import Heartbeat

from sdk.player import Player

BITS_PER_BYTE = 8
BITS_PER_MEGABIT = 1e6


class Traffic:
    """Bytes over all channels, as a rate between one beat and the next."""

    def __init__(self, now: float) -> None:
        self._counted_at = now
        self._gone = 0
        self._before = 0

    def keep(self, player: Player) -> None:
        """Remember the bytes of a player who leaves."""
        self._gone += _bytes((player,))

    def mbps(self, players: Iterable[Player], now: float) -> float:
        """Megabits per second since the last call; `now` in seconds of a monotonic clock."""
        total = self._gone + _bytes(players)
        seconds = max(now - self._counted_at, 1e-3)
        rate = (total - self._before) * BITS_PER_BYTE / BITS_PER_MEGABIT / seconds
        self._before, self._counted_at = total, now
        return rate


def heartbeat(players: Iterable[Player], sessions: Mapping[str, SessionAssigned], mbps: float) -> Heartbeat:
    """Say how the present players' connections are; latency and loss only where something was measured.

    Who is connected ahead, to a host that stands by, does not play here yet.
    """
    connected = [player for player in players if player.connected]
    latencies = [ms for player in connected if (ms := player.round_trips.smoothed_ms) is not None]
    losses = [percent for player in connected if (percent := player.round_trips.loss_percent) is not None]
    measured: dict[str, float | int] = {
        "bandwidth_usage_mbps": mbps,
        "current_players": len({player.player_id for player in connected if player.session_id in sessions}),
        "current_zones": len({session.zone_id for session in sessions.values()}),
    }
    if latencies:
        measured["latency_ms"] = median(latencies)
    if losses:
        measured["packet_loss_percent"] = fmean(losses)
    return Heartbeat.model_validate(measured)


def _bytes(players: Iterable[Player]) -> int:
    return sum(player.bytes_moved for player in players)
