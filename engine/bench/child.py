"""Measurements that run in a process of their own, whose allocator and peak memory are theirs alone.

`python -m engine.bench.child` takes a task on standard input and writes its figures to standard output.
"""

from __future__ import annotations

import ctypes
import gc
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import torch

from engine.bench.options import Options
from engine.bench.subjects import random_model, side


@dataclass(frozen=True)
class BenchTask:
    """One thing to measure: `kind` names an entry of TASKS."""

    kind: str
    dtype: str
    options: Options
    sides: tuple[str, ...] = ()
    """those of `engine.bench.subjects.side` whose memory is measured"""


def _seconds(step: Callable[[int], int], repeats: int) -> tuple[float, float]:
    """Return (median seconds of a step, mean tokens it revealed), after one that is not counted."""
    step(0)
    seconds, revealed = [], 0
    for number in range(1, repeats + 1):
        start = time.perf_counter()
        revealed += step(number)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds), revealed / repeats


class OtherLoad:
    """The share of the processor that other processes take, from its creation on; 0 where there is no /proc."""

    def __init__(self) -> None:
        self._since = self._ticks()

    def share(self) -> float:
        total, others = (now - then for now, then in zip(self._ticks(), self._since, strict=True))
        return max(0.0, others / total) if total else 0.0

    @staticmethod
    def _ticks() -> tuple[float, float]:
        """Return (all ticks of all cores so far, those neither idle nor ours)"""
        try:
            ticks = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        except OSError:
            return 0.0, 0.0
        own = (time.process_time()) * os.sysconf("SC_CLK_TCK")
        return sum(ticks), sum(ticks) - ticks[3] - ticks[4] - own


@torch.inference_mode()
def time_steps(task: BenchTask) -> dict[str, float]:
    """Return seconds of a step on every side, and the tokens that ours revealed, in one process."""
    options = task.options
    model = random_model(options.shape, options.seed)
    load = OtherLoad()
    found: dict[str, float] = {}
    for dense_type in options.probabilities:
        found[dense_type], _ = _seconds(side(model, dense_type, task.dtype, options), options.dense_repeats)
    found["ours"], found["revealed"] = _seconds(side(model, "ours", task.dtype, options), options.repeats)
    return found | {"busy": load.share()}


@torch.inference_mode()
def time_readers(task: BenchTask) -> dict[str, float]:
    """Return seconds of a step of each strategy that reads all positions, and of the network and its head alone."""
    options = task.options
    model = random_model(options.shape, options.seed)
    load = OtherLoad()
    names = ("alone", *options.readers)
    found = {name: _seconds(side(model, name, task.dtype, options), options.repeats)[0] for name in names}
    return found | {"busy": load.share()}


@torch.inference_mode()
def peak_memory(task: BenchTask) -> dict[str, float]:
    """Return the MiB that a step of each side needs beyond the model in memory."""
    return {name: _peak_of(name, task) for name in task.sides}


def _peak_of(name: str, task: BenchTask) -> float:
    shape = task.options.shape
    model = random_model(shape, task.options.seed)
    small = replace(task.options, shape=replace(shape, length=min(shape.length, 16)))
    step = side(model, name, task.dtype, task.options)
    # a short canvas first: libraries load their code at first use, which is no working memory
    side(model, name, task.dtype, small)(0)
    del model
    gc.collect()
    before = _restart_peak()
    for number in range(2):
        step(number)
    return max(_status("VmHWM") - before, 0.0)


def _restart_peak() -> float:
    """Forget the peak so far; MiB in memory now.  Raises OSError where there is no Linux /proc."""
    with suppress(AttributeError):  # free memory that the C library has kept would hide what the step takes
        ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _status(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name + ":")) / 1024


TASKS: dict[str, Callable[[BenchTask], dict[str, float]]] = {
    "time": time_steps,
    "readers": time_readers,
    "memory": peak_memory,
}


def in_child(task: BenchTask, environment: Mapping[str, str]) -> dict[str, float]:
    """Run a task in a process of its own; raises RuntimeError with its last words if it fails."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "engine.bench.child"],
        input=msgspec.json.encode(task),
        capture_output=True,
        env={**os.environ, **environment},
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{task.kind} {task.dtype}: {done.stderr.decode(errors='replace')[-800:].strip()}")
    return msgspec.json.decode(done.stdout, type=dict[str, float])


def main() -> None:
    """Run one task from stdin in a child process, and print its figures on stdout."""
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=BenchTask)
    if task.options.threads:
        torch.set_num_threads(task.options.threads)
    sys.stdout.buffer.write(msgspec.json.encode(TASKS[task.kind](task)))


if __name__ == "__main__":
    main()
