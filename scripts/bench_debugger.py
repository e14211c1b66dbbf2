"""Measure the debugger: keys on a slow line, scrubbing, memory over long runs, and recordings.

    python scripts/bench_debugger.py [keys|scrub|memory|recording ...] [--seconds 10] [--json]

The real application in pseudo-terminals, or its parts; a made-up engine that steps as fast as it is asked to stands
for the real one, so that the terminal and nothing else is what is measured.  Prints each figure beside its target.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from scripts.busy_engine import ENGINE
from tests.tui.terminal import SlowTerminal

LENGTH = 1_024
RATE = 300_000
"""Bytes a second of a slow line."""
STEPS = 4_096
FRAMES = 100_000
ROW = tuple[str, str, str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=[])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = [row for part in options.parts or PARTS for row in PARTS[part](options.seconds)]
    if options.json:
        print(json.dumps([dict(zip(("what", "measured", "target"), row, strict=True)) for row in rows]))
        return
    for what, measured, target in rows:
        print(f"{what:<66}{measured:>24}   target {target}")


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
        begun, mark, first = time.monotonic(), len(person.raw), position(person.raw)
        up = True
        while time.monotonic() - begun < seconds:
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
        lasted = time.monotonic() - begun
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


PARTS: dict[str, Callable[[float], Iterator[ROW]]] = {"keys": keys}

if __name__ == "__main__":
    main()
