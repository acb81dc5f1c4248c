"""The tables, in SQL: each use is one statement, which leaves its fact in the outbox by itself.

A statement that writes many rows first locks them in the order of their host_id, so that no two wait for each other.
"""
