import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from embedded.process import Program
from testkit.eventually import eventually
from testkit.zygote import PYTHON, Zygote

PROGRAM = """
import json, os, sys
print(json.dumps([os.getpid(), os.getppid(), os.getsid(0), sys.argv[1:], os.getcwd(), dict(os.environ), __name__]))
sys.stderr.write("a word aside")
sys.exit(3 if sys.stdin.read() == "" else 4)
"""
SLEEPER = "import time; print('asleep', flush=True); time.sleep(60)"


@pytest.fixture(scope="module")
def zygote(tmp_path_factory):
    programs = tmp_path_factory.mktemp("programs")
    (programs / "zygote_program.py").write_text(PROGRAM)
    (programs / "zygote_sleeper.py").write_text(SLEEPER)
    (programs / "zygote_imported.py").touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(programs))
        zygote = Zygote("zygote_imported")
    yield zygote
    zygote.close()


def test_a_program_finds_what_it_would_have_found_if_executed(zygote, tmp_path):
    run = zygote.run(*PYTHON, "zygote_program", "a", "b c", environment={"X": "1"}, directory=tmp_path)
    pid, parent, session, arguments, directory, environment, name = json.loads(run.stdout)
    assert (arguments, directory, name) == (["a", "b c"], str(tmp_path), "__main__")
    assert environment.items() <= {"X": "1", "LC_CTYPE": "C.UTF-8"}.items()
    assert pid == session
    assert parent not in {pid, os.getpid()}
    assert (run.returncode, run.stderr) == (3, "a word aside")


def test_one_that_takes_too_long_is_ended(zygote):
    with pytest.raises(subprocess.TimeoutExpired):
        zygote.run(*PYTHON, "zygote_sleeper", within_s=0.2)


def test_an_error_ends_it_as_any_program(zygote):
    run = zygote.run(*PYTHON, "zygote_nothing")
    assert run.returncode == 1
    assert "No module named zygote_nothing" in run.stderr


async def probe():
    return True


async def test_a_child_is_heard_and_killed(zygote):
    child = await zygote.spawn(Program("sleeper", (*PYTHON, "zygote_sleeper"), probe))
    assert await child.stdout.readline() == b"asleep\n"
    child.send_signal(signal.SIGKILL)
    assert await child.wait() == child.returncode == -signal.SIGKILL
    assert await child.stdout.read() == b""


async def test_what_is_no_module_is_executed(zygote):
    child = await zygote.spawn(Program("other", (sys.executable, "-c", "print(1)"), probe))
    assert (await child.stdout.read(), await child.wait()) == (b"1\n", 0)


async def test_children_end_with_it():
    zygote = Zygote()
    child = await zygote.spawn(Program("sleeper", (*PYTHON, "http.server", "--bind", "127.0.0.1", "0"), probe))
    zygote.close()
    await child.wait()
    await eventually(lambda: not Path(f"/proc/{child.pid}").exists(), within=5)
