import json

import pytest
from embedded.process import last_sentence

GROUP = """\
2026-01-01T00:00:00Z [critical ] service.died
  + Exception Group Traceback (most recent call last):
  |   File "app.py", line 3, in run
  | ExceptionGroup: unhandled errors in a TaskGroup (1 sub-exception)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "app.py", line 9, in open
    |     raise ConnectionError("no way to the database")
    | ConnectionError: no way to the database
    +------------------------------------
""".splitlines()


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ([], ""),
        (["first", "last", "", "  "], "last"),
        (
            ["FATAL:  could not create any TCP/IP sockets", "LOG:  database system is shut down"],
            "FATAL:  could not create any TCP/IP sockets",
        ),
        (["LOG:  down"], "LOG:  down"),
        (GROUP, "ConnectionError: no way to the database"),
        (
            [json.dumps({"event": "service.died", "exception": "\n".join(GROUP)})],
            "service.died: ConnectionError: no way to the database",
        ),
        ([json.dumps({"event": "service.stopped"})], "service.stopped"),
        (["{no json"], "{no json"),
    ],
)
def test_a_programs_reason_is_the_last_that_it_says_not_the_last_that_it_draws(lines, sentence):
    assert last_sentence(lines) == sentence
