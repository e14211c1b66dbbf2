"""One sample of a run at one position: as a canvas to typeset, as plain text, and its run in a few words.  Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from engine.debug.findings import Drafts
from engine.records import GUIDANCE, GridLayout, Settings
from engine.sampling.trace import Record
from engine.strategies import SIMPLEX
from engine.text.characters import Characters
from remdm_tui.render.typeset import HIDDEN, Canvas

FAINT_BELOW = (0.5, 0.125)
"""Probabilities below which a token over the simplex is dimmed, by one grade each: it is an argmax that may change."""


def canvas(trace: Record, position: int, sample: int, different: NDArray[np.bool_] | None = None) -> Canvas:
    """Return the tokens of one sample at a position, with what changed in them; a mask is marked as no difference."""
    change, frame = trace.change(position, sample), trace.frame(position)
    held = trace.held(position, sample)
    if different is not None:
        different = different & ~np.isin(change, HIDDEN)
    return Canvas(
        trace.tokens(position, sample),
        change,
        held,
        trace.tokens(max(0, position - 1), sample),
        different,
        faint=None if frame is None or frame.settings.strategy not in SIMPLEX else faintness(held),
    )


def faintness(held: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return how many of FAINT_BELOW each probability is below, uint8 [L]: how far the token is dimmed."""
    return (held[:, None] < np.array(FAINT_BELOW)).sum(1).astype(np.uint8)


def drafted(drafts: Drafts, length: int) -> NDArray[np.int32]:
    """Return the draft of each position; -1 where there is none."""
    tokens = np.full(length, -1, np.int32)
    tokens[list(drafts.positions)] = drafts.tokens
    return tokens


def marked_grid(now: Canvas, layout: GridLayout, solution: NDArray[np.integer] | None) -> Canvas:
    """Return the canvas of a grid with its repeated tokens marked, and those that differ from a solution [L]."""
    shown = ~np.isin(now.change, HIDDEN)
    wrong = None if solution is None else shown & (now.tokens != solution[: len(now.tokens)])
    return replace(now, repeats=layout.repeats(now.tokens, shown), wrong=wrong)


def title(settings: Settings, seed: int) -> str:
    """Return how a run is sampled, in a few words."""
    return " │ ".join([*sampling(settings), f"seed {seed}"])


def sampling(settings: Settings, hidden: Collection[str] = (), upcoming: str = "") -> list[str]:
    """Return the settings of a step in a few words, in parts.

    hidden: knobs without an effect; upcoming: what the next step changes.
    """
    eta = settings.knobs.get("eta")
    strength = "" if eta is None or "eta" in hidden else f" eta {float(eta):.4g}"
    following = f" (next: {upcoming})" if upcoming else ""
    parts = [f"{settings.strategy}{strength}{following}", f"p {settings.top_p:.4g}"]
    if settings.temperature != 1:
        parts.append(f"T {settings.temperature:.4g}")
    for info in GUIDANCE:
        value = getattr(settings, info.name)
        if value != info.default:
            shown = value if isinstance(value, str) else f"{value:.4g}"
            parts.append(f"{info.name.replace('_', ' ')} {shown}")
    return parts


def plain_text(
    trace: Record,
    position: int,
    sample: int,
    pieces: Sequence[str],
    fragments: Mapping[int, bytes] = MappingProxyType({}),
    part: slice = slice(None),
) -> str:
    """Return the text of one sample, or of some of its positions, an underscore for each mask."""
    hidden = np.isin(trace.change(position, sample), HIDDEN)
    texts = Characters(fragments, len(pieces)).texts(trace.tokens(position, sample), pieces)
    return "".join("_" if mask else text for text, mask in zip(texts[part], hidden[part].tolist(), strict=True))
