"""Measure the terminal: start-up, keys, painting, and what watching costs the sampler.

    python scripts/bench_terminal.py [--seconds 10] [--part map] [--json]

Runs the real application in pseudo-terminals.  Prints each figure beside its target; run it on an idle machine.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.tui.terminal import COMMAND, Terminal

if TYPE_CHECKING:
    from textual.screen import Screen

STEPS = 3_000
LOOPING = 1_400
"""A step inside the loop, where almost every step calls the network."""
ROUNDS = 9
"""Runs a side for the cost of watching: one run differs from the next by more than that."""
WARM_UP = 20
"""Frames of the grid before its clock starts."""
PARTS = ("all", "map")
LONG = (1024, 4096)
"""Positions and steps of the longest run that the map is measured on."""
RUN = ["watch", "--steps", str(STEPS), "--strategy", "remdm-loop", "--length", "128"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--grid", type=int, metavar="FRAMES", help=argparse.SUPPRESS)
    parser.add_argument("--map", type=int, metavar="COLUMNS", help=argparse.SUPPRESS)
    parser.add_argument("--into", type=Path, metavar="FILE", help=argparse.SUPPRESS)
    parser.add_argument("--part", choices=PARTS, default="all", help="what to measure")
    options = parser.parse_args()
    if options.grid or options.map:
        taken = asyncio.run(grid_cpu(options.grid) if options.grid else map_cpu(options.map))
        options.into.write_text(json.dumps(taken))
        return
    rows = [*(measure(options.seconds) if options.part == "all" else ()), *measure_map()]
    if options.json:
        print(json.dumps([dict(zip(("what", "measured", "target"), row, strict=True)) for row in rows]))
        return
    for what, measured, target in rows:
        print(f"{what:<56}{measured:>22}   target {target}")


def measure(seconds: float) -> Iterator[tuple[str, str, str]]:
    yield "--help, wall, median of 9", f"{help_ms():.0f} ms", "< 100 ms"
    first = statistics.median(first_paint_ms() for _ in range(5))
    yield "first paint while the model loads, median of 5", f"{first:.0f} ms", "< 400 ms"
    frames = child("--grid", 300)
    yield "grid, CPU a frame, 120x40, 1,024 tokens, 10 % change", f"{frames:.2f} ms", "<= 2.5 ms"
    yield "idle and paused, CPU of the terminal", f"{idle_percent(seconds):.2f} %", "<= 1 %"
    keys = sorted(key_ms(seconds))
    p95 = keys[int(0.95 * len(keys))]
    yield (
        f"key to repaint while sampling, {len(keys)} keys, median / p95",
        f"{statistics.median(keys):.0f} / {p95:.0f} ms", "p95 <= 30 ms",
    )  # fmt: skip
    # alternating, so that a drifting clock rate touches both sides
    rounds = [(watched_rate(seconds), served_rate(seconds)) for _ in range(ROUNDS)]
    watched, alone = (sorted(side) for side in zip(*rounds, strict=True))
    for side, name in ((watched, "watched"), (alone, "the same engine unwatched")):
        yield f"steps a second, {name}", f"{side[0]:.1f} to {side[-1]:.1f}", ""
    cost = 100 * (1 - statistics.median(watched) / statistics.median(alone))
    yield f"cost of watching, medians of {ROUNDS} runs each", f"{cost:.1f} %", "<= 5 %"


def help_ms() -> float:
    def once() -> float:
        start = time.perf_counter()
        subprocess.run([*COMMAND, "--help"], check=True, capture_output=True)
        return 1000 * (time.perf_counter() - start)

    once()
    return statistics.median(once() for _ in range(9))


def first_paint_ms() -> float:
    start = time.perf_counter()
    person = Terminal(["watch"])
    try:
        person.wait(lambda s: "loading demo" in s and "knobs" in s)
        return 1000 * (time.perf_counter() - start)
    finally:
        person.close()


def position(screen: str) -> int:
    found = re.search(rf"(\d+)/{STEPS}", screen.splitlines()[0])
    return int(found[1]) if found else -1


def watching(condition: Callable[[str], bool]) -> Terminal:
    person = Terminal(RUN)
    person.wait(condition)
    return person


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def idle_percent(seconds: float) -> float:
    person = watching(lambda s: position(s) > 50)
    try:
        person.press(" ")
        person.wait(lambda s: "paused" in s.splitlines()[0])
        time.sleep(1)
        before = cpu_seconds(person.process.pid)
        time.sleep(seconds)
        return 100 * (cpu_seconds(person.process.pid) - before) / seconds
    finally:
        person.close()


def key_ms(seconds: float) -> list[float]:
    """From a key that turns eta to the knob's new value on the wire."""
    person = watching(lambda s: position(s) > 50)
    taken = []
    try:
        end = time.monotonic() + 2 * seconds
        up = True
        while time.monotonic() < end:
            person.read(0, parse=False)
            mark = len(person.raw)
            start = time.perf_counter()
            person.press("E" if up else "e")
            value = b"0.022" if up else b"0.019"
            while not re.search(rb"[^0-9.]" + re.escape(value) + rb"[^0-9]", person.raw[mark:]):
                person.read(0.001, parse=False)
                if time.perf_counter() - start > 2:
                    raise RuntimeError(f"a key had no effect:\n{person.screen()}")
            taken.append(1000 * (time.perf_counter() - start))
            up = not up
            pause = time.monotonic() + 0.11
            while time.monotonic() < pause:
                person.read(0.01, parse=False)
        return taken
    finally:
        person.close()


def watched_rate(seconds: float) -> float:
    """Steps a second in the terminal, from the record's own count."""
    person = watching(lambda s: position(s) > LOOPING)
    try:
        # from one repaint of the count to another: in between it stands still
        seen: list[tuple[float, int]] = []
        while not seen or seen[-1][0] - seen[0][0] < seconds:
            mark = len(person.raw)
            person.read(0.02, parse=False)
            for count in re.findall(rb"(\d+)/%d" % STEPS, person.raw[mark:])[-1:]:
                seen.append((time.perf_counter(), int(count)))
        (start, first), (end, last) = seen[0], seen[-1]
        return (last - first) / (end - start)
    finally:
        person.close()


def served_rate(seconds: float) -> float:
    """Steps a second of the same engine process when nobody looks."""
    from engine import wire
    from engine.records import ModelChoice, RunChoice, Settings
    from engine.strategies import make_strategy, values
    from remdm_tui.link.process import ENGINE

    process = subprocess.Popen(ENGINE, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    settings = Settings("remdm-loop", values(make_strategy("remdm-loop")))
    for message in (
        wire.Open(ModelChoice("demo")),
        wire.Begin(1, wire.SettingsData.of(settings), RunChoice(STEPS, 128)),
        wire.Credit(STEPS),
    ):
        wire.write(process.stdin, message)
    start, first = 0.0, 0
    try:
        wire.read_greeting(process.stdout)
        for event in wire.events(process.stdout):
            if isinstance(event, wire.Stepped):
                if event.index == LOOPING:
                    start, first = time.perf_counter(), event.index
                elif start and time.perf_counter() - start >= seconds:
                    return (event.index - first) / (time.perf_counter() - start)
    finally:
        process.kill()
        process.wait()
    raise RuntimeError("the engine stopped early")


def measure_map() -> Iterator[tuple[str, str, str]]:
    yield "map, CPU of one new column, 120x40", f"{child('--map', 300):.2f} ms", "<= 2 ms"
    positions, steps = LONG
    size = 0.0
    for mode, milliseconds, bytes_each in map_repaints():
        size = bytes_each
        what = f"map, whole repaint of {positions:,} x {steps:,}, {mode}"
        yield what, f"{milliseconds:.0f} ms", "<= 60 ms"
    yield "map, bytes a position and step", f"{size:.2f}", "<= 2"


def child(part: str, frames: int) -> float:
    """One part alone in a terminal of its own."""
    out = Path(f"/tmp/remdm-grid-{os.getpid()}.json")
    # not through standard output, which Textual asks for the size of the terminal
    person = Terminal([], command=[sys.executable, __file__, part, str(frames), "--into", str(out)])
    try:
        person.exit_code(120)
        return float(json.loads(out.read_text()))
    finally:
        person.close()
        out.unlink(missing_ok=True)


def composed() -> Screen[None]:
    """Return an empty screen with the application's compositor."""
    from textual.screen import Screen

    from remdm_tui.widgets.compositor import DirtyCompositor

    screen: Screen[None] = Screen(id="_default")
    screen._compositor = DirtyCompositor()
    return screen


async def grid_cpu(frames: int) -> float:
    """Main-thread CPU of one frame, ms, the median: layout, styles, compositing and what the driver encodes."""
    import numpy as np
    from textual.app import App, ComposeResult

    from engine.records import Change
    from remdm_tui.render.text_layout import TokenTexts
    from remdm_tui.render.typeset import Canvas
    from remdm_tui.widgets.token_grid import TokenGrid

    rng = np.random.default_rng(0)
    length = 1024
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    words = [" " + "".join(rng.choice(letters, rng.integers(1, 7))) for _ in range(4000)]

    def canvases() -> Iterator[Canvas]:
        """A tenth of the positions changes at every step, from half masked on."""
        tokens = rng.integers(0, 4000, length).astype(np.int32)
        change = rng.choice([Change.MASKED, Change.HELD], length).astype(np.uint8)
        held = np.full(length, 0.5, np.float32)
        while True:
            change = np.where(change == Change.REVEALED, Change.HELD, change)
            change = np.where(change == Change.REMASKED, Change.MASKED, change).astype(np.uint8)
            where = rng.random(length) < 0.1
            change[where] = np.where(change[where] == Change.MASKED, Change.REVEALED, Change.REMASKED)
            before, tokens = tokens, np.where(where, rng.integers(0, 4000, length), tokens).astype(np.int32)
            yield Canvas(tokens, change, held, before)

    made = list(islice(canvases(), frames + WARM_UP))

    class GridApp(App[float]):
        _painted = True

        def post_display_hook(self) -> None:
            self._painted = True

        def get_default_screen(self) -> Screen[None]:
            return composed()

        def compose(self) -> ComposeResult:
            yield TokenGrid()

        def on_mount(self) -> None:
            self.query_one(TokenGrid).use_pieces(TokenTexts.of(words))
            self._shown, self._clock = 0, list[float]()
            self.set_interval(1 / 60, self.next_frame)

        def next_frame(self) -> None:
            # on a busy machine a beat may come before the paint: two frames would be painted as one
            if not self._painted:
                return
            self._painted = False
            if self._shown == WARM_UP:
                # as the application does
                gc.collect()
                gc.freeze()
            self._clock.append(time.thread_time())
            if self._shown == frames + WARM_UP:
                self.exit(1000 * statistics.median(b - a for a, b in pairwise(self._clock[WARM_UP:])))
                return
            self.query_one(TokenGrid).show(made[self._shown])
            self._shown += 1

    result = await GridApp().run_async()
    assert result is not None
    return result


async def map_cpu(columns: int) -> float:
    """Main-thread CPU of one new step on the map, ms, the median, from the record to what the driver encodes.

    Every other beat of the clock shows nothing new; what such a beat takes is subtracted.
    """
    from textual.app import App, ComposeResult

    from engine.sampling.trace import Trace
    from remdm_tui.widgets.trajectory_map import TrajectoryMap
    from tests.engine.recordings import busy_frames

    total = columns + WARM_UP
    start, frames = busy_frames(total, 128, 3)
    made, trace = list(frames), Trace(start)

    class MapApp(App[float]):
        _painted = True

        def post_display_hook(self) -> None:
            self._painted = True

        # as large as the map of a terminal of 120 x 40
        CSS = "TrajectoryMap { width: 78; height: 14; border-top: solid white; }"

        def get_default_screen(self) -> Screen[None]:
            return composed()

        def compose(self) -> ComposeResult:
            yield TrajectoryMap()

        def on_mount(self) -> None:
            self._clock = list[float]()
            self.set_interval(1 / 60, self.next_step)

        def next_step(self) -> None:
            if not self._painted:
                return
            if len(self._clock) == 2 * WARM_UP:
                gc.collect()
                gc.freeze()
            self._clock.append(time.thread_time())
            if len(trace) == total:
                taken = [b - a for a, b in pairwise(self._clock[2 * WARM_UP :])]
                self.exit(1000 * (statistics.median(taken[::2]) - statistics.median(taken[1::2])))
                return
            if len(self._clock) % 2 == 0:
                return
            self._painted = False
            trace.append(made[len(trace)])
            self.query_one(TrajectoryMap).show(trace, 0, total, len(trace), None)

    result = await MapApp().run_async()
    assert result is not None
    return result


def map_repaints() -> Iterator[tuple[str, float, float]]:
    """CPU of pooling and painting a whole long run on 78 x 14 characters, by mode, the median; and bytes a cell."""
    from engine.sampling.trace import Trace
    from remdm_tui.render.plate import Plate
    from remdm_tui.render.plate_modes import MODES
    from remdm_tui.render.plate_paint import HALF, colours_of
    from remdm_tui.render.plate_pool import Pool
    from remdm_tui.render.viewport import Viewport
    from tests.engine.recordings import busy_frames

    positions, steps = LONG
    start, frames = busy_frames(steps, positions, 40)
    trace = Trace(start)
    for frame in frames:
        trace.append(frame)
    plate = Plate(trace, 0)
    plate.read()
    view, grid = Viewport.whole(positions, steps + 1), (14 * HALF.rows, 78 * HALF.columns)
    for mode in MODES.values():
        taken = []
        for _ in range(9):
            since = time.process_time()
            pool = Pool(plate, view, grid, mode)
            HALF.paint(colours_of(pool.worst, pool.share, mode))
            taken.append(1000 * (time.process_time() - since))
        yield mode.name, statistics.median(taken), plate.nbytes / (positions * (steps + 1))


if __name__ == "__main__":
    main()
