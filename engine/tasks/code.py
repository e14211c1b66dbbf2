"""Code that a model has written, for tasks that run it: in another process, with limits."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec

KEPT = (
    "HOME", "HF_HOME", "HF_DATASETS_CACHE", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "XDG_CACHE_HOME",
)  # fmt: skip
"""Variables by which the data of tasks is found again; the code itself gets none of them."""

PATIENCE = 5.0
"""Seconds that the process has to end the code and to remove its directory."""


class CodeLimits(msgspec.Struct, frozen=True):
    """What running one answer may take."""

    seconds: float = 20.0
    """of wall-clock time and of a processor's"""
    memory: int = 1 << 30
    """bytes, besides what the process has taken before"""
    file: int = 1 << 26
    """bytes of a file that it writes"""


@dataclass
class CodeRunner:
    """Judges the answers of one task, whose metrics run them, in a process of its own; it is started when needed."""

    sources: Sequence[str]
    name: str
    num_fewshot: int | None = None
    trusted: bool = False
    """whether code that the task's file names may run"""
    limits: CodeLimits = field(default_factory=CodeLimits)
    _process: subprocess.Popen[bytes] | None = None

    def metrics(self, doc: Any, results: Any) -> dict[str, float] | None:
        """Return the metrics of an answer; None if it took more than the limits or ended its process.

        Raises ValueError if the task itself cannot be read.
        """
        process = self._process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        # a process that has ended says why in what it has written last
        with suppress(BrokenPipeError):
            pickle.dump((doc, results), process.stdin)
            process.stdin.flush()
        line = process.stdout.readline()
        found = json.loads(line) if line else "it has ended"
        if isinstance(found, str):
            self.close()
            raise ValueError(f"the process that runs code for the task {self.name}: {found}")
        return None if found is None else {name: float(value) for name, value in found.items()}

    def _start(self) -> subprocess.Popen[bytes]:
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "engine.tasks.run_code"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, env={**kept, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )  # fmt: skip
        assert process.stdin is not None
        pickle.dump((list(self.sources), self.name, self.num_fewshot, self.trusted, self.limits), process.stdin)
        process.stdin.flush()
        return process

    def close(self) -> None:
        """End the process, and with it the code that it runs."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE)
        process.kill()
        for stream in (process.stdin, process.stdout):
            assert stream is not None
            with suppress(OSError):
                stream.close()
        process.wait()


def run_elsewhere(task: Any, runner: CodeRunner) -> None:
    """Let a task's answers be judged by a runner; one that took more than the limits is wrong."""
    names = tuple(task.aggregation())

    def process_results(doc: Any, results: Any) -> dict[str, float]:
        found = runner.metrics(doc, results)
        return dict.fromkeys(names, 0.0) if found is None else found

    task.process_results = process_results
