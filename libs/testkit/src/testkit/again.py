"""What a run of the tests comes to, where a machine is crowded: `python -m testkit.again`, after a run that failed.

Each test that failed is run once more by itself. If all of them pass the run counts as passed, and the last lines name
them: an unsteady test is a defect to be found, but it does not hold up what has nothing to do with it. More than
`MOST_UNSTEADY` are not put down to chance.
"""

import json
import sys
from pathlib import Path

import pytest

MOST_UNSTEADY = 3

FAILED_LAST = Path(".pytest_cache/v/cache/lastfailed")
"""Written by pytest at the end of a run."""


def main() -> int:
    failed = sorted(map(_without_group, json.loads(FAILED_LAST.read_text()))) if FAILED_LAST.exists() else []
    if not failed:
        print("red: the run failed, but no test of it did; see above")
        return 1
    if len(failed) > MOST_UNSTEADY:
        print(f"red: {len(failed)} tests failed; {MOST_UNSTEADY} at most are tried once more")
        return 1
    print(f"{len(failed)} failed: once more, by itself")
    status = pytest.main([*failed])  # which adds its own to what it is given
    if status != pytest.ExitCode.OK:
        print("red: failed twice, in the whole run and by itself")
        return int(status)
    for test in failed:
        print(f"unsteady: {test}")
    return 0


def _without_group(test: str) -> str:
    """Take away what pytest-xdist adds to the name of a test that shares something: `@` and its group."""
    before, at, group = test.rpartition("@")
    return before if at and "]" not in group else test


if __name__ == "__main__":
    sys.exit(main())
