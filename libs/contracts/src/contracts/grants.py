"""Who may say and hear what on NATS: each of our processes, and each kind of program that is not ours.

A grant names the objects of the catalogue; `permissions` turns it into the subjects that NATS is told. What is not
granted here NATS refuses, so whatever a process begins to ask, tell or hear begins with a word here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from contracts import access, gateway, hosts, jobs, npcs, probes, sessions, zones
from contracts.credentials import inbox_prefix, reader_names
from contracts.streams import ALL, AUDIT, CHECKPOINTS, DEAD_LETTERS, EVENTS, JOBS, NPC, Stream
from contracts.subjects import Body, Fact, Message, Rpc, Subject

AnyRpc = Rpc[Any, Any]
AnySubject = Subject[Any]

OWN_NAME = "{{name()}}"
OWN_ZONES = "{{tag(zone)}}"
"""NATS fills these in when a user connects: its name, and each zone that its credentials carry."""


@dataclass(frozen=True)
class Permissions:
    """As NATS has them: subjects with its wildcards, and whether an answer may go to whoever asked."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    respond: bool


@dataclass(frozen=True)
class Grant:
    """What one process, or one kind of outside program, does on NATS."""

    name: str
    answers: tuple[AnyRpc, ...] = ()
    asks: tuple[AnyRpc, ...] = ()
    tells: tuple[AnySubject, ...] = ()
    hears: tuple[AnySubject, ...] = ()
    """Directly, missing what is said meanwhile."""
    consumes: Mapping[Stream, tuple[AnySubject, ...]] = field(default_factory=dict)
    """From a stream, by consumers of its own."""
    reads: tuple[Stream, ...] = ()
    """From their beginning or from any time on, by consumers that are forgotten when it goes."""
    bucket: str | None = None
    """Its own key-value bucket."""
    ours: bool = True
    """A process of the suite: it declares the streams, gives up on messages, and answers `$SRV`."""
    zones: bool = False
    """Its subjects are those of its zones alone."""
    more: tuple[str, ...] = ()
    """Subjects of NATS itself that it publishes to."""


def everything_like(subject: Subject[Body]) -> Subject[Body]:
    """All subjects that begin as this one does before its first identifier."""
    return Subject(subject.pattern.partition("{")[0] + ">", subject.body)


_HOST_FACTS = (
    hosts.HOST_REGISTERED,
    hosts.HOST_CHANGED,
    hosts.HOST_ONLINE,
    hosts.HOST_SUSPECT,
    hosts.HOST_OFFLINE,
    hosts.HOST_DRAINING,
    hosts.HOST_DELETED,
    hosts.SCORE_CHANGED,
)
_SESSION_FACTS = (
    sessions.SESSION_CREATED,
    sessions.SESSION_ACTIVATED,
    sessions.SESSION_JOINED,
    sessions.SESSION_LEFT,
    sessions.SESSION_ENDED,
    sessions.SESSION_FAILED,
    sessions.SESSION_FELL_BACK,
    sessions.SESSION_MIGRATING,
    sessions.SESSION_MIGRATED,
    sessions.SESSION_STANDBY_CHANGED,
)
_PEER_FACTS = (
    gateway.PEER_CONNECTED,
    gateway.PEER_ENTERED,
    gateway.PEER_DISCONNECTED,
    gateway.ICE_REPORTED,
    gateway.SESSIONS_ACTIVE,
)
_EVERY_FACT = tuple(Subject(subject, Fact) for subject in EVENTS.subjects)
"""For the console, which shows what happens as it happens."""
_AI_WORLD = (npcs.NPC_STATE, npcs.ENVIRONMENT)
_JOB_FACTS = (jobs.JOB_DONE, jobs.JOB_FAILED)

_HOST_COMMANDS = (
    hosts.REGISTER_HOST,
    hosts.BEAT_HOST,
    hosts.GET_HOST,
    hosts.CHANGE_HOST,
    hosts.LIST_HOSTS,
    hosts.DRAIN_HOST,
    hosts.DELETE_HOST,
    hosts.FIND_PEER_HOST,
    hosts.COUNT_HOSTS,
)
_ZONE_QUESTIONS = (zones.GET_ZONE, zones.LIST_ZONES, zones.EXPLAIN_ZONE, zones.RANK_HOSTS, zones.COUNT_ZONES)
_ZONE_COMMANDS = (zones.PUT_ZONE, zones.CHANGE_ZONE, zones.SET_ZONE_STATUS, zones.SET_ZONE_P2P)
_SESSION_COMMANDS = (
    sessions.CREATE_SESSION,
    sessions.JOIN_SESSION,
    sessions.ENTER_ZONE,
    sessions.LEAVE_SESSION,
    sessions.GET_SESSION,
    sessions.LIST_SESSIONS,
    sessions.ACTIVATE_SESSION,
    sessions.END_SESSION,
    sessions.MIGRATE_SESSION,
    sessions.REPORT_METRICS,
    sessions.LIST_SESSION_EVENTS,
    sessions.EXPLAIN_SESSION,
    sessions.COUNT_SESSIONS,
)
_CHECKPOINTS = (sessions.KEEP_CHECKPOINT, sessions.GET_CHECKPOINT)
_PLACING = (hosts.FIND_HOSTS, hosts.RESERVE_SLOT)
_PROBING = (probes.TAKE_PROBES, probes.REPORT_PROBE)
_JOB_REQUESTS = (jobs.LIST_JOBS, jobs.RUN_JOB)
_RETELLING = (hosts.RETELL_HOSTS, zones.RETELL_ZONES, sessions.RETELL_SESSIONS)
_ACCESS_COMMANDS = (access.CREATE_KEY, access.LIST_KEYS, access.REVOKE_KEY, access.KICK)

HOST_REGISTRY = Grant(
    "host_registry",
    answers=(*_HOST_COMMANDS, *_PLACING, hosts.RELEASE_SLOT, hosts.RETELL_HOSTS, *_PROBING),
    tells=_HOST_FACTS,
    hears=(everything_like(hosts.HEARTBEAT),),  # malformed beats too, which become dead letters
    consumes={
        EVENTS: (
            everything_like(sessions.SESSION_CREATED),
            gateway.PEER_CONNECTED,
            gateway.PEER_DISCONNECTED,
            gateway.SESSIONS_ACTIVE,
            gateway.ICE_REPORTED,
        )
    },
)
ZONE_MANAGER = Grant(
    "zone_manager",
    answers=(*_ZONE_QUESTIONS, *_ZONE_COMMANDS, zones.PLACE, zones.RETELL_ZONES),
    asks=_PLACING,
    tells=(zones.ZONE_CHANGED,),
    consumes={EVENTS: (everything_like(sessions.SESSION_CREATED),)},
)
SESSION_MANAGER = Grant(
    "session_manager",
    answers=(*_SESSION_COMMANDS, *_CHECKPOINTS, sessions.CLEAN_SESSIONS, sessions.RETELL_SESSIONS),
    asks=(zones.GET_ZONE, zones.RANK_HOSTS, zones.PLACE),
    tells=(*_SESSION_FACTS, *_JOB_FACTS),
    consumes={
        EVENTS: (
            hosts.HOST_REGISTERED,
            hosts.HOST_ONLINE,
            hosts.HOST_OFFLINE,
            hosts.HOST_DRAINING,
            hosts.HOST_DELETED,
            everything_like(zones.ZONE_CHANGED),
            gateway.ICE_REPORTED,
            gateway.PEER_ENTERED,
            gateway.PEER_DISCONNECTED,
            gateway.SESSIONS_ACTIVE,
        ),
        JOBS: (jobs.JOB_DUE,),
    },
    more=(f"$JS.API.STREAM.PURGE.{CHECKPOINTS.name}",),
)
SIGNALING_GATEWAY = Grant(
    "signaling_gateway",
    answers=_ACCESS_COMMANDS,
    asks=(
        *_HOST_COMMANDS,
        hosts.FIND_HOSTS,  # how one of them stands
        *_ZONE_QUESTIONS,
        *_ZONE_COMMANDS,
        *_SESSION_COMMANDS,
        *_CHECKPOINTS,
        sessions.CLEAN_SESSIONS,
        jobs.LIST_JOBS,  # for the dashboard, as the next
        npcs.LIST_FEEDS,
    ),
    tells=(
        *_PEER_FACTS,
        everything_like(gateway.DELIVER),  # from one gateway to another
        access.AUDITED,
        npcs.FEED_WANTED,
        npcs.NPC_EVENT,
        probes.PROBE_ANSWER,
    ),
    hears=(everything_like(gateway.DELIVER), npcs.NPC_FEED, probes.PROBE_OFFER, *_EVERY_FACT),
    consumes={EVENTS: (everything_like(sessions.SESSION_CREATED), hosts.HOST_REGISTERED, hosts.HOST_DELETED)},
    more=(
        *("$SRV.PING", "$SRV.STATS"),  # who is there, for the dashboard and the console
        *CHECKPOINTS.subjects,
        f"$JS.API.DIRECT.GET.{CHECKPOINTS.name}.>",
    ),
)
SCHEDULER = Grant(
    "scheduler",
    answers=(*_JOB_REQUESTS, npcs.LIST_FEEDS),
    tells=(jobs.JOB_DUE, *_JOB_FACTS, npcs.NPC_FEED, *_AI_WORLD),  # an AI service that speaks HTTP speaks through it
    hears=(jobs.JOB_DUE, npcs.NPC_STATE, npcs.ENVIRONMENT, npcs.FEED_WANTED),
    consumes={
        EVENTS: (
            everything_like(jobs.JOB_DONE),
            sessions.SESSION_CREATED,
            sessions.SESSION_ENDED,
            sessions.SESSION_FAILED,
            zones.ZONE_CHANGED,
        )
    },
    reads=(NPC,),
    bucket="scheduler",
)
PROBER = Grant("prober", asks=_PROBING, tells=(probes.PROBE_OFFER,), hears=(probes.PROBE_ANSWER,))

GAME_SERVER = Grant(
    "game",
    asks=(*_HOST_COMMANDS, hosts.FIND_HOSTS, *_ZONE_QUESTIONS, *_SESSION_COMMANDS),
    tells=(hosts.HEARTBEAT, npcs.FEED_WANTED),
    hears=(
        everything_like(hosts.HOST_CHANGED),
        everything_like(zones.ZONE_CHANGED),
        everything_like(sessions.SESSION_CREATED),
        npcs.NPC_FEED,
        npcs.NPC_EVENT,
    ),
    reads=(EVENTS,),
    ours=False,
)
AI_SERVER = Grant("ai", tells=_AI_WORLD, hears=(npcs.NPC_EVENT,), ours=False, zones=True)
OPERATOR = Grant(
    "operator",
    asks=(
        *_HOST_COMMANDS,
        hosts.FIND_HOSTS,
        hosts.RELEASE_SLOT,
        *_ZONE_QUESTIONS,
        *_ZONE_COMMANDS,
        *_SESSION_COMMANDS,
        sessions.CLEAN_SESSIONS,
        *_JOB_REQUESTS,
        npcs.LIST_FEEDS,
        *_ACCESS_COMMANDS,
        *_RETELLING,
    ),
    tells=(hosts.HEARTBEAT, *_AI_WORLD, npcs.FEED_WANTED),  # `p2p demo` has a world of its own
    hears=(Subject("p2p.>", Message),),
    reads=(EVENTS, AUDIT, DEAD_LETTERS),
    ours=False,
    more=("$SRV.>", "$JS.API.>"),  # `nats micro`, `nats stream`, `nats consumer`
)

PROCESSES = (HOST_REGISTRY, ZONE_MANAGER, SESSION_MANAGER, SIGNALING_GATEWAY, SCHEDULER, PROBER)
OUTSIDE = (GAME_SERVER, AI_SERVER, OPERATOR)
GRANTS = {grant.name: grant for grant in (*PROCESSES, *OUTSIDE)}


def permissions(grant: Grant) -> Permissions:
    """What NATS is to let through, with `OWN_NAME` and `OWN_ZONES` for it to fill in."""
    publish = [*(rpc.subject for rpc in grant.asks), *_subjects(grant.tells, grant), *_stream_api(grant), *grant.more]
    subscribe = [*(rpc.subject for rpc in grant.answers), *_subjects(grant.hears, grant), f"{inbox_prefix(OWN_NAME)}.>"]
    if grant.ours:
        publish += [*DEAD_LETTERS.subjects, *_declaring(ALL)]
        subscribe += [f"$SRV.{verb}{whom}" for verb in ("PING", "INFO", "STATS") for whom in _addressees(grant.name)]
    return Permissions(tuple(dict.fromkeys(publish)), tuple(dict.fromkeys(subscribe)), respond=grant.ours)


def _addressees(service: str) -> tuple[str, str, str]:
    return "", f".{service}", f".{service}.*"


def _subjects(subjects: Iterable[AnySubject], grant: Grant) -> Iterable[str]:
    if grant.zones:
        subjects = [Subject(subject.pattern.replace("{zone_id}", OWN_ZONES), subject.body) for subject in subjects]
    return (subject.wildcard for subject in subjects)


def _declaring(streams: Iterable[Stream]) -> Iterable[str]:
    for stream in streams:
        yield from (f"$JS.API.STREAM.{verb}.{stream.name}" for verb in ("INFO", "CREATE", "UPDATE"))


def _stream_api(grant: Grant) -> Iterable[str]:
    for stream, subjects in grant.consumes.items():
        # A consumer's name begins with its service's, which no wildcard can say; what it hears, its filter can.
        yield f"$JS.API.CONSUMER.INFO.{stream.name}.*"
        yield from (f"$JS.API.CONSUMER.CREATE.{stream.name}.*.{subject.wildcard}" for subject in subjects)
        yield f"$JS.API.CONSUMER.MSG.NEXT.{stream.name}.*"
        yield f"$JS.ACK.{stream.name}.>"
    for stream in grant.reads:
        yield f"$JS.API.STREAM.INFO.{stream.name}"
        if not grant.ours:  # whoever may give a consumer any name may change a service's
            yield from (f"$JS.API.CONSUMER.CREATE.{stream.name}.{name}" for name in reader_names(OWN_NAME))
        else:
            yield f"$JS.API.CONSUMER.CREATE.{stream.name}"
            yield f"$JS.API.CONSUMER.MSG.NEXT.{stream.name}.*"
            yield f"$JS.API.CONSUMER.DELETE.{stream.name}.*"
    if grant.bucket is not None:
        yield from (f"$JS.API.STREAM.{verb}.KV_{grant.bucket}" for verb in ("INFO", "CREATE", "MSG.GET"))
        yield f"$JS.API.DIRECT.GET.KV_{grant.bucket}.>"
        yield f"$KV.{grant.bucket}.>"
