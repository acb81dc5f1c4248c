"""`make setup` with a Python that is too old."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

OLD = f"""#!/bin/sh
exec {sys.executable} -c 'import sys; sys.version_info = (3, 9, 18, "final", 0); exec(sys.argv[2])' "$@"
"""
"""A Python that takes itself for another."""


@pytest.fixture
def tree(tmp_path):
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    old = tmp_path / "python3.9"
    old.write_text(OLD)
    old.chmod(0o755)
    return tmp_path


def setup(tree):
    run = subprocess.run(
        ["make", "--silent", "setup", f"PYTHON={tree}/python3.9"], cwd=tree, capture_output=True, text=True, check=False
    )
    assert run.returncode != 0
    return run.stderr.splitlines()[0]


def test_a_python_that_is_too_old_is_one_line_and_nothing_is_made(tree):
    assert setup(tree).startswith("needs Python 3.11, this is 3.9: ")
    assert not (tree / ".venv").exists()


def test_an_environment_that_was_made_by_one_is_named(tree):
    (tree / ".venv" / "bin").mkdir(parents=True)
    (tree / ".venv" / "bin" / "uv").touch()
    shutil.copy(tree / "python3.9", tree / ".venv" / "bin" / "python")
    assert setup(tree).startswith("needs Python 3.11, this is 3.9: ")
