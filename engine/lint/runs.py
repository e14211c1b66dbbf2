"""Lint a recording with all its branches, and the texts of evaluations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from engine.lint.checks import RUN_CHECKS
from engine.lint.drawn import DRAWN_CHECKS, DrawnTexts, drawn_of
from engine.lint.facts import gather
from engine.lint.outcome import CheckFigure, CheckResult
from engine.recording import Recording
from engine.system.callbacks import ignore
from engine.text.counts import counted


def lint_recording(
    recording: Recording, name: str = "", pause: Callable[[], object] = ignore
) -> tuple[CheckResult, ...]:
    """Return the outcome of every check that means something for a recording, each branch by itself.

    name: of the recording, in the outcomes; default: its own.  pause: see `gather`.  Raises ValueError where the
    recording is damaged or holds no step.
    """
    outcomes, drawn = lint_steps(recording, name, pause)
    return (*outcomes, *lint_drawn(drawn))


def lint_steps(
    recording: Recording, name: str = "", pause: Callable[[], object] = ignore
) -> tuple[tuple[CheckResult, ...], tuple[DrawnTexts, ...]]:
    """Return the outcomes of RUN_CHECKS, and the texts of the branches that are finished, for DRAWN_CHECKS.

    Arguments and errors are those of `lint_recording`.
    """
    name, header, pieces = name or recording.name, recording.header, recording.model.pieces
    run, model = header.run, header.model
    terms = tuple(
        map(str, (model.name, model.fingerprint, header.seed, header.steps, run.prompt, run.block_length, run.first))
    )
    several = len(recording.branches) > 1
    outcomes: list[CheckResult] = []
    drawn: list[DrawnTexts] = []
    steps = 0
    for branch in recording.branches:
        facts = gather(recording.trace(branch.id), run, pieces, pause)
        subject = f"{name}, branch {branch.id}" if several else name
        steps += facts.steps
        for key, check in RUN_CHECKS.items():
            measured = check.measure(facts, check.threshold)
            if measured is not None:
                outcomes.append(_outcome(key, subject, check.threshold, check.advice, measured))
        if facts.finished:
            drawn.append(drawn_of(subject, facts, terms))
    if not steps:
        raise ValueError(f"{name} has no recorded step to lint")
    return tuple(outcomes), tuple(drawn)


def lint_drawn(drawn: Sequence[DrawnTexts]) -> tuple[CheckResult, ...]:
    """Return the outcome of every check of texts, in the order of the checks."""
    return tuple(
        _outcome(key, subject, check.threshold, check.advice, measured)
        for key, check in DRAWN_CHECKS.items()
        for subject, measured in check.measure(drawn, check.threshold)
    )


def note(outcomes: Iterable[CheckResult]) -> str:
    """Return what was found in one line; "" if nothing."""
    found = [one for one in outcomes if one.found]
    if not found:
        return ""
    kinds = ", ".join(dict.fromkeys(one.check for one in found))
    return f"lint: {counted(len(found), 'finding')} ({kinds}): {found[0].message}"


def _outcome(check: str, subject: str, threshold: float, advice: str, measured: CheckFigure) -> CheckResult:
    limit = threshold if measured.threshold is None else measured.threshold
    return CheckResult(
        check, subject, measured.figure, limit, measured.found, measured.message, advice, measured.positions
    )
