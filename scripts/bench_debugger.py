"""Measure the debugger: keys on a slow line, scrubbing, memory over long runs, and recordings.

    python scripts/bench_debugger.py [keys|scrub|memory|recording ...] [--seconds 10] [--json]

The real application in pseudo-terminals, or its parts; a made-up engine that steps as fast as it is asked to stands
for the real one, so that the terminal and nothing else is what is measured.  Prints each figure beside its target.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent.parent))

from scripts.busy_engine import ENGINE, model
from tests.tui.terminal import SlowTerminal, Terminal

if TYPE_CHECKING:
    from torch import Tensor

LENGTH = 1_024
RATE = 300_000
"""Bytes a second of a slow line."""
VOCABULARY = 50_258
STEPS = 4_096
FRAMES = 100_000
ROW = tuple[str, str, str]


def main() -> None:
    global STEPS
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=[])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--steps", type=int, default=STEPS, help="of what is recorded")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    STEPS = options.steps
    rows = (row for part in options.parts or PARTS for row in PARTS[part](options.seconds))
    if options.json:
        print(json.dumps([dict(zip(("what", "measured", "target"), row, strict=True)) for row in rows]))
        return
    for what, measured, target in rows:
        print(f"{what:<78}{measured:>20}{f'   target {target}' if target else ''}", flush=True)


# -- keys on a slow line


def keys(seconds: float) -> Iterator[ROW]:
    for columns, rows in ((120, 40), (200, 60)):
        taken, frames_a_second, carried = key_ms(columns, rows, seconds)
        yield (
            f"key to repaint, {RATE // 1000} KB/s, {LENGTH:,} tokens, {columns}x{rows}, {len(taken)} keys",
            f"{statistics.median(taken):.0f} / {taken[int(0.95 * len(taken))]:.0f} ms", "median < 100 ms",
        )  # fmt: skip
        yield "  the view meanwhile, steps a second; line in use", f"{frames_a_second:.0f}; {carried:.0%}", ""


def key_ms(columns: int, rows: int, seconds: float) -> tuple[list[float], float, float]:
    """From a key that turns eta to the knob's new value at the end of the line, sorted; pace and use of the line."""
    run = ["watch", "--strategy", "remdm-loop", "--steps", str(FRAMES), "--length", str(LENGTH)]
    person = SlowTerminal(RATE, [*run, "--remote-command", " ".join(ENGINE)], columns, rows)
    taken = []
    try:
        until(person, lambda raw: b"/%d" % FRAMES in raw and b"playing" in raw)
        person.read(2, parse=False)
        since, mark, first = time.monotonic(), len(person.raw), position(person.raw)
        up = True
        while time.monotonic() - since < seconds:
            at, start = len(person.raw), time.perf_counter()
            person.press("E" if up else "e")
            value = b"0.022" if up else b"0.019"
            while not re.search(rb"[^0-9.]" + re.escape(value) + rb"[^0-9]", person.raw[at:]):
                person.read(0.001, parse=False)
                if time.perf_counter() - start > 10:
                    raise RuntimeError(f"a key had no effect: {person.raw[-2000:]!r}")
            taken.append(1000 * (time.perf_counter() - start))
            up = not up
            person.read(0.13 + 0.1 * (len(taken) % 5) / 5, parse=False)
        lasted = time.monotonic() - since
        return (
            sorted(taken),
            (position(person.raw) - first) / lasted,
            (len(person.raw) - mark) / lasted / RATE,
        )
    finally:
        person.close()


def until(person: SlowTerminal, condition: Callable[[bytes], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition(person.raw):
        person.read(0.05, parse=False)
        if time.monotonic() > end:
            raise RuntimeError(f"waited {seconds} s in vain: {person.raw[-2000:]!r}")


def position(raw: bytes) -> int:
    found = re.findall(rb"(\d+)/%d" % FRAMES, raw)
    return int(found[-1]) if found else 0


# -- a recording


def recording(seconds: float) -> Iterator[ROW]:
    with tempfile.TemporaryDirectory() as home:
        path = Path(home) / "run.remdm"
        size, spent = recorded(path)
        yield f"{STEPS:,} steps of remdm-loop, {LENGTH:,} tokens of {VOCABULARY:,}", f"{size / 1e6:.2f} MB", "< 2 MB"
        yield "  writing one frame, CPU", f"{spent:.2f} ms", ""
        taken = sorted(read_ms(path))
        yield (
            "any step from the file, CPU, median / p95 / most", " / ".join(f"{x:.1f}" for x in (
                statistics.median(taken), taken[int(0.95 * len(taken))], taken[-1])) + " ms", "< 16 ms",
        )  # fmt: skip
        first = sorted(first_ms(path) for _ in range(7))
        yield "replay, from the command to its tokens, median of 7", f"{statistics.median(first):.0f} ms", "< 500 ms"
        cpu = sorted(first_ms(path, cpu=True) for _ in range(5))
        yield "  CPU until then, median of 5", f"{statistics.median(cpu):.0f} ms", ""


def scrub(seconds: float) -> Iterator[ROW]:
    with tempfile.TemporaryDirectory() as home:
        path = Path(home) / "run.remdm"
        recorded(path)
        for name, jumps in (("a key for each step", False), ("pointing anywhere by the mouse", True)):
            cpu, late = scrubbed(path, seconds, jumps)
            yield f"{STEPS:,} recorded steps, 120x40, {name}, 60 a second: CPU each", f"{cpu:.1f} ms", "< 16 ms"
            yield "  from the last one to its step on the screen", f"{late:.0f} ms", ""


def recorded(path: Path) -> tuple[int, float]:
    """A run of a network without sense but with a real vocabulary, written to a file: bytes, and CPU a frame, ms."""
    import numpy as np

    from engine.recording import Header, Recorder
    from engine.records import ModelChoice, RunChoice
    from engine.sampling.session import Session
    from engine.sampling.trace import RunStart
    from engine.strategies import make_strategy

    settings = {"steps": STEPS, "length": LENGTH, "seed": 1, "top_p": 0.9}
    session = Session(Senseless(), make_strategy("remdm-loop"), batch=1, **settings)  # type: ignore[arg-type]
    tokens = session.tokens.numpy().astype(np.int32)
    start = RunStart(tokens, np.zeros(tokens.shape, bool), session.steps, 1)
    pieces = (*(f" w{i}" for i in range(VOCABULARY - 1)), "[MASK]")
    named = replace(model(), vocab_size=VOCABULARY, mask_id=VOCABULARY - 1, pieces=pieces)
    header = Header(named, ModelChoice("senseless"), RunChoice(STEPS, LENGTH), STEPS, 1, 1, LENGTH, "0", 0.0)
    recorder, spent = Recorder.create(path, header, start), 0.0
    for frame in session:
        before = time.process_time()
        recorder.frame(0, frame)
        spent += time.process_time() - before
    recorder.close()
    return path.stat().st_size, 1000 * spent / STEPS


class Senseless:
    """A denoiser of random logits: what it reveals is anything."""

    vocab_size, mask_id = VOCABULARY, VOCABULARY - 1
    max_length: int | None = LENGTH
    time_conditioned = False

    def encode(self, tokens: Tensor, t: Tensor) -> Tensor:
        import torch

        place = torch.arange(tokens.shape[1], dtype=torch.float32)
        here = torch.stack([torch.sin(place * i + tokens.float().sum(-1, keepdim=True)) for i in range(1, 9)], -1)
        return here * 3

    def project(self, hidden: Tensor) -> Tensor:
        import torch

        return hidden @ torch.randn(8, VOCABULARY, generator=torch.Generator().manual_seed(0))


def read_ms(path: Path, count: int = 400) -> Iterator[float]:
    """Steps in any order: rebuilt from the file, with what a paint asks of it."""
    import random

    from engine.recording import Recording
    from remdm_tui.render.canvas import canvas

    file = Recording.open(path)
    trace, rng = file.trace(), random.Random(0)
    for _ in range(count):
        before = time.process_time()
        canvas(trace, rng.randint(1, STEPS), 0)
        yield 1000 * (time.process_time() - before)
    file.close()


def first_ms(path: Path, cpu: bool = False) -> float:
    start = time.perf_counter()
    person = Terminal(["replay", str(path)])
    try:
        person.wait(lambda screen: f"0/{STEPS}" in screen and "░░░ ░░░" in screen)
        return 1000 * (cpu_seconds(person.process.pid) if cpu else time.perf_counter() - start)
    finally:
        person.close()


def scrubbed(path: Path, seconds: float, jumps: bool) -> tuple[float, float]:
    """CPU of the terminal for each move through a recording, ms, and from the last move to its step on screen."""
    person = Terminal(["replay", str(path)])
    try:
        person.wait(lambda screen: f"0/{STEPS}" in screen and "░░░ ░░░" in screen)
        person.read(1.0, parse=False)
        start, spent, moves = time.perf_counter(), cpu_seconds(person.process.pid), 0
        while moves < 60 * seconds:
            if time.perf_counter() >= start + moves / 60:
                moves += 1
                # the timeline is above the rows of messages and keys, and it ends at its edge
                column = 119 if moves == 60 * seconds else 2 + 97 * moves % 117
                person.press(f"\x1b[<0;{column};38M\x1b[<0;{column};38m" if jumps else "l")
            person.read(0.002, parse=False)
        last, end = time.perf_counter(), STEPS if jumps else moves
        while b"%d/%d" % (end, STEPS) not in person.raw:
            person.read(0.002, parse=False)
            if time.perf_counter() > last + 30:
                raise RuntimeError(f"step {end} never came:\n{person.raw[-500:]!r}")
        late = time.perf_counter() - last
        return 1000 * (cpu_seconds(person.process.pid) - spent) / moves, 1000 * late
    finally:
        person.close()


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# -- memory


def memory(seconds: float) -> Iterator[ROW]:
    run = ["watch", "--strategy", "remdm-loop", "--steps", str(FRAMES), "--length", str(LENGTH)]
    person = Terminal([*run, "--remote-command", " ".join((*ENGINE, "--changed", "0.02"))])
    try:
        start = time.perf_counter()
        for frames in (1_000, 10_000, FRAMES):
            while position(person.raw) < frames:
                person.read(0.5, parse=False)
                person.raw = person.raw[-50_000:]
            yield (
                f"terminal after {frames:,} frames of {LENGTH:,} tokens", f"{resident(person.process.pid):.0f} MB",
                "< 120 MB",
            )  # fmt: skip
        yield "  steps a second meanwhile", f"{FRAMES / (time.perf_counter() - start):.0f}", ""
    finally:
        person.close()


def resident(pid: int) -> float:
    """MB of a process, what it shares with others too."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / 1000  # type: ignore[index]


PARTS: dict[str, Callable[[float], Iterator[ROW]]] = {
    "keys": keys, "recording": recording, "scrub": scrub, "memory": memory
}  # fmt: skip

if __name__ == "__main__":
    main()
