import os
from pathlib import Path

import pytest
from embedded.hints import p2p


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """A directory of nobody's, with no `p2p` on the PATH."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("sys.prefix", str(tmp_path / "clone" / ".venv"))
    (tmp_path / "clone" / ".venv" / "bin").mkdir(parents=True)
    return tmp_path


def test_a_hint_names_the_program_from_where_one_stands(nowhere, monkeypatch):
    assert p2p("up") == "clone/.venv/bin/p2p up"
    monkeypatch.chdir(nowhere / "clone")
    assert p2p("up") == ".venv/bin/p2p up"
    (nowhere / "elsewhere").mkdir()
    monkeypatch.chdir(nowhere / "elsewhere")
    assert p2p("up") == f"{nowhere}/clone/.venv/bin/p2p up"


def test_it_is_short_where_the_program_is_on_the_path(nowhere, monkeypatch):
    program = nowhere / "clone" / ".venv" / "bin" / "p2p"
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", os.fspath(program.parent))
    assert p2p("up") == "p2p up"


def test_it_names_the_data_directory_where_that_is_another_quoted(nowhere):
    assert p2p("down", data_dir=nowhere / ".data") == "clone/.venv/bin/p2p down"
    assert p2p("down", data_dir=Path("my data")) == "clone/.venv/bin/p2p down --data-dir 'my data'"
