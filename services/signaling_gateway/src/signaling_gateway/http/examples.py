"""The calls that documentation everywhere shows; they must work as they stand."""

REGISTER = {
    "as documented": {
        "host_id": "host-12345",
        "player_id": "player-67890",
        "player_name": "PlayerOne",
        "cpu_cores": 8,
        "memory_mb": 16384,
        "network_speed_mbps": 1000,
    }
}
BEAT = {
    "usual": {
        "latency_ms": 12.5,
        "packet_loss_percent": 0.1,
        "bandwidth_usage_mbps": 5.0,
        "current_players": 3,
        "current_zones": 1,
    }
}
CREATE = {
    "as documented": {"host_id": "host-12345", "zone_id": "prontera", "max_players": 50},
    "placed by the coordinator": {"zone_id": "prontera", "player_ids": ["150001"]},
}
ZONE = {
    "small": {
        "zone_id": "prontera",
        "zone_name": "prontera",
        "zone_display_name": "Prontera City",
        "map_name": "prontera",
        "max_players": 100,
    }
}
METRICS = {"usual": {"avg_latency_ms": 20.5, "packet_loss_percent": 0.1, "bandwidth_usage_mbps": 3.0}}
SEAT = {"usual": {"player_id": "150001"}}
ENTER = {"usual": {"zone_id": "prontera", "peer_id": "150001"}}
LEAVE = {"usual": {"peer_id": "150001"}}
