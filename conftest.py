"""What every test may ask for, testkit's fixtures, and what holds for all of them, such as its time limit."""

import gc
import signal
from itertools import count

import chassis.redis
from testkit.patience import patient

pytest_plugins = ["testkit.fixtures", "testkit.time_limit"]

# A shell that starts this beside itself has it ignore Ctrl-C; the programs that tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A loop that holds gateways and their test stands still for seconds on a busy machine, however soon Redis answers.
chassis.redis.ANSWER_WITHIN_S = patient(chassis.redis.ANSWER_WITHIN_S)

LASTING_EVERY = 100
"""So many tests leave some ten thousand objects that are there to the end."""

_finished = count(1)


def pytest_collection_finish() -> None:
    _leave_lasting_things_alone()


def pytest_runtest_logfinish() -> None:
    if next(_finished) % LASTING_EVERY == 0:
        _leave_lasting_things_alone()


def _leave_lasting_things_alone() -> None:
    """Have Python look no more through what is there to the end: in time a million objects.

    That takes a second each time, longer on a busy machine, and meanwhile no deadline of a test or a gateway is kept.
    """
    gc.collect()
    gc.freeze()
