"""Answers around hosts that are JSON already, so that none is decoded only to be encoded again."""

import json

from chassis.pages import fitting

from host_registry.pages import cursor_at
from host_registry.score import points, score_parts
from host_registry.selection import Judged, Selected
from host_registry.store.reading import Listing


def host_page(listing: Listing) -> bytes:
    """contracts.hosts.HostPage."""
    cursor = None if listing.end is None else cursor_at(listing.end)
    items, count = b",".join(listing.hosts), len(listing.hosts)
    return b'{"items":[%b],"next_cursor":%b,"count":%d}' % (items, json.dumps(cursor).encode(), count)


def hosts_found(selected: Selected) -> bytes:
    """contracts.hosts.HostsFound; candidates beyond what one reply may hold are left out."""
    candidates = b",".join(fitting(_candidate(judged) for judged in selected.judged))
    counts = json.dumps(dict(selected.rejected_counts)).encode()
    return b'{"candidates":[%b],"rejected_counts":%b}' % (candidates, counts)


def peer_host(host: bytes | None) -> bytes:
    """contracts.hosts.PeerHost."""
    return b'{"host":%b}' % (b"null" if host is None else host)


def _candidate(judged: Judged) -> bytes:
    contender = judged.candidate.contender
    about = {
        "rejections": judged.rejections,
        "seats_taken": contender.seats_taken,
        "slots_taken": contender.slots_taken,
        "score_parts": score_parts(points(contender.quality)),
    }
    return b'{"host":%b,%b' % (judged.candidate.host, json.dumps(about)[1:].encode())
