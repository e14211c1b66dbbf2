"""Look for what usually goes wrong in a sampler, in recordings and evaluations: numpy only, without the model.

`RUN_CHECKS` reads one run, `DRAWN_CHECKS` the texts that one or several settings have drawn.  A new check is one
function and one line in either.
"""

from engine.lint.checks import RUN_CHECKS, RunCheck
from engine.lint.drawn import DRAWN_CHECKS, DrawnCheck, DrawnTexts, drawn_of
from engine.lint.evaluations import drawn_by
from engine.lint.facts import RunFacts, gather
from engine.lint.outcome import CheckFigure, CheckResult, Unsettled
from engine.lint.runs import lint_drawn, lint_recording, lint_steps, note

__all__ = [
    "DRAWN_CHECKS",
    "RUN_CHECKS",
    "CheckFigure",
    "CheckResult",
    "DrawnCheck",
    "DrawnTexts",
    "RunCheck",
    "RunFacts",
    "Unsettled",
    "drawn_by",
    "drawn_of",
    "gather",
    "lint_drawn",
    "lint_recording",
    "lint_steps",
    "note",
]  # fmt: skip
