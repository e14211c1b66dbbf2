"""The run as one HTML page with a player: no other file, no network, and no code but its own."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.recording import Recording
from engine.recording.frames import NEXT
from engine.records import Change
from engine.sampling import rng
from engine.sampling.rng import Purpose
from engine.sampling.trace import Record
from remdm_tui.console.sanitize import sanitize
from remdm_tui.exports import ExportRequest
from remdm_tui.exports.scene import Scene
from remdm_tui.render import plate_paint as paint
from remdm_tui.render.text_layout import MASK_WIDTH
from remdm_tui.render.typeset import Type

MOST = 5_000
"""Steps in a page at most, by default."""
CLEAN_UP, BY_HAND = -1, -2
"""In place of the chance of an event that was not drawn."""


def write(request: ExportRequest) -> None:
    """Write the page. Raises ValueError for a bad number of columns, OSError if the file is not writable."""
    request.out.write_text(page(request), encoding="utf-8")


def inline(recording: Recording) -> str:
    """Return an element for a notebook that holds the page of a recording's first sample."""
    whole = html.escape(page(ExportRequest(recording, Path())))
    return f'<iframe srcdoc="{whole}" sandbox="allow-scripts" style="width: 100%; height: 30em; border: 0"></iframe>'


def page(request: ExportRequest) -> str:
    """Return the page.  Raises ValueError for a bad number of columns."""
    home = files("remdm_tui.exports")
    script, style, frame = ((home / name).read_text(encoding="utf-8") for name in ("page.js", "page.css", "page.html"))
    scene = Scene.of(request)
    parts = {
        "title": html.escape(scene.name),
        "policy": "; ".join((
            "default-src 'none'", f"script-src '{_digest(script)}'", f"style-src '{_digest(style)}'",
            "base-uri 'none'", "form-action 'none'",
        )),
        "style": style, "script": script, "run": embedded(run(request, scene)),
    }  # fmt: skip
    # one pass, so that a marker in the values is not replaced
    pieces = re.split(r"\[\[(\w+)\]\]", frame)
    return "".join(parts[piece] if i % 2 else piece for i, piece in enumerate(pieces))


def embedded(data: Any) -> str:
    """Return JSON for a script element: ASCII, without a character that has a meaning in HTML."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def run(request: ExportRequest, scene: Scene) -> dict[str, Any]:
    """Return the player's data: texts, the state at the first position, and the changes at each later one."""
    trace, sample = scene.trace, request.sample
    positions = request.positions(MOST)
    type_ = scene.type_
    words: dict[tuple[int, int], int] = {}
    states = (_state(trace, position, sample, type_, words) for position in positions)
    first = before = next(states)
    steps = []
    for state in states:
        steps.append(changes(before, state))
        before = state
    vocabulary = request.recording.model.pieces
    ends = {i for i, piece in enumerate(vocabulary) if "\n" in piece}
    ends |= {place for text, (place, _) in type_.whole.items() if "\n" in text}
    return {
        "states": [
            {"name": look.name, "fill": look.fill} for look in (scene.looks.looks[state] for state in Change)
        ],
        "next": NEXT.tolist(),
        "texts": [type_.texts[place] + "\n" * (place in ends) for place, _ in words],
        "widths": [width for _, width in words],
        "mask": MASK_WIDTH,
        "start": [part.tolist() for part in first],
        "steps": steps,
        "whys": [_whys(request, before, position) for before, position in pairwise(positions)],
        "edits": sorted(set(trace.edits()) & set(positions)),
        "positions": positions,
        "colours": [_colours(dark) for dark in (True, False)],
        "labels": [sanitize(label(trace, position, sample), cells=True) for position in positions],
    }  # fmt: skip


def changes(before: tuple[NDArray[Any], ...], now: tuple[NDArray[Any], ...]) -> list[int]:
    """Return [gap, state, word] of every position that changed, one after the other."""
    changed = np.flatnonzero((NEXT[before[0]] != now[0]) | (before[1] != now[1]))
    gaps = np.diff(changed, prepend=0)
    return np.stack([gaps, now[0][changed], now[1][changed]], 1).ravel().tolist()


def label(trace: Record, position: int, sample: int) -> str:
    """Return the figures of a position in one line."""
    frame, now = trace.frame(position), trace.figures(position, sample)
    total, length = max(trace.start.steps, len(trace)), trace.start.tokens.shape[1]
    if frame is None or now is None:
        return f"step {position} of {total}"
    return (
        f"step {position} of {total} · t {frame.s:.4f} · masked {now.masked} of {length} · "
        f"revealed {now.revealed} · remasked {now.remasked} · network calls {frame.network_calls}"
    )


def _state(
    trace: Record, position: int, sample: int, type_: Type, words: dict[tuple[int, int], int]
) -> tuple[NDArray[Any], ...]:
    """Return states and words, [L] each; a position that was just remasked keeps its old word, for the width.

    words: numbers of the words shown so far, by index in the texts of `type_` and width; new ones are added.
    """
    change = trace.change(position, sample)
    old, new = type_.words(trace.tokens(max(0, position - 1), sample)), type_.words(trace.tokens(position, sample))
    lost = change == Change.REMASKED
    places, widths = np.where(lost, old[0], new[0]), np.where(lost, old[1], new[1])
    shown = zip(places.tolist(), widths.tolist(), strict=True)
    return change.astype(np.int64), np.array([words.setdefault(word, len(words)) for word in shown])


def _whys(request: ExportRequest, before: int, position: int) -> list[float]:
    """Return [chance, draw] of each reveal and remask of a step, by position; empty where steps are left out.

    A chance of CLEAN_UP or BY_HAND stands for an event without a draw.
    """
    trace, sample = request.trace, request.sample
    frame = trace.frame(position)
    if frame is None or position - before != 1:
        return []
    change = frame.change[sample]
    events = np.flatnonzero((change == Change.REVEALED) | (change == Change.REMASKED)).tolist()
    if frame.edit is not None or frame.final:
        return [value for _ in events for value in (BY_HAND if frame.edit is not None else CLEAN_UP, 0)]
    chance = np.where(change == Change.REMASKED, frame.remask[sample], frame.unmask[sample])
    header = request.recording.header
    # clean-ups and edits throw no flips
    step = frame.index - _without_flips(request, position)
    key = rng.key(header.seed, header.run.first + sample, step, Purpose.CHANGE)
    return [_short(value) for at in events for value in (float(chance[at]), float(rng.uniform(key, at)))]


def _without_flips(request: ExportRequest, position: int) -> int:
    """Return the number of frames before a position that threw no flips."""
    trace = request.trace
    if not trace.edits() and request.recording.header.run.block_length is None:
        return 0
    frames = (trace.frame(before) for before in range(1, position))
    return sum(frame is not None and (frame.edit is not None or frame.final) for frame in frames)


def _short(value: float) -> float:
    """Return a number with as many digits as are shown."""
    return float(f"{value:.3g}") if np.isfinite(value) else 0.0


def _colours(dark: bool) -> dict[str, Any]:
    """Return the map's colours: the ground from masked to kept, the prompt, and new, edited and remasked."""
    table = paint.colour_table(dark, (0, 0, 0))
    events = table[paint.REVEALED : paint.REMASKED + 1]
    return {"ground": table[paint.GROUND : paint.PROMPT], "prompt": table[paint.PROMPT], "events": events}


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
