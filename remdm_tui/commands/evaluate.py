"""`eval`: samples and their figures in a directory, on one process or many, killed and gone on with as need be."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence

from remdm_tui.commands.eval_job import EvalArguments
from remdm_tui.commands.eval_progress import Shown, display
from remdm_tui.console.output import print_error
from remdm_tui.console.signals import ended_by_signals, exit_code
from remdm_tui.settings.run_arguments import RunArguments, at_least_one
from remdm_tui.settings.sweeps import Cell, grid

FAILED = 1
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What a disk that takes no more is called."""


def run(asked: RunArguments, wanted: EvalArguments) -> int:
    """The exit status.  Raises ValueError for bad input and OSError for a directory that cannot be written, early."""
    from engine.strategies import catalogue

    for name in ("count", "references_count", "reference_batch", "devices", "nodes"):
        value = getattr(wanted, name)
        if value is not None:
            at_least_one(name, value)
    found = grid(asked, wanted.sweep, catalogue())
    for cell in found:
        cell.asked.options()
    shown = display(quiet=wanted.quiet, as_json=wanted.as_json)
    stopped = f"what is finished is in {wanted.out}, and the same command goes on from there"
    with ended_by_signals():
        try:
            return _all(found, wanted, shown, stopped)
        except KeyboardInterrupt as error:
            shown.close()
            print_error(f"stopped; {stopped}")
            return exit_code(error)
        except OSError as error:
            if error.errno not in FULL:
                raise
            shown.close()
            print_error(f"{error.filename or wanted.out}: {error.strerror}; make room: {stopped}")
            return FAILED
        finally:
            shown.close()


def _all(grid: Sequence[Cell], wanted: EvalArguments, shown: Shown, stopped: str) -> int:
    """Every combination, one after the other."""
    from engine.system.ranks import RankLostError, ranks
    from remdm_tui.commands.eval_job import EvalRunner

    status = 0
    where = ranks(grid[0].asked.device or "auto", os.environ, wanted.devices, wanted.nodes)
    shown = shown if where.rank == 0 else display(quiet=True, as_json=False)
    work = EvalRunner(wanted, where, shown)
    try:
        for place, cell in enumerate(grid, 1):
            if cell.name:
                shown.say(f"{place} of {len(grid)}: {cell.name}")
            found = work.cell(cell)
            if found is not None:
                shown.results(found, work.home(cell))
                status = FAILED if found.failed else status
    except RankLostError as error:
        print_error(f"{error}; {stopped}")
        return FAILED
    return status
