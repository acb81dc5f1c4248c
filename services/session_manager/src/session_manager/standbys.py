"""Why a host stands by for a session no more."""

from enum import StrEnum


class LetGo(StrEnum):
    """The reason that the fact gives, beside `named` and `seats` where nobody is let go."""

    UNWANTED = "unwanted"
    """The zone wants no standbys, or no hosts, any more, or its players are on the central server."""
    HOST_LOST = "host_lost"
    """Offline, draining or deleted."""
    UNCONNECTED = "unconnected"
    """Most of the players could not connect to it."""
    HOST_FULL = "host_full"
    """It has no seats for the players who came."""
    UNABLE = "unable"
    """It was to take over, and could not: it is lost as well, or its seats do not suffice."""
