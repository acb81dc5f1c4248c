"""The schema goes forward only, by files that do not change."""

import asyncio

import pytest
from chassis.database import open_database
from chassis.migrations import MigrationError, read_migrations


@pytest.fixture
def directory(tmp_path):
    (tmp_path / "0001_things.sql").write_text("CREATE TABLE things (id int);")
    (tmp_path / "0002_names.sql").write_text("ALTER TABLE things ADD name text; INSERT INTO things VALUES (1, 'a');")
    return tmp_path


async def things(url, directory) -> int:
    async with open_database(url, name="test", migrations=directory) as database:
        count: int = await database.fetchval("things.count", "SELECT count(*) FROM things")
    return count


async def test_migrations_are_applied_in_order_and_once(postgres_url, directory):
    assert await things(postgres_url, directory) == 1
    (directory / "0003_more.sql").write_text("INSERT INTO things VALUES (2, 'b');")
    assert await things(postgres_url, directory) == 2
    assert await things(postgres_url, directory) == 2


async def test_processes_that_start_at_once_migrate_once(postgres_url, directory):
    assert await asyncio.gather(*(things(postgres_url, directory) for _ in range(5))) == [1] * 5


async def test_a_migration_changed_after_it_was_applied_is_refused(postgres_url, directory):
    await things(postgres_url, directory)
    (directory / "0001_things.sql").write_text("CREATE TABLE things (id bigint);")
    with pytest.raises(MigrationError, match="service migration 0001 was changed after it was applied"):
        await things(postgres_url, directory)


async def test_a_migration_that_fails_leaves_nothing_of_itself(postgres_url, directory):
    (directory / "0003_bad.sql").write_text("INSERT INTO things VALUES (2, 'b'); SELECT nonsense;")
    with pytest.raises(Exception, match="nonsense"):
        await things(postgres_url, directory)
    (directory / "0003_bad.sql").unlink()
    assert await things(postgres_url, directory) == 1


async def test_an_older_release_runs_on_a_newer_schema(postgres_url, directory):
    await things(postgres_url, directory)
    (directory / "0002_names.sql").unlink()
    assert await things(postgres_url, directory) == 1


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("0004_gap.sql", "without gap or repeat"),
        ("0002_twice.sql", "without gap or repeat"),
        ("3_short.sql", "not named NNNN_name.sql"),
    ],
)
def test_a_misnumbered_migration_is_refused(directory, name, says):
    (directory / name).write_text("SELECT 1;")
    with pytest.raises(MigrationError, match=says):
        read_migrations(directory)
