"""PostgreSQL's lock file, of whatever an earlier server, or a crash, has left in it."""

import os

import pytest
from embedded.postgres import _clear_stale_lock


@pytest.mark.parametrize("written", ["", "abc", "-5", "\n", "99999999999999999999", "4194999\n/elsewhere\n"])
def test_what_names_no_process_is_taken_away(tmp_path, written):
    lock = tmp_path / "postmaster.pid"
    lock.write_text(written)
    _clear_stale_lock(tmp_path)
    assert not lock.exists()


def test_nor_does_what_names_some_other_program_stay(tmp_path):
    lock = tmp_path / "postmaster.pid"
    lock.write_text(f"{os.getpid()}\n")
    _clear_stale_lock(tmp_path)
    assert not lock.exists()
