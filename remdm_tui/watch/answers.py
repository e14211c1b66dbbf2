"""The answer that stands on the canvas of a watched item.  Pure."""

from __future__ import annotations

import numpy as np

from engine.records import ModelInfo
from engine.sampling.trace import Record
from engine.tasks.questions import AnswerVerdict
from engine.text.characters import Characters
from remdm_tui.console.sanitize import sanitize
from remdm_tui.render.typeset import HIDDEN
from remdm_tui.settings.watched_item import WatchedItem


def answer_text(trace: Record, position: int, sample: int, item: WatchedItem, model: ModelInfo) -> str:
    """Return what is revealed of an answer, up to the first token that ends it."""
    tokens = trace.tokens(position, sample)[item.tokens :]
    hidden = np.isin(trace.change(position, sample)[item.tokens :], HIDDEN)
    ends = np.flatnonzero(np.isin(tokens, item.ends) & ~hidden)
    end = int(ends[0]) if len(ends) else len(tokens)
    revealed = tokens[:end][~hidden[:end]]
    return "".join(Characters(model.fragments, len(model.pieces)).texts(revealed, model.pieces))


def answer_line(verdict: AnswerVerdict | None, problem: str, ascii_only: bool) -> str:
    """Return in a line whether an answer is right, as it was extracted; never by colour alone."""
    if problem:
        return sanitize(f"Not judged: {problem}", cells=True, ascii_only=ascii_only)
    if verdict is None:
        return "Judging ..."
    words = {True: ("✓ right", "right"), False: ("✗ wrong", "wrong"), None: ("not judged", "not judged")}
    word = words[verdict.right][ascii_only]
    wanted = "" if verdict.right else f", not {verdict.target}"
    line = f"{word}: {verdict.answer}{wanted}"
    return sanitize(" ".join(line.split()), cells=True, ascii_only=ascii_only)
