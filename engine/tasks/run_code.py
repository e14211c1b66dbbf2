"""The process that runs code for `engine.tasks.code`: `python -m engine.tasks.run_code`.

It reads the task once.  Each answer is then run in a child of its own: with limits of time, memory and files, in an
empty directory, without environment, input or output.
"""

from __future__ import annotations

import json
import os
import pickle
import resource
import select
import signal
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from engine.system.streams import streams
from engine.tasks.code import CodeLimits

ALLOWED = {"HF_ALLOW_CODE_EVAL": "1"}
"""What the metric `code_eval` asks for."""
MOST = 1 << 16
"""Bytes of the metrics of one answer at most."""
FILES = 256
"""Files that are open at a time."""


def main() -> None:
    """Judge answers until the end of standard input, or SIGTERM."""
    # what runs in a child is to end with this process, and its directory to be removed
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit())
    receive, out, _ = streams()
    sources, name, num_fewshot, trusted, limits = pickle.load(receive)
    try:
        from engine.tasks.loading import load_tasks

        task = load_tasks(sources, num_fewshot, trusted, runs_code=True)[name]
    except (ValueError, ModuleNotFoundError) as error:
        out.write(json.dumps(str(error)).encode() + b"\n")
        out.flush()
        return
    with suppress(EOFError):
        while True:
            doc, results = pickle.load(receive)
            out.write((metrics_of(task, doc, results, limits) or b"null") + b"\n")
            out.flush()


def metrics_of(task: Any, doc: Any, results: Any, limits: CodeLimits) -> bytes:
    """Return the metrics of an answer as JSON, found in a child; empty if that takes more than the limits."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        receive, send = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                _confine(home, send, limits)
                found = {str(name): float(value) for name, value in task.process_results(doc, results).items()}
                os.write(send, json.dumps(found).encode())
            finally:
                os._exit(0)
        os.close(send)
        try:
            data = _read(receive, limits.seconds)
        finally:
            os.close(receive)
            for kill in (os.killpg, os.kill):
                with suppress(ProcessLookupError, PermissionError):
                    kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    try:
        return json.dumps({str(name): float(value) for name, value in json.loads(data).items()}).encode()
    except (ValueError, AttributeError, TypeError):
        return b""


def _confine(home: str, send: int, limits: CodeLimits) -> None:
    """Leave this child nothing but its own directory, and the pipe for its result as the only open file."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.setsid()
    os.chdir(home)
    os.environ.clear()
    os.environ.update(ALLOWED, PATH=os.defpath, HOME=home, TMPDIR=home)
    tempfile.tempdir = None
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nothing, stream)
    for number in range(3, FILES):
        if number != send:
            with suppress(OSError):
                os.close(number)
    seconds = max(1, round(limits.seconds))
    for kind, most in (
        (resource.RLIMIT_CPU, seconds), (resource.RLIMIT_AS, _taken() + limits.memory),
        (resource.RLIMIT_FSIZE, limits.file), (resource.RLIMIT_CORE, 0), (resource.RLIMIT_NOFILE, FILES),
    ):  # fmt: skip
        with suppress(ValueError, OSError):
            resource.setrlimit(kind, (most, most))


def _taken() -> int:
    """Return the bytes of address space that this process has; 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except (OSError, ValueError):
        return 0


def _read(receive: int, seconds: float) -> bytes:
    """Return what is written until the other end is closed; empty if that takes longer."""
    end, data = time.monotonic() + seconds, b""
    while len(data) <= MOST:
        left = end - time.monotonic()
        if left <= 0 or not select.select([receive], [], [], left)[0]:
            return b""
        part = os.read(receive, MOST)
        if not part:
            return data
        data += part
    return b""


if __name__ == "__main__":
    main()
