"""What runs by the clock, and how often."""

from datetime import timedelta

from chassis.loops import Loop

from scheduler.ai_service.indexing import Indexing
from scheduler.ai_service.polling import Polling
from scheduler.dispatch import Dispatch
from scheduler.failing import Failing
from scheduler.leadership import Leadership
from scheduler.lease import look_every
from scheduler.npc_feed.feed import Feed
from scheduler.npc_feed.played import PlayedZones

TICK_EVERY = timedelta(milliseconds=200)
"""How late a tick may be; looking at a calendar of a few lines costs microseconds."""


FEED_EVERY = timedelta(milliseconds=50)
"""How late a zone's turn may be; a round in which nobody's turn has come looks at each zone for half a microsecond."""

ASK_EVERY = timedelta(milliseconds=200)
"""Five NPCs a second when a zone's first player comes; how many in a minute, the budget says."""

FORGET_EVERY = timedelta(minutes=10)

LOOK_EVERY = timedelta(seconds=2)
"""Three rows; whoever asks whether a job fails has waited for longer."""


def feeding(feed: Feed) -> Loop:
    """Tell the NPCs of zones whose turn it is."""
    return Loop("npc-feed", FEED_EVERY, feed.round)


def asking(polling: Polling) -> Loop:
    """Ask the AI service what is due."""
    return Loop("ai-service", ASK_EVERY, polling.round)


def reading(indexing: Indexing, every: timedelta) -> Loop:
    """Read the AI service's Redis as often as the feed tells."""
    return Loop("ai-redis", every, indexing.round)


def forgetting(played: PlayedZones) -> Loop:
    """Let go of sessions that are over."""
    return Loop("forget-sessions", FORGET_EVERY, played.forget)


def looking(failing: Failing) -> Loop:
    """See which jobs fail."""
    return Loop("failing-jobs", LOOK_EVERY, failing.look)


def leading(leadership: Leadership, lease: timedelta) -> Loop:
    """Keep the lease, or keep an eye on it."""
    return Loop("lease", look_every(lease), leadership.keep)


def ticking(dispatch: Dispatch) -> Loop:
    """Tell what is due."""
    return Loop("ticks", TICK_EVERY, dispatch.tick)
