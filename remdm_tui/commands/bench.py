"""`remdm-tui bench`: the factorised step against the dense one, as tables or JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from engine.bench import Comparison, Machine, Options

PARTS = ("step", "memory", "demo", "calls")
BUSY = 0.03
"""Other work on the processor beyond this share makes timings doubtful."""


def run(
    parts: Sequence[str] = (),
    *,
    quick: bool = False,
    as_json: bool = False,
    dtypes: Sequence[str] = (),
    laws: Sequence[str] = (),
    allocators: Sequence[str] = (),
    threads: int = 0,
    repeats: int = 0,
    seed: int = 0,
    command: Sequence[str] | None = None,
    console: Console | None = None,
) -> None:
    """Measure the parts named (all of them by default) and print the ratios; raises ValueError for a bad name.

    quick: sizes that take seconds.  Empty choices and zeros mean those of the documented benchmark.
    """
    from engine import bench

    options = bench.QUICK if quick else bench.Options()
    chosen: dict[str, Any] = {"dtypes": tuple(dtypes), "laws": tuple(laws), "allocators": tuple(allocators)}
    chosen |= {"threads": threads, "repeats": repeats}
    changes = {name: value for name, value in chosen.items() if value} | {"seed": seed}
    options = replace(options, **changes).checked()
    lines = bench.measure(tuple(parts) or PARTS, options)
    typed = " ".join(command if command is not None else ["remdm-tui", *sys.argv[1:]])
    console = console or Console()
    if as_json:
        console.file.write(_as_json(bench.machine(options), options, typed, list(lines)) + "\n")
        return
    console.print(_heading(bench.machine(options), typed), highlight=False, markup=False, soft_wrap=True)
    for part, group in groupby(lines, key=lambda line: line.part):
        console.print(_table(part, bench.PARTS[part].summary, list(group)))


def _as_json(machine: Machine, options: Options, command: str, lines: list[Comparison]) -> str:
    rows = [asdict(line) | {"ratio": line.ratio, "met": line.met} for line in lines]
    facts = {"command": command, "machine": asdict(machine), "options": asdict(options), "results": rows}
    return json.dumps(facts, indent=2)


def _heading(machine: Machine, command: str) -> str:
    return (
        f"$ {command}\n{machine.cpu}, {machine.cores} cores, {machine.threads} threads; "
        f"torch {machine.torch}, Python {machine.python}, {machine.system}"
    )


def _table(part: str, summary: str, lines: list[Comparison]) -> Table:
    table = Table(title=f"{part}: {summary}", title_justify="left")
    table.add_column("case")
    for name in ("dense", "ours", "ratio", "target"):
        table.add_column(name, justify="right")
    table.add_column("")
    for line in lines:
        target = "" if line.target is None else f"{line.target:g} {'met' if line.met else 'missed'}"
        table.add_row(
            line.case, f"{line.dense:.4g} {line.unit}", f"{line.ours:.4g}", f"{line.ratio:.3g}x", target, _remark(line)
        )  # fmt: skip
    return table


def _remark(line: Comparison) -> str:
    """The line's note, and a warning where something else ran meanwhile."""
    busy = f"others took {line.busy:.0%} of the CPU: measure again" if line.busy > BUSY else ""
    return "; ".join(filter(None, (line.note, busy)))
