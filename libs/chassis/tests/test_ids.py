"""Identifiers that nobody else has."""

import uuid

from chassis.ids import new_event_id


def test_an_event_id_is_a_uuid_of_version_7():
    made = uuid.UUID(new_event_id())
    assert (made.version, made.variant) == (7, uuid.RFC_4122)


def test_event_ids_differ_and_are_in_the_order_of_their_making():
    made = [new_event_id() for _ in range(10_000)]
    assert len(set(made)) == 10_000
    milliseconds = [one[:13] for one in made]
    assert milliseconds == sorted(milliseconds)
