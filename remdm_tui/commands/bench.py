"""`remdm-tui bench`: the factorised step against the dense one, as tables or JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib.util import find_spec
from itertools import groupby
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from engine.text.counts import counted
from remdm_tui.console.output import print_note
from remdm_tui.console.rich_console import SafeConsole
from remdm_tui.console.sanitize import escape_json

if TYPE_CHECKING:
    from engine.bench import Comparison, Machine, Options, TimingOptions, TimingRow

PARTS = ("step", "memory", "reading", "demo", "calls", "judge", "answers")
OPTIONAL = {"answers": "lm_eval"}
"""Parts that are measured without being named only where this package is installed."""
BUSY = 0.03
"""Above this fraction of other work on the processor, timings are doubtful."""


def run(
    parts: Sequence[str] = (),
    *,
    quick: bool = False,
    as_json: bool = False,
    dtypes: Sequence[str] = (),
    probabilities: Sequence[str] = (),
    allocators: Sequence[str] = (),
    threads: int = 0,
    repeats: int = 0,
    seed: int = 0,
    processor: bool = False,
    command: Sequence[str] | None = None,
    console: Console | None = None,
) -> None:
    """Measure the named parts, by default all of them, and print the ratios. Raises ValueError for a bad name.

    quick: sizes that take seconds.  processor: judge and answers in processor seconds.  Empty choices and zeros are
    those of the documented benchmark.
    """
    from engine import bench

    options = bench.QUICK if quick else bench.Options()
    chosen: dict[str, Any] = {
        "dtypes": tuple(dtypes),
        "probabilities": tuple(probabilities),
        "allocators": tuple(allocators),
    }
    chosen |= {"threads": threads, "repeats": repeats}
    if repeats:
        chosen |= {"judge_repeats": repeats, "answers_repeats": repeats}
    changes = {name: value for name, value in chosen.items() if value} | {"seed": seed, "processor": processor}
    options = replace(options, **changes).checked()
    usual = tuple(part for part in PARTS if part not in OPTIONAL or find_spec(OPTIONAL[part]) is not None)
    lines = bench.measure(tuple(parts) or usual, options)
    command_line = command_line_of(command)
    console = console or SafeConsole()
    if as_json:
        console.file.write(escape_json(_as_json(bench.machine(options), options, command_line, list(lines))) + "\n")
        return
    console.print(machine_lines(bench.machine(options), command_line), highlight=False, markup=False, soft_wrap=True)
    for part, group in groupby(lines, key=lambda line: line.part):
        console.print(_table(part, bench.PARTS[part].summary, list(group)))


def print_timing(
    *,
    count: int = 64,
    length: int = 1024,
    steps: Sequence[int] = (),
    batch: int = 1,
    samples: int | None = None,
    timed_steps: int | None = None,
    processor: bool = False,
    quick: bool = False,
    as_json: bool = False,
    dtype: str = "float32",
    device: str = "cpu",
    threads: int = 0,
    seed: int = 0,
    command: Sequence[str] | None = None,
    console: Console | None = None,
) -> None:
    """Print seconds for `count` samples by every scheme. Raises ValueError for a value out of range.

    samples, timed_steps: how much of that is run, if not all; the row then says what it was scaled from.
    processor: processor seconds of one thread instead of wall clock.  quick: a network and lengths that take
    seconds.  No steps are those of MDLM's table.
    """
    from engine import bench
    from engine.models import DTYPES, choose_device

    if dtype not in DTYPES:
        raise ValueError(f"unknown dtype {dtype!r}: choose {', '.join(DTYPES)}")
    shape = bench.QUICK.shape if quick else bench.NetworkShape()
    options = bench.TimingOptions(
        shape=replace(shape, length=min(length, shape.length) if quick else length),
        steps=tuple(steps) or ((32, 64) if quick else bench.TimingOptions.steps), count=count, batch=batch,
        samples=samples, timed_steps=timed_steps, processor=processor, dtype=dtype,
        device=str(choose_device(device)), threads=threads, seed=seed,
    ).checked()  # fmt: skip
    timings: list[TimingRow] = []
    for timed in bench.measure_timing(options):
        print_note(f"{timed.scheme}, T = {timed.steps:,}: {timed.seconds:.4g} s")
        timings.append(timed)
    command_line = command_line_of(command)
    machine = bench.machine(replace(bench.Options(), threads=threads))
    base = {timed.steps: timed.seconds for timed in timings if timed.scheme == bench.BASE}
    console = console or SafeConsole()
    if as_json:
        rows = [asdict(timed) | {"ratio": base[timed.steps] / timed.seconds} for timed in timings]
        facts = {"command": command_line, "machine": asdict(machine), "options": asdict(options), "results": rows}
        console.file.write(escape_json(json.dumps(facts, indent=2)) + "\n")
        return
    console.print(machine_lines(machine, command_line), highlight=False, markup=False, soft_wrap=True)
    console.print(_timings(timings, base, options, bench.BASE))


def _timings(timings: Sequence[TimingRow], base: dict[int, float], options: TimingOptions, over: str) -> Table:
    shape = options.shape
    what = "processor seconds of one thread" if options.processor else "seconds"
    title = (
        f"{what} for {counted(options.count, 'sample')} of {counted(shape.length, 'token', form=',')}, "
        f"batch {options.batch}; {options.dtype}, "
        f"{counted(shape.blocks, 'block')} of {shape.width}, V = {shape.vocab:,}, random weights"
    )
    table = Table(title=title, title_justify="left")
    for name in ("scheme", "T", "seconds", f"speed over {over}", "calls/sample", "what was measured"):
        table.add_column(name, justify="left" if name in ("scheme", "what was measured") else "right")
    for timed in timings:
        busy = 0.0 if options.processor else timed.busy
        remark = "; ".join(filter(None, (timed.measured, _others(busy))))
        table.add_row(
            timed.scheme, f"{timed.steps:,}", f"{timed.seconds:,.4g}", f"{base[timed.steps] / timed.seconds:.3g}x",
            f"{timed.calls:,.1f}", remark,
        )  # fmt: skip
    return table


def _as_json(machine: Machine, options: Options, command: str, lines: list[Comparison]) -> str:
    rows = [asdict(line) | {"ratio": line.ratio, "met": line.met} for line in lines]
    facts = {"command": command, "machine": asdict(machine), "options": asdict(options), "results": rows}
    return json.dumps(facts, indent=2)


def command_line_of(command: Sequence[str] | None) -> str:
    """Return a command in one line; None: the one that is running."""
    return " ".join(command if command is not None else ["remdm-tui", *sys.argv[1:]])


def machine_lines(machine: Machine, command: str) -> str:
    """Return the lines above a table: its command, and the machine."""
    return (
        f"$ {command}\n{machine.cpu}, {counted(machine.cores, 'core')}, {counted(machine.threads, 'thread')}; "
        f"torch {machine.torch}, Python {machine.python}, {machine.system}"
    )


def _table(part: str, summary: str, lines: list[Comparison]) -> Table:
    table = Table(title=f"{part}: {summary}", title_justify="left")
    table.add_column("case")
    for name in ("dense", "ours", "ratio", "target"):
        table.add_column(name, justify="right")
    table.add_column("")
    for line in lines:
        target = "" if line.target is None else f"{line.target:.3g} {'met' if line.met else 'missed'}"
        table.add_row(
            line.case, f"{line.dense:.4g} {line.unit}", f"{line.ours:.4g}", f"{line.ratio:.3g}x", target, _remark(line)
        )  # fmt: skip
    return table


def _remark(line: Comparison) -> str:
    """Return the note of the line, and a warning if something else ran meanwhile."""
    return "; ".join(filter(None, (line.note, _others(line.busy))))


def _others(busy: float) -> str:
    return f"others took {busy:.0%} of the CPU: measure again" if busy > BUSY else ""
