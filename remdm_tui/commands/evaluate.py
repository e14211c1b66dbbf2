"""`eval`: samples and their figures in a directory, on one process or many; an interrupted command continues."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from remdm_tui.commands.eval_arguments import EvalArguments
from remdm_tui.commands.progress import Reporter, Silent, on_stderr
from remdm_tui.console.output import print_error
from remdm_tui.console.signals import ended_by_signals, exit_code
from remdm_tui.settings.run_arguments import RunArguments, at_least_one
from remdm_tui.settings.sweeps import Combination, grid

if TYPE_CHECKING:
    from engine.system.ranks import Ranks


class Runner(Protocol):
    """The evaluations of one command."""

    def home(self, combination: Combination) -> Path: ...

    def evaluate(self, combination: Combination) -> Any: ...

    def print(self, results: Any, home: Path) -> bool:
        """Print results on standard output; return whether anything has failed."""
        ...

    def conclude(self, homes: Sequence[Path]) -> None:
        """Say what there is to say about all evaluations together."""
        ...


FAILED = 1
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Error numbers of a disk that is full."""


def run(run_arguments: RunArguments, arguments: EvalArguments) -> int:
    """Evaluate and return the exit status.

    Raises ValueError for bad input and OSError for a directory that is not writable, before anything is computed.
    """
    from engine.strategies import catalogue

    for name in ("count", "references_count", "reference_batch", "devices", "nodes"):
        value = getattr(arguments, name)
        if value is not None:
            at_least_one(name, value)
    combinations = grid(run_arguments, arguments.sweep, catalogue())
    for combination in combinations:
        combination.arguments.options()
    # with --quiet, what matters of the messages is in the results' notes
    reporter = Silent() if arguments.quiet else on_stderr()
    resume = f"what is finished is in {arguments.out}, and the same command continues"
    with ended_by_signals(), reporter:
        try:
            return _evaluate(combinations, arguments, reporter, resume)
        except KeyboardInterrupt as error:
            reporter.stop()
            print_error(f"stopped; {resume}")
            return exit_code(error)
        except OSError as error:
            if error.errno not in FULL:
                raise
            reporter.stop()
            print_error(f"{error.filename or arguments.out}: {error.strerror}; make room: {resume}")
            return FAILED


def _evaluate(combinations: Sequence[Combination], arguments: EvalArguments, reporter: Reporter, resume: str) -> int:
    from engine.system.ranks import RankLostError, own_ranks

    status, homes = 0, []
    process = own_ranks(combinations[0].arguments.device or "auto", os.environ, arguments.devices, arguments.nodes)
    trusted = combinations[0].arguments.trust_remote_code
    runner = _runner(arguments, process, reporter if process.rank == 0 else Silent(), trusted)
    try:
        for number, combination in enumerate(combinations, 1):
            if combination.name and process.rank == 0:
                reporter.message(f"{number} of {len(combinations)}: {combination.name}")
            results = runner.evaluate(combination)
            if results is not None:
                reporter.stop()
                homes.append(runner.home(combination))
                has_failed = runner.print(results, homes[-1])
                status = FAILED if has_failed else status
    except RankLostError as error:
        reporter.stop()
        print_error(f"{error}; {resume}")
        return FAILED
    if homes and not arguments.quiet:
        runner.conclude(homes)
    return status


def _runner(arguments: EvalArguments, process: Ranks, reporter: Reporter, trusted: bool) -> Runner:
    from engine.tasks.plan import SUDOKU

    if arguments.tasks is not None and SUDOKU in arguments.tasks.names:
        from remdm_tui.commands.eval_sudoku import SudokuRunner

        if arguments.tasks.names != (SUDOKU,):
            raise ValueError(f"{SUDOKU} cannot be combined with other tasks: leave them out of --tasks")
        return SudokuRunner(arguments, process, reporter)
    if arguments.tasks is not None:
        from remdm_tui.commands.eval_tasks import TaskRunner

        return TaskRunner(arguments, process, reporter, trusted=trusted)
    from remdm_tui.commands.eval_job import EvalRunner

    return EvalRunner(arguments, process, reporter)
