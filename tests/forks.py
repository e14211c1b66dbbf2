"""Start programs in processes that have their heavy imports already.

A process that imports torch takes seconds to start.  Here one server of a single thread imports it and forks a child
for each program.  A child is a process like any other: it has its own words, environment, streams and signals, and
ends as Python does.  Tests of what happens while a program starts take a new Python instead.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO, Any, NoReturn

MAIN = "from remdm_tui.cli import main; main()"
"""The program that is the command line."""
MODULE = """
import runpy, sys
sys.executable = {python!r}
module, *words = sys.argv[sys.argv.index("-m") + 1:]
sys.argv[1:] = words
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""
"""The program that is `python -m`, whose own processes start `python`."""
COMMON = ("torch", "engine.sampling.session", "remdm_tui.cli")
"""What nearly every program imports."""
TRAINING = ("torch._dynamo", "torch.distributed", "lightning_fabric")
"""What `train` imports."""
EVALUATION = ("transformers.models.gpt2.modeling_gpt2", "mauve.compute_mauve")
"""What a judge and MAUVE import."""
THREADLESS = {"JE_ARROW_MALLOC_CONF": "background_thread:false"}
"""Keeps pyarrow, which scikit-learn imports along with pandas, from starting a thread."""
LONGEST = 1 << 17
"""Bytes of a request."""


class Child:
    """A process of the server, used like one of `subprocess`."""

    def __init__(self, status: int, stdout: IO[Any] | None, stderr: IO[Any] | None) -> None:
        self._status = os.fdopen(status, "rb", buffering=0)
        self.stdout, self.stderr = stdout, stderr
        self.returncode: int | None = None
        self.pid = self._read_number()

    def _read_number(self) -> int:
        line = self._status.readline()
        assert line, "the server of forks has ended"
        return int(line)

    def poll(self) -> int | None:
        if self.returncode is None and select.select([self._status], [], [], 0)[0]:
            self.returncode = self._read_number()
            self._status.close()
        return self.returncode

    def wait(self, timeout: float) -> int:
        if self.returncode is None and not select.select([self._status], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired("a fork", timeout)
        found = self.poll()
        assert found is not None
        return found

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def communicate(self, timeout: float) -> tuple[Any, Any]:
        """Return what is left of both streams; kill a process that has not ended in time."""
        late = threading.Timer(timeout, self.send_signal, [signal.SIGKILL])
        late.daemon = True
        late.start()
        found: dict[str, Any] = {}

        def read(name: str, stream: IO[Any] | None) -> None:
            if stream is not None and not stream.closed:
                with stream:
                    found[name] = stream.read()

        reader = threading.Thread(target=read, args=("stderr", self.stderr))
        reader.start()
        try:
            read("stdout", self.stdout)
            reader.join()
        finally:
            late.cancel()
        self.wait(timeout)
        return found.get("stdout"), found.get("stderr")


def start(
    program: str,
    words: Sequence[str] = (),
    *,
    imports: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    stdout: int | None = None,
    stderr: int | None = None,
    text: bool = False,
) -> Child:
    """Start `python -c PROGRAM WORDS`; what it takes from `imports` is imported once, in the server."""
    request = {
        "program": program, "words": list(words), "imports": list(imports), "cwd": os.getcwd(),
        "env": dict(os.environ if env is None else env),
    }  # fmt: skip
    theirs: list[int] = []
    streams: list[IO[Any] | None] = []
    for number, given in ((1, stdout), (2, stderr)):
        if given == subprocess.PIPE:
            ours, end = os.pipe()
            theirs.append(end)
            streams.append(open(ours, encoding="utf-8") if text else open(ours, "rb"))  # noqa: SIM115
        else:
            streams.append(None)
            theirs.append(os.open(os.devnull, os.O_WRONLY) if given == subprocess.DEVNULL else os.dup(given or number))
    status, reports = os.pipe()
    nothing = os.open(os.devnull, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as line:
        line.connect(_server())
        socket.send_fds(line, [json.dumps(request).encode()], [nothing, *theirs, reports])
    for fd in (nothing, *theirs, reports):
        os.close(fd)
    return Child(status, *streams)


def run(program: str, words: Sequence[str] = (), **more: Any) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and return what it wrote, as text.  `more` is as for `start`."""
    child = start(program, words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)
    out, complaint = child.communicate(240)
    assert child.returncode is not None
    return subprocess.CompletedProcess([program, *words], child.returncode, out, complaint)


def command(program: str, imports: Sequence[str] = ()) -> list[str]:
    """Return the command of a program, for what starts processes by itself; words may follow it."""
    request = json.dumps({"program": program, "imports": list(imports)})
    return [sys.executable, "-I", "-S", str(Path(__file__).with_name("stand_in.py")), _server(), request]


def python(home: Path, imports: Sequence[str] = ()) -> str:
    """Return a file of `home` that is used as Python is: it runs `-m MODULE WORDS` in a fork, and so do its forks."""
    path = home / "python"
    words = shlex.join(command(MODULE.format(python=str(path)), imports))
    path.write_text(f'#!/bin/sh\nexec {words} "$@"\n', encoding="utf-8")
    path.chmod(0o700)
    return str(path)


def engine() -> list[str]:
    """Return the command of an engine process."""
    return command("from engine.serve import main; main()")


@cache
def _server() -> str:
    """Start the server of this process of tests, which ends with it, and return its address."""
    home = tempfile.mkdtemp(prefix="forks-", dir=os.environ.get("REMDM_TESTS"))
    address = os.path.join(home, "socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as line:
        line.bind(address)
        line.listen(64)
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.forks", str(line.fileno())], pass_fds=[line.fileno()], stdin=subprocess.PIPE,
            env=os.environ | THREADLESS,
        )  # fmt: skip

    def end() -> None:
        process.communicate()
        shutil.rmtree(home, ignore_errors=True)

    atexit.register(end)
    return address


def _serve(line: socket.socket) -> str:
    """Fork for every request and return its program, in the child alone; exit when the input ends."""
    poller = select.poll()
    for source in (line.fileno(), 0):
        poller.register(source, select.POLLIN)
    while True:
        if 0 in dict(poller.poll()):
            os._exit(0)
        with line.accept()[0] as caller:
            message, fds, _, _ = socket.recv_fds(caller, LONGEST, 4)
        request = json.loads(message)
        for name in request["imports"]:
            importlib.import_module(name)
        # a fork has one thread of those there were, and waits for ever for what another one held
        assert len(os.listdir("/proc/self/task")) == 1, "an import has started a thread"
        *streams, status = fds
        # the collector of a fork need not walk what is here already, which would copy all its pages
        gc.freeze()
        if os.fork() == 0:
            line.close()
            child = os.fork()
            if child == 0:
                os.close(status)
                _become(request, streams)
                return str(request["program"])
            _watch(child, streams, status)
        for fd in fds:
            os.close(fd)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _watch(child: int, streams: Sequence[int], status: int) -> NoReturn:
    """Tell the number of a child, wait for its end, and tell how it ended; kill it when nobody is there to be told."""
    for fd in streams:
        os.close(fd)
    with contextlib.suppress(BrokenPipeError):
        os.write(status, b"%d\n" % child)
    either = select.poll()
    either.register(os.pidfd_open(child), select.POLLIN)
    # the other end was closed
    either.register(status, 0)
    if status in dict(either.poll()):
        os.kill(child, signal.SIGKILL)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with contextlib.suppress(BrokenPipeError):
        os.write(status, b"%d\n" % ended)
    os._exit(0)


def _become(request: dict[str, Any], streams: Sequence[int]) -> None:
    """Make this process what Python would be for a program."""
    for number, fd in enumerate(streams):
        os.dup2(fd, number)
        os.close(fd)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    sys.argv = ["-c", *request["words"]]
    # a terminal gets every line at once, a pipe a block
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)


def main() -> None:
    for name in COMMON:
        importlib.import_module(name)
    program = _serve(socket.socket(fileno=int(sys.argv[1])))
    try:
        exec(compile(program, "<string>", "exec"), {"__name__": "__main__"})
    except KeyboardInterrupt:
        # Python ends by the signal too, unless something evaluates a text while it exits, as what was imported may
        sys.excepthook(*sys.exc_info())
        atexit._run_exitfuncs()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)


if __name__ == "__main__":
    main()
