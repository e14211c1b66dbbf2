"""What the player of a page reads: the branches of a recording as changes, draws, settings and figures of each step."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.recording import Recording
from engine.records import PUT, SHARED_KNOBS, UNCHANGED, UNKNOWN_DRAW, Change, Settings
from engine.sampling import rng
from engine.sampling.rng import Purpose
from engine.sampling.trace import Record
from engine.strategies import catalogue
from remdm_tui.console.sanitize import sanitize
from remdm_tui.exports import ExportRequest
from remdm_tui.exports.scene import Scene
from remdm_tui.render import plate_paint as paint
from remdm_tui.render.text_layout import MASK_WIDTH
from remdm_tui.render.typeset import Type
from remdm_tui.settings.knobs import SELDOM, knob_text, matters, own_knobs

MOST = 5_000
"""Steps of a branch in a page at most, by default."""
LARGEST = 900_000
"""Characters of all branches together; those beside the first that would exceed it are left out."""
CLEAN_UP, BY_HAND = -1, -2
"""In place of the chance of an event that was not drawn."""
CURVES = {"masked": 0, "expected": 4, "remasked": 0, "revealed": 0, "calls": 0, "confidence": 3}
"""The figures of each step, and how many digits of them are kept."""

Words = dict[tuple[int, int], int]
"""Numbers of the words shown so far, by index in the texts and width."""


def player_data(request: ExportRequest, scene: Scene) -> dict[str, Any]:
    """Return the player's data: texts, colours, and all branches that fit, the requested one first."""
    recording, type_ = request.recording, scene.type_
    every = request.every or max(1, -(-len(request.trace) // MOST))
    words: Words = {}
    branches = [_branch(request, every, type_, words)]
    chosen, left_out, size = [request.branch], [], _size(branches[0])
    for number in range(len(recording.branches)):
        if number == request.branch:
            continue
        more = dict(words)
        try:
            branch = _branch(replace(request, branch=number), every, type_, more, chosen)
        except ValueError:
            # damaged, as the recording says itself by now; the others can be shown all the same
            continue
        if size + _size(branch) > LARGEST:
            left_out.append(number)
            continue
        size += _size(branch)
        words = more
        chosen.append(number)
        branches.append(branch)
    ends = {i for i, piece in enumerate(recording.model.pieces) if "\n" in piece}
    ends |= {place for text, (place, _) in type_.whole.items() if "\n" in text}
    first, header = recording.start, recording.header
    return {
        "states": [
            {"name": look.name, "fill": look.fill} for look in (scene.looks.looks[state] for state in Change)
        ],
        "next": UNCHANGED.tolist(),
        "texts": [type_.texts[place] + "\n" * (place in ends) for place, _ in words],
        "widths": [width for _, width in words],
        "mask": MASK_WIDTH,
        "every": every,
        "batch": header.batch,
        "total": first.steps,
        "unlocked": int((~first.locked[request.sample]).sum()),
        "position": request.position,
        "branches": branches,
        "left_out": left_out,
        "colours": [_colours(dark) for dark in (True, False)],
    }  # fmt: skip


def _size(branch: dict[str, Any]) -> int:
    return len(json.dumps(branch, separators=(",", ":")))


def _branch(
    request: ExportRequest, every: int, type_: Type, words: Words, before: Sequence[int] = ()
) -> dict[str, Any]:
    """Return one branch; for what it shares with one of the branches `before`, only its number.

    of: index of that branch, None for none; from: index of the last position that both share.
    """
    trace, sample, number = request.trace, request.sample, request.branch
    last = len(trace)
    positions = [*range(0, last, every), last]
    common = [_common(request.recording, number, other) for other in before]
    of = int(np.argmax(common)) if common else None
    fork = max(common, default=0) // every
    states = _states(trace, positions[fork:], sample, type_, words)
    columns = {name: trace.curves.column(name, sample)[[p - 1 for p in positions[fork + 1 :]]] for name in CURVES}
    frames = [trace.frame(position) for position in positions[fork + 1 :]]
    return {
        "name": _name(request),
        "of": of,
        "from": fork,
        "last": last,
        "start": [part.tolist() for part in states[0]] if of is None else None,
        "steps": [encode_changes(one, two) for one, two in pairwise(states)],
        "whys": [_whys(request, one, two) for one, two in pairwise(positions[fork:])],
        "edits": sorted(set(trace.edits()) & set(positions)),
        "settings": [[step, settings_text(settings)] for step, settings in trace.settings()],
        "t": [0 if frame is None else _short(frame.s, 4) for frame in frames],
        "figures": {
            name: [_figure(value, CURVES[name]) for value in column.tolist()] for name, column in columns.items()
        },
    }  # fmt: skip


def _common(recording: Recording, one: int, other: int) -> int:
    """Return the last position up to which two branches are the same steps."""
    reached = 0
    for (line, _, last), (same, _, end) in zip(recording.lineage(one), recording.lineage(other), strict=False):
        if line is not same:
            break
        reached = min(last, end)
        if last != end:
            break
    return reached


def encode_changes(before: tuple[NDArray[Any], ...], now: tuple[NDArray[Any], ...]) -> list[int]:
    """Return what changed at the positions that do not go on as expected.

    For each a number, 12 * gap + 2 * state + whether its word is another, and that word if so.
    """
    renamed = before[1] != now[1]
    changed = np.flatnonzero((UNCHANGED[before[0]] != now[0]) | renamed)
    codes = 2 * len(Change) * np.diff(changed, prepend=0) + 2 * now[0][changed] + renamed[changed]
    numbers = np.stack([codes, now[1][changed]], 1)
    return numbers[np.stack([np.ones_like(renamed[changed]), renamed[changed]], 1)].tolist()


def settings_text(settings: Settings) -> str:
    """Return everything that decided a step, in one line: knobs without an effect are left out."""
    idle = {info.name for info in own_knobs(settings.strategy, catalogue()) if not matters(info, settings)}
    own = {name: value for name, value in settings.knobs.items() if name not in idle}
    parts = [settings.strategy, *(f"{name} {knob_text(value)}" for name, value in own.items())]
    values = [(info, getattr(settings, info.name)) for info in SHARED_KNOBS]
    parts += [
        f"{info.name} {knob_text(value)}" for info, value in values if info.name not in SELDOM or value != info.default
    ]
    return sanitize(" · ".join(parts), cells=True)


def _name(request: ExportRequest) -> str:
    """Return where a branch comes from and what it ends with."""
    branch, settings = request.recording.branches[request.branch], request.trace.settings()
    source = "" if branch.parent is None else f", from {branch.parent} at step {branch.at}"
    last = f": {settings[-1][1].strategy}" if settings else ""
    return sanitize(f"branch {request.branch}{source}{last}", cells=True)


def _states(
    trace: Record, positions: Sequence[int], sample: int, type_: Type, words: Words
) -> list[tuple[NDArray[Any], ...]]:
    """Return states and words, [L] each, at each position; new words are added to `words`.

    A position that was just remasked keeps its old word, for the width; a masked one keeps the word shown before.
    """
    found: list[tuple[NDArray[Any], ...]] = []
    for position in positions:
        change = trace.change(position, sample)
        old = type_.words(trace.tokens(max(0, position - 1), sample))
        new = type_.words(trace.tokens(position, sample))
        lost = change == Change.REMASKED
        places, widths = np.where(lost, old[0], new[0]), np.where(lost, old[1], new[1])
        hidden = change == Change.MASKED if found else np.zeros_like(lost)
        numbers = found[-1][1].copy() if found else np.zeros(len(change), np.int64)
        seen = zip(places[~hidden].tolist(), widths[~hidden].tolist(), strict=True)
        numbers[~hidden] = [words.setdefault(word, len(words)) for word in seen]
        found.append((change.astype(np.int64), numbers))
    return found


def _whys(request: ExportRequest, before: int, position: int) -> list[Any]:
    """Return [draws, chance of a reveal, of a remask, of an edit] of a step; empty where steps are left out or
    nothing is known.

    draws: of each of them, by position; the last chance is that of a remask or an edit, and only there if something was
    edited.  A chance is one number where it is the same for all of its events,
    else one for each; CLEAN_UP or BY_HAND stand for events without a draw.
    """
    trace, sample = request.trace, request.sample
    frame = trace.frame(position)
    if frame is None or position - before != 1 or frame.settings.draw == UNKNOWN_DRAW:
        return []
    change = frame.change[sample]
    events = np.flatnonzero(np.isin(change, (*PUT, Change.REMASKED))).tolist()
    if not events:
        return []
    if frame.edit is not None or frame.final:
        kind = BY_HAND if frame.edit is not None else CLEAN_UP
        return [[], kind, kind]
    header = request.recording.header
    # clean-ups and edits throw no flips
    step = frame.index - _without_flips(request, position)
    key = rng.address_key(header.seed, header.run.first + sample, step, Purpose.CHANGE)
    draws = [_short(float(rng.uniform(key, at))) for at in events]
    chances = [
        _chances(frame.unmask[sample], change == Change.REVEALED),
        _chances(frame.remask[sample], change == Change.REMASKED),
    ]
    if frame.edit_plan is not None and (change == Change.EDITED).any():
        chances.append(_chances(frame.remask[sample] + frame.edit_plan[sample], change == Change.EDITED))
    return [draws, *chances]


def _chances(plan: NDArray[np.float32], where: NDArray[np.bool_]) -> float | list[float]:
    """Return the chances of some events: one number where they are all the same."""
    found = [_short(value) for value in plan[where].tolist()]
    return (found[0] if found else 0) if len(set(found)) < 2 else found


def _without_flips(request: ExportRequest, position: int) -> int:
    """Return the number of frames before a position that threw no flips."""
    trace = request.trace
    if not trace.edits() and request.recording.header.run.block_length is None:
        return 0
    frames = (trace.frame(before) for before in range(1, position))
    return sum(frame is not None and (frame.edit is not None or frame.final) for frame in frames)


def _short(value: float, digits: int = 3) -> float:
    """Return a number with as many significant digits as are shown."""
    return float(f"{value:.{digits}g}") if np.isfinite(value) else 0.0


def _figure(value: float, digits: int) -> float | int | None:
    """Return a figure rounded to `digits` decimal places, None for a missing one."""
    if not np.isfinite(value):
        return None
    return round(value, digits) if digits else int(value)


def _colours(dark: bool) -> dict[str, Any]:
    """Return the map's colours: the ground from masked to kept, the prompt, and new, edited and remasked."""
    table = paint.colour_table(dark, (0, 0, 0))
    events = table[paint.REVEALED : paint.REMASKED + 1]
    return {"ground": table[paint.GROUND : paint.PROMPT], "prompt": table[paint.PROMPT], "events": events}
