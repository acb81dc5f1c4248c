"""Names and attributes of spans, where OpenTelemetry's conventions leave us a choice."""

import pytest
from chassis.semantics import kind_of, of_message, operation_of, spoken_of
from opentelemetry.trace import SpanKind


@pytest.mark.parametrize(
    ("sql", "operation"),
    [
        ("SELECT 1", "SELECT"),
        ("\n  insert into a SELECT * FROM b", "INSERT"),
        ("WITH moved AS (UPDATE a SET b = 1 RETURNING id) INSERT INTO c SELECT id FROM moved", "INSERT"),
        ("WITH a AS (SELECT (1)), b AS (DELETE FROM c) SELECT * FROM a", "SELECT"),
        ("COMMIT", "COMMIT"),
    ],
)
def test_a_statement_is_called_by_the_command_that_postgresql_names(sql, operation):
    assert operation_of(sql) == operation


@pytest.mark.parametrize(
    ("subject", "kind", "spoken"),
    [
        (
            "p2p.events.sessions.session-1.joined",
            "p2p.events.sessions.joined",
            {"p2p.session_id": "session-1"},
        ),
        ("p2p.events.hosts.1%40tower.score-changed", "p2p.events.hosts.score-changed", {"p2p.host_id": "1@tower"}),
        ("p2p.heartbeat.host-1", "p2p.heartbeat", {}),
        ("p2p.events.jobs", "p2p.events.jobs", {}),
    ],
)
def test_identifiers_are_attributes_and_no_part_of_a_name(subject, kind, spoken):
    assert (kind_of(subject), spoken_of(subject)) == (kind, spoken)


def test_only_spans_of_messages_speak_of_messaging():
    assert of_message("receive p2p.heartbeat", SpanKind.CONSUMER) == {
        "messaging.system": "nats",
        "messaging.operation.name": "receive",
        "messaging.operation.type": "process",
        "messaging.destination.name": "p2p.heartbeat",
    }
    assert of_message("tick health", SpanKind.INTERNAL) is None
