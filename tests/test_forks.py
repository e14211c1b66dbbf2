"""A fork is a process like any other, and leaves nothing behind."""

import os
import signal
import subprocess

import pytest

from tests import forks
from tests.waiting import PATIENCE, eventually, gone

WAITING = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"


def test_a_fork_has_its_own_words_environment_and_streams_and_torch_already(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    program = "import os, sys; print(sys.argv, os.environ, os.getcwd(), 'torch' in sys.modules); sys.exit('no')"
    done = forks.run(program, ["a", "b c"], env={"MINE": "1"})
    assert (done.returncode, done.stderr) == (1, "no\n")
    assert done.stdout == f"['-c', 'a', 'b c'] environ({{'MINE': '1'}}) {tmp_path} True\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_a_fork_and_what_stands_in_for_it(number):
    alone = forks.start(WAITING, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert int(alone.stdout.readline()) == alone.pid
    alone.send_signal(number)
    assert alone.wait(PATIENCE) == -number
    alone.stdout.close()
    with subprocess.Popen(forks.command(WAITING), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        fork = int(process.stdout.readline())
        process.send_signal(number)
        assert process.wait(PATIENCE) == -number
    eventually(lambda: gone(fork))


def test_what_stands_in_passes_words_streams_and_the_end_on():
    program = "import sys; print(sys.argv[1:], sys.stdin.read()); sys.exit(7)"
    done = subprocess.run([*forks.command(program), "a"], input=b"b", capture_output=True, timeout=PATIENCE)
    assert (done.returncode, done.stdout, done.stderr) == (7, b"['a'] b\n", b"")


def test_a_fork_that_nobody_waits_for_is_killed():
    child = forks.start(WAITING, stdout=subprocess.DEVNULL)
    pid = child.pid
    os.kill(pid, 0)
    del child
    eventually(lambda: gone(pid))


def test_what_stands_in_for_python_runs_modules_and_their_processes_in_forks(tmp_path):
    inner = "import sys; print('inner', __spec__.name, 'torch' in sys.modules, '-m' in sys.argv)"
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-P', '-m', 'timeit', '-n1', '-r1', {inner!r}])"
    command = [forks.python(tmp_path), "-m", "timeit", "-n1", "-r1", outer]
    done = subprocess.run(command, stdout=subprocess.PIPE, timeout=PATIENCE)
    assert done.returncode == 0
    assert done.stdout.decode().splitlines()[0] == "inner timeit True False"
