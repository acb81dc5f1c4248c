"""The tables, in SQL: each use is one statement, which leaves its fact in the outbox by itself.

Of many rows the locks are taken by host_id, so that two statements seldom wait for each other; one that loses such a
race is tried again by chassis.
"""
