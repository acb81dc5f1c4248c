"""What to type next, as it can be pasted: `p2p` is seldom on the PATH, and directories have blanks in their names."""

import os
import shlex
import shutil
import sys
from pathlib import Path

DEFAULT_DATA_DIR = Path(".data")


def p2p(*words: str, data_dir: Path = DEFAULT_DATA_DIR) -> str:
    """`p2p …` from where the reader stands, with this data directory where it is not the usual one."""
    elsewhere = () if data_dir.absolute() == DEFAULT_DATA_DIR.absolute() else ("--data-dir", str(data_dir))
    return shlex.join([_program(), *words, *elsewhere])


def _program() -> str:
    ours = Path(sys.prefix, "bin", "p2p")
    found = shutil.which("p2p")
    if found is not None and Path(found).resolve() == ours.resolve():
        return "p2p"
    below = os.path.relpath(ours)
    return str(ours) if below.startswith("..") else below
