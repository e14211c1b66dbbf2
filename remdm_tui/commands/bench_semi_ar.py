"""`remdm-tui bench --semi-ar-table`: MDLM's semi-autoregressive table in miniature, beside that of its README."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from engine.text.counts import counted
from remdm_tui.commands.bench import command_line_of, machine_lines
from remdm_tui.commands.eval_arguments import EvalArguments
from remdm_tui.commands.progress import Reporter, on_stderr
from remdm_tui.console.rich_console import SafeConsole
from remdm_tui.console.sanitize import escape_json
from remdm_tui.settings import presets
from remdm_tui.settings.run_arguments import RunArguments, at_least_one
from remdm_tui.settings.sweeps import Combination, grid

if TYPE_CHECKING:
    from engine.bench import Machine
    from engine.evaluation.results import Results
    from remdm_tui.commands.eval_job import EvalRunner

PRESET, SSD_LM, BASE = "semi-ar-table", "ssd-lm", "ddpm-cache"
"""The preset with the rows, the row of SSD-LM, and the one that others are compared with."""
BLOCK = 25
"""Tokens of SSD-LM's blocks."""


@dataclass(frozen=True)
class Published:
    """A row of the README: 200 sequences of 2,048 tokens on one 3090, judged by GPT-2."""

    gen_ppl: float
    seconds: float
    calls: int
    """network calls that its settings take, at most"""


PUBLISHED = {SSD_LM: Published(35.43, 2473.9, 82 * 1000), BASE: Published(27.18, 89.3, 3 * 1001)}


@dataclass(frozen=True)
class SemiArRow:
    """One sampler; the interval of a figure is in the results of its directory."""

    sampler: str
    model: str
    tokens: int
    window: int
    steps: int
    """of a window, and of a block of SSD-LM"""
    top_p: float
    samples: int
    gen_ppl: float | None
    entropy: float
    mauve: float | None
    calls: float
    seconds: float
    """a sequence"""

    @classmethod
    def of(cls, name: str, results: Results) -> SemiArRow:
        sampling = results.settings["sampling"]
        tokens = sampling["length"] + (sampling["stride"] or 0) * sampling["strides"]
        return cls(
            name, results.settings["model"]["name"], tokens, sampling["length"], sampling["steps"], sampling["top_p"],
            results.samples, results.gen_ppl, results.entropy, results.mauve, results.network_calls,
            results.timing.seconds_per_sequence,
        )  # fmt: skip


def run(
    given: RunArguments,
    evaluation: EvalArguments,
    *,
    ssd_lm: str | None = None,
    keep: bool = False,
    threads: int = 0,
    as_json: bool = False,
    command: Sequence[str] | None = None,
    console: Console | None = None,
) -> None:
    """Evaluate every row of the preset and print them beside the published figures.

    given: the model of the rows over masks, and what all rows share.  ssd_lm: the model of SSD-LM's row, where the
    preset names none.  keep: whether the results stay in the directory of `evaluation`; else they go to a temporary
    one.  Raises ValueError for a model that is missing or does not fit.
    """
    import torch

    from engine import bench

    if evaluation.count is not None:
        at_least_one("count", evaluation.count)
    if threads:
        torch.set_num_threads(threads)
    place = nullcontext(evaluation.out) if keep else tempfile.TemporaryDirectory()
    reporter = on_stderr()
    with place as out, reporter:
        rows = list(semi_ar_rows(given, replace(evaluation, out=Path(out)), ssd_lm, reporter))
    machine, line = bench.machine(replace(bench.Options(), threads=threads)), command_line_of(command)
    console = console or SafeConsole()
    if as_json:
        console.file.write(escape_json(_as_json(machine, line, rows)) + "\n")
        return
    console.print(machine_lines(machine, line), highlight=False, markup=False, soft_wrap=True)
    console.print(_table(rows, evaluation))
    for sentence in comparisons(rows):
        console.print(sentence, highlight=False, markup=False, soft_wrap=True)


def semi_ar_rows(
    given: RunArguments, evaluation: EvalArguments, ssd_lm: str | None, reporter: Reporter
) -> Iterator[SemiArRow]:
    """Yield the rows of the table, each evaluated in a directory of its own."""
    from engine.strategies import catalogue
    from engine.system.ranks import Alone
    from remdm_tui.commands.eval_job import EvalRunner

    named = ssd_lm or presets.read_preset(f"{PRESET}/{SSD_LM}").model
    if named is None:
        raise ValueError(
            "the table needs a model of SSD-LM: give --ssd-lm DIRECTORY, such as `remdm-tui train --config ssd-lm` "
            "makes"
        )
    runner = EvalRunner(evaluation, Alone(), reporter)
    length = _positions(runner, given)
    for row in grid(replace(given, preset=PRESET), (), catalogue()):
        if row.name == SSD_LM:
            arguments = replace(row.arguments, model=named)
            shape: dict[str, Any] = simplex_shape(2 * length, _positions(runner, replace(given, model=named)))
        else:
            arguments, shape = row.arguments, {"length": length, "stride": length // 2, "strides": 2}
        reporter.message(f"{row.name}: {arguments.model or 'demo'}")
        results = runner.evaluate(Combination(row.name, replace(arguments, **shape)))
        assert results is not None, "a process alone has the results"
        yield SemiArRow.of(row.name, results)


def simplex_shape(tokens: int, positions: int) -> dict[str, int]:
    """Return the options of SSD-LM's row: at least `tokens` tokens in whole blocks, seen through a window.

    positions: those of the network, which the window fills as far as whole blocks do.
    """
    block = max(1, min(BLOCK, positions // 2, tokens // 2))
    blocks = -(-tokens // block)
    inside = min(positions // block, blocks - 1)
    return {"block_length": block, "length": block * inside, "stride": block, "strides": blocks - inside}


def comparisons(rows: Sequence[SemiArRow]) -> list[str]:
    """Return how SSD-LM compares with MDLM's row here and in the README, and every row in seconds."""
    found = {row.sampler: row for row in rows}
    simplex, base = found[SSD_LM], found[BASE]
    there, base_there = PUBLISHED[SSD_LM], PUBLISHED[BASE]
    lines = [
        _ratio("seconds", simplex.seconds / base.seconds, there.seconds / base_there.seconds),
        _ratio("network calls", simplex.calls / base.calls, there.calls / base_there.calls, "at least "),
    ]
    if simplex.gen_ppl is not None and base.gen_ppl is not None:
        lines.insert(0, _ratio("gen PPL", simplex.gen_ppl / base.gen_ppl, there.gen_ppl / base_there.gen_ppl))
    spent = ", ".join(f"{row.sampler} {row.seconds * row.samples:,.4g} s" for row in rows)
    return [*lines, f"sampled for {spent}"]


def _ratio(what: str, here: float, there: float, least: str = "") -> str:
    return f"{SSD_LM} over {BASE}, {what}: {here:.3g} here, {least}{there:.3g} in the README"


def _positions(runner: EvalRunner, arguments: RunArguments) -> int:
    """Return the longest canvas of a model.  Raises ValueError for one without a limit."""
    options = arguments.options()
    found = runner.positions(options)
    if found is None:
        raise ValueError(f"{options.model.name} takes texts of any length, so that none is twice as long as the model")
    return found


def _table(rows: Sequence[SemiArRow], evaluation: EvalArguments) -> Table:
    count = counted(rows[0].samples, "sample", form=",")
    judge = evaluation.judge or presets.read_preset(PRESET).judge
    title = f"{count} a row, judge {judge}; README: gen PPL, seconds, N = 200, GPT-2, a 3090"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("sampler", "tokens", "T", "gen PPL", "entropy", "MAUVE", "calls", "s/text", "README"):
        table.add_column(name, justify="left" if name == "sampler" else "right")
    for row in rows:
        there = PUBLISHED.get(row.sampler)
        table.add_row(
            row.sampler, f"{row.tokens:,}", f"{row.steps:,}", _shown(row.gen_ppl, ".2f"), f"{row.entropy:.3f}",
            _shown(row.mauve, ".3f"), f"{row.calls:,.0f}", f"{row.seconds:,.4g}",
            "-" if there is None else f"{there.gen_ppl:.2f}, {there.seconds:,.1f}",
        )  # fmt: skip
    return table


def _shown(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _as_json(machine: Machine, command: str, rows: Sequence[SemiArRow]) -> str:
    facts: dict[str, Any] = {"command": command, "machine": asdict(machine), "results": [asdict(row) for row in rows]}
    facts["published"] = {name: asdict(row) for name, row in PUBLISHED.items()}
    return json.dumps(facts, indent=2)
