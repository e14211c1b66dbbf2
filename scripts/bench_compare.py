"""Measure comparing: keys while four panes play, and what their drawing takes.

    python scripts/bench_compare.py [--seconds 10] [--panes 4] [--json]

The real application and engine in a pseudo-terminal of 120x40, the demo model, L = 128, at full speed.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from scripts.bench_terminal import cpu_seconds, position
from tests.tui.terminal import Terminal

PANES = ("remdm-cap:eta=.02", "mdlm", "remdm-loop", "remdm-conf")
STEPS = 3_000
BETWEEN = 0.11
"""Seconds between two keys."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--panes", type=int, default=4, choices=range(2, 5))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    keys, cpu, rate = measure(options.panes, options.seconds)
    rows = [
        (
            f"key to repaint while {options.panes} panes play, {len(keys)} keys, median / p95 / max",
            f"{statistics.median(keys):.0f} / {keys[int(0.95 * len(keys))]:.0f} / {keys[-1]:.0f} ms", "p95 < 40 ms",
        ),
        ("CPU of the terminal meanwhile", f"{cpu:.1f} %", ""),
        ("steps of all panes a second", f"{rate:.1f}", ""),
    ]  # fmt: skip
    if options.json:
        print(json.dumps([dict(zip(("what", "measured", "target"), row, strict=True)) for row in rows]))
        return
    for what, measured, target in rows:
        print(f"{what:<66}{measured:>24}   target {target}" if target else f"{what:<66}{measured:>24}")


def measure(panes: int, seconds: float) -> tuple[list[float], float, float]:
    """Milliseconds from a key that turns eta to its new value on the wire, in order; the terminal's share of a core,
    in percent; and the steps of all panes a second."""
    options = [word for pane in PANES[:panes] for word in ("--compare", pane)]
    person = Terminal(["watch", "--fresh", "--steps", str(STEPS), "--length", "128", *options])
    taken = []
    try:
        person.wait(lambda s: position(s) > 30)
        since, spent, first = time.monotonic(), cpu_seconds(person.process.pid), position(person.screen())
        up = True
        while time.monotonic() - since < seconds:
            person.read(0, parse=False)
            mark, start = len(person.raw), time.perf_counter()
            person.press("E" if up else "e")
            value = re.compile(rb"[^0-9.]" + re.escape(b"0.022" if up else b"0.019") + rb"[^0-9]")
            while not value.search(person.raw[mark:]):
                person.read(0.001, parse=False)
                if time.perf_counter() - start > 2:
                    raise RuntimeError(f"a key had no effect:\n{person.screen()}")
            taken.append(1000 * (time.perf_counter() - start))
            up = not up
            pause = time.monotonic() + BETWEEN
            while time.monotonic() < pause:
                person.read(0.01, parse=False)
        passed = time.monotonic() - since
        spent = cpu_seconds(person.process.pid) - spent
        # what was read without being parsed is all in the raw bytes
        last = int(re.findall(rb"(\d+)/%d" % STEPS, person.raw)[-1])
        return sorted(taken), 100 * spent / passed, panes * (last - first) / passed
    finally:
        person.close()


if __name__ == "__main__":
    main()
