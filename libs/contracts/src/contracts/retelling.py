"""Telling facts again out of the rows that they were about, for whoever missed some: a stream was lost, say."""

from pydantic import Field

from contracts.subjects import Message


class Retell(Message):
    """Tell how things stand, from the first behind this number on; facts that are known already change nothing."""

    after: int = Field(default=0, ge=0, lt=2**63)


class Retold(Message):
    """Facts that are on their way now."""

    facts: int
    after: int | None = None
    """Where to go on; null when all have been told."""
