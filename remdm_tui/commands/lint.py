"""`lint`: what usually goes wrong in a sampler, looked for in recordings and evaluations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from engine.lint import RUN_CHECKS, CheckResult
from engine.lint.drawn import DRAWN_CHECKS
from engine.text.counts import counted
from remdm_tui.console.output import print_json, print_note, print_result
from remdm_tui.console.sanitize import sanitize
from remdm_tui.reports.collect import homes
from remdm_tui.reports.lint import lint_evaluations, short_figure

FOUND = 1
"""Exit status with findings."""
INDENT = " " * 4
CHECK_FIGURES = {name: check.figure for name, check in RUN_CHECKS.items()} | {
    name: check.figure for name, check in DRAWN_CHECKS.items()
}


class LintResult(msgspec.Struct, frozen=True):
    """The output of `lint --json`."""

    findings: int
    checks: tuple[CheckResult, ...]
    problems: tuple[str, ...]
    """a sentence for each file below a directory that could not be read"""


def run(targets: Sequence[Path], *, as_json: bool = False) -> int:
    """Lint recordings and evaluations, print the outcome, and return the exit status: 1 with findings, else 0.

    Raises ValueError for a target that is neither, OSError for one that is missing.
    """
    result = lint(targets)
    if as_json:
        print_json(msgspec.json.encode(result).decode())
    else:
        for problem in result.problems:
            print_note(f"note: {sanitize(problem)}")
        print_result("\n".join(_lines(result)))
    return FOUND if result.findings else 0


def lint(targets: Sequence[Path]) -> LintResult:
    """Return the outcome of every check on some recordings and directories of evaluations."""
    directories = [target for target in targets if target.is_dir()]
    found = list(homes(directories))
    if directories and not found:
        raise ValueError(
            f"no evaluation to lint in {', '.join(map(str, directories))}; give a recording, "
            "or a directory that `remdm-tui eval --out` made"
        )
    outcomes, problems = lint_evaluations(found, [target for target in targets if target not in directories])
    if not outcomes:
        raise ValueError(". ".join(problems) or "nothing to lint")
    return LintResult(sum(one.found for one in outcomes), outcomes, problems)


def _lines(result: LintResult) -> list[str]:
    subjects = dict.fromkeys(one.subject for one in result.checks)
    lines = []
    for subject in subjects:
        lines.append(sanitize(subject))
        for one in result.checks:
            if one.subject == subject:
                lines += _outcome(one)
        lines.append("")
    return [*lines, f"{counted(result.findings, 'finding')} in {counted(len(result.checks), 'check')}"]


def _outcome(one: CheckResult) -> list[str]:
    """Return the lines of one check; a finding has a mark, its threshold and the advice."""
    mark = "!" if one.found else " "
    lines = [f"{mark} {one.check:<18} {sanitize(one.message)}"]
    if one.found:
        measured = f"{CHECK_FIGURES[one.check]} {short_figure(one.threshold)}: {short_figure(one.figure)}"
        lines += [f"{INDENT}{measured}", f"{INDENT}{one.advice}"]
    for each in one.positions:
        where = f"sample {each.sample}, position {each.position}: {each.times} times"
        lines.append(f"{INDENT}{where}, {each.returns} of them back to the same token: {sanitize(each.story)}")
    return lines
