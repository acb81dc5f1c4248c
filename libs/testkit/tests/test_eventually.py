import itertools

import pytest
from testkit.eventually import eventually


async def test_gives_the_first_true_answer():
    count = itertools.count()
    assert await eventually(lambda: next(count) // 3 * "x") == "x"


async def test_awaits_what_is_awaitable():
    async def seven():
        return 7

    assert await eventually(seven) == 7


async def test_takes_a_failed_assertion_for_not_yet():
    count = itertools.count()

    def third():
        assert next(count) == 2
        return True

    assert await eventually(third)


async def test_says_what_did_not_come_true_and_how_it_stood(monkeypatch):
    monkeypatch.setattr("testkit.patience.PATIENCE", 2.0)
    with pytest.raises(AssertionError, match=r"the moon did not come true within 0\.1 s; last: 0"):
        await eventually(lambda: 0, within=0.05, of="the moon")


async def test_an_error_of_another_kind_is_no_matter_of_waiting():
    with pytest.raises(ZeroDivisionError):
        await eventually(lambda: 1 // 0)
