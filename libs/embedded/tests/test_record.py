"""What is written down of a suite, what is not, and who holds its directory."""

import dataclasses
import json
import os
import subprocess
import sys

import pytest
from embedded.errors import AlreadyRunningError, DataDirError
from embedded.record import DataDir, Pid, Record, ServerRecord, ServiceRecord

RECORD = Record(
    supervisor=Pid.of(os.getpid()),
    gateways=["http://127.0.0.1:8001"],
    servers=[ServerRecord("nats", "nats://127.0.0.1:4222", 4222, Pid.of(os.getpid()))],
    processes=[ServiceRecord("prober", "prober-1", "http://127.0.0.1:15000", 15000)],
)

HOLDING = """
import pathlib, sys
from embedded.record import DataDir
with DataDir(pathlib.Path(sys.argv[1])).locked():
    print(flush=True)
    input()
"""


def test_what_is_written_is_what_is_read(tmp_path):
    DataDir(tmp_path).write(RECORD)
    assert DataDir(tmp_path).read() == RECORD
    assert DataDir(tmp_path).running() == RECORD


@pytest.mark.parametrize(
    "written",
    [b"", b"{}", b"null", b"[]", b"\xff\xfe", b'"suite"', b'{"supervisor": {"pid": 1, '],
)
def test_what_cannot_be_understood_is_no_record(tmp_path, written):
    (tmp_path / "suite.json").write_bytes(written)
    assert DataDir(tmp_path).read() is None


@pytest.mark.parametrize(
    "entry",
    [
        {"supervisor": {"pid": -5, "ticks": 1, "boot": ""}},
        {"supervisor": {"pid": "many", "ticks": 1, "boot": ""}},
        {"supervisor": {"pid": 1, "born": 1.5}},
        {"gateways": None},
        {"servers": [{"name": "nats"}]},
        {"processes": [7]},
    ],
)
def test_nor_is_what_has_something_odd_in_it(tmp_path, entry):
    (tmp_path / "suite.json").write_text(json.dumps({**dataclasses.asdict(RECORD), **entry}))
    assert DataDir(tmp_path).read() is None


def test_below_a_file_nothing_runs_and_nothing_can(tmp_path):
    (tmp_path / "file").touch()
    below = DataDir(tmp_path / "file" / "data")
    assert below.running() is None
    assert not below.is_held()
    with pytest.raises(DataDirError, match=rf"{below.path} cannot be made: Not a directory"), below.locked():
        pass


def test_a_record_that_is_a_directory_is_named(tmp_path):
    (tmp_path / "suite.json").mkdir()
    with pytest.raises(DataDirError, match=r"suite.json cannot be read: Is a directory"):
        DataDir(tmp_path).read()


def test_a_process_is_known_by_its_birth_since_the_machines_start():
    ours = Pid.of(os.getpid())
    assert ours.process() is not None
    assert dataclasses.replace(ours, ticks=ours.ticks + 1).process() is None
    assert dataclasses.replace(ours, boot="another").process() is None


def test_who_holds_a_directory_is_found_without_any_record(tmp_path):
    data_dir = DataDir(tmp_path)
    assert not data_dir.is_held()
    command = [sys.executable, "-c", HOLDING, tmp_path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert data_dir.is_held()
        holder = data_dir.holder()
        assert holder is not None
        assert holder.pid == other.pid
        with pytest.raises(AlreadyRunningError), data_dir.locked():
            pass
        other.communicate(b"\n")
    assert not data_dir.is_held()
    assert data_dir.holder() is None
