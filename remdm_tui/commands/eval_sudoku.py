"""`eval --tasks sudoku`: held-out puzzles by their clues, without a harness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.table import Table

from remdm_tui.commands.eval_arguments import EvalArguments
from remdm_tui.commands.eval_results import interval_text
from remdm_tui.commands.eval_tasks import AnswerRunner, sampling_of
from remdm_tui.commands.progress import Reporter
from remdm_tui.settings.watch_options import WatchOptions

if TYPE_CHECKING:
    from engine.evaluation.plan import PlannedModel
    from engine.models import TextModel
    from engine.system.ranks import Ranks
    from engine.tasks.plan import TaskPlan
    from engine.tasks.results import TaskFigure, TaskResults
    from engine.tasks.store import TaskStore

OF_TEXTS = {"num_fewshot": "--num-fewshot", "multiturn": "--multiturn", "system_prompt": "--system-prompt",
            "draws": "--draws"}  # fmt: skip
"""Options of tasks that puzzles do not have."""
SOLVED = "solved"
"""The metric that strategies are compared by."""
DECIMALS = {"conflicts": 1, "broken": 1, "calls": 1}
"""Decimal places of metrics that are no shares."""


class SudokuRunner(AnswerRunner):
    """The evaluations of one command on puzzles, which are made once."""

    def __init__(self, arguments: EvalArguments, ranks: Ranks, reporter: Reporter) -> None:
        """Raise ValueError for options that puzzles do not have, and where the solver is not installed."""
        super().__init__(arguments, ranks, reporter)
        for name, option in OF_TEXTS.items():
            value = getattr(self._settings, name)
            if value is not None and value is not False:
                raise ValueError(f"{option} is about tasks of text: leave it out with --tasks sudoku")
        from engine.tasks.sudoku import USUAL, pose

        self._limit = self._settings.limit or USUAL
        with reporter.waiting("making the puzzles"):
            self._posed = pose(self._limit)

    def table(self, figures: Sequence[TaskFigure]) -> Table:
        """Return a row for each range of clues, with a column for each figure."""
        metrics = tuple(dict.fromkeys(one.metric for one in figures))
        # a row is to fit in 80 columns: the other intervals are in results.json
        titles = (metric.partition(" ")[0] for metric in metrics)
        table = Table("sudoku", "N", *titles, box=None, pad_edge=False)
        for band in dict.fromkeys(one.filter for one in figures):
            of_band = [one for one in figures if one.filter == band]
            values = {one.metric: f"{one.figure.value:.{DECIMALS.get(one.metric, 3)}f}" for one in of_band}
            values |= {one.metric: interval_text(one.figure, 3) for one in of_band if one.metric == SOLVED}
            table.add_row(band, f"{of_band[0].documents:,}", *(values[metric] for metric in metrics))
        return table

    def is_compared(self, metric: str) -> bool:
        return metric == SOLVED

    def plan(self, options: WatchOptions, model: TextModel, record: PlannedModel) -> TaskPlan:
        from engine.sudoku.rules import CELLS, LAYOUT, no_sudoku
        from engine.tasks.plan import SUDOKU, TaskPlan, TaskSettings
        from engine.tasks.sudoku import puzzles_digest

        if model.info.layout != LAYOUT:
            raise ValueError(no_sudoku(model.name))
        if options.chat or options.block_length:
            raise ValueError("a puzzle has neither turns nor blocks: leave out --chat and --block-length")
        if "length" in options.explicit and options.length != CELLS:
            raise ValueError(f"a Sudoku has {CELLS} cells: leave out --length {options.length}")
        settings = TaskSettings(
            names=(SUDOKU,),
            sources=(SUDOKU,),
            digests={SUDOKU: puzzles_digest()},
            data={},
            harness="",
            draws=0,
            limit=self._limit,
        )
        return TaskPlan(record, sampling_of(replace(options, length=CELLS), model), settings)

    def answer(self, plan: TaskPlan, store: TaskStore, model: TextModel, width: int) -> TaskResults | None:
        from engine.tasks.sudoku import SudokuJob

        message = self._reporter.message
        return SudokuJob(
            plan, store, self._ranks, model, width, self._start, message, self.show_progress, posed=self._posed
        ).run()
