"""Make a recording of a trace: frames from its states, the mask id inferred where that is certain."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine import __version__
from engine.recording import Header, Recorder
from engine.recording.layout import LARGEST_VOCABULARY
from engine.records import UNKNOWN_DRAW, Change, Frame, Knob, ModelChoice, ModelInfo, RunChoice, Settings
from engine.sampling.trace import RunStart
from engine.strategies import available
from engine.traces.fields import ABSENT, MOST_NUMBERS, MOST_STATES, TraceFields

SAMPLER = "imported"
"""The strategy of a trace that names none."""
MASK = "[MASK]"
HINT = "give it with --mask-id"


@dataclass(frozen=True)
class TraceOptions:
    """What a person says of a trace; None for what the file says or what follows from it."""

    mask_id: int | None = None
    prompt_length: int | None = None
    strategy: str | None = None
    pieces: Mapping[int, str] | None = None
    """texts of tokens; None: those of the file, else numbers"""
    fragments: Mapping[int, bytes] | None = None
    """bytes of the tokens that hold a part of a character"""
    vocab_size: int | None = None


def import_trace(fields: TraceFields, options: TraceOptions, out: Path) -> tuple[int, int, int, int]:
    """Write a trace as a new recording; return its steps, samples and positions, and the id of the mask.

    Raises ValueError for a trace that is no run or whose mask is unknown, FileExistsError if `out` exists,
    OSError if it cannot be written.  Nothing is left then.
    """
    states, mask, probabilities = _states(fields, options)
    locked = _locked(states, mask, _first(options.prompt_length, fields.prompt_length))
    start = RunStart(states[0].astype(np.int32), locked, len(states) - 1, 0)
    batch, length = start.tokens.shape
    header = Header(
        _model(fields, options, states, mask), ModelChoice(fields.model or SAMPLER),
        RunChoice(start.steps, length, batch), start.steps, 0, batch, length, __version__, time.time(),
    )  # fmt: skip
    settings = _settings(fields, options)
    recorder = Recorder.create(out, header, start)
    try:
        for frame in _frames(states, mask, locked, probabilities, settings):
            recorder.frame(0, frame)
        recorder.close()
    except BaseException:
        # a part of a trace would replay as a run that ended early
        with suppress(OSError):
            recorder.close()
        out.unlink(missing_ok=True)
        raise
    return start.steps, batch, length, mask


def _first(*values: int | None) -> int | None:
    return next((value for value in values if value is not None), None)


def _states(fields: TraceFields, options: TraceOptions) -> tuple[NDArray[np.int64], int, NDArray[np.float64] | None]:
    """Return the states [T + 1, B, L] from the masked canvas on, the mask's id, and probabilities [T, B, L] or None."""
    mask = _first(options.mask_id, fields.mask_id)
    if mask is not None and not 0 <= mask < LARGEST_VOCABULARY:
        raise ValueError(f"the mask must lie in 0 to {LARGEST_VOCABULARY - 1:,}, not {mask}")
    ids, probabilities = fields.ids, fields.probabilities
    if fields.step_map is not None:
        if mask is None:
            raise ValueError(f"a step map does not say which token is the mask: {HINT}")
        return _unfolded(ids[0], fields.step_map, mask), mask, None
    prompt = _first(options.prompt_length, fields.prompt_length)
    if len(ids) < 2 and prompt is None:
        raise ValueError("the trace holds one state: a run has one before its first step and one after each")
    if mask is None:
        mask = _inferred(ids)
    ids = np.where(ids == ABSENT, mask, ids)
    if prompt is not None and 0 <= prompt < ids.shape[2] and (ids[0, :, prompt:] != mask).any():
        # the tool wrote no state before its first step
        before = ids[:1].copy()
        before[:, :, prompt:] = mask
        ids = np.concatenate([before, ids])
    elif probabilities is not None and len(probabilities) == len(ids):
        probabilities = probabilities[1:]
    if len(ids) < 2:
        raise ValueError("the trace holds no step: its one state is masked")
    if not (ids == mask).any():
        raise ValueError(f"no state holds the mask {mask}: {HINT}")
    return ids, mask, probabilities if probabilities is None else probabilities[-(len(ids) - 1) :]


def _inferred(ids: NDArray[np.int64]) -> int:
    """Return the one token that all positions hold first which hold another later.  Raises ValueError if unknown."""
    begins = np.argmax(ids != ABSENT, axis=0)
    first = np.take_along_axis(ids, begins[None], axis=0)[0]
    changes = ((ids != first) & (ids != ABSENT)).any(axis=0)
    found = np.unique(first[changes])
    if len(found) != 1 or changes.sum() < 2:
        seen = f"the changing positions begin as {', '.join(map(str, found[:4].tolist()))}" if len(found) else ""
        why = f" ({seen}{' ...' if len(found) > 4 else ''})" if len(found) > 1 else ""
        raise ValueError(f"the trace does not say which token is the mask{why}: {HINT}")
    return int(found[0])


def _unfolded(final: NDArray[np.int64], steps: NDArray[np.int64], mask: int) -> NDArray[np.int64]:
    """Return the states [T + 1, B, L] of a step map, whose first step may have any number from 0 on."""
    open_ = steps >= 0
    if not open_.any():
        raise ValueError("the step map has no step of 0 or more")
    first, last = int(steps[open_].min()), int(steps[open_].max())
    count = last - first + 2
    if count > MOST_STATES or count * final.size > MOST_NUMBERS:
        raise ValueError(f"a step map of {count - 1:,} steps is too long")
    numbers = np.arange(count)[:, None, None] + first - 1
    return np.where(open_ & (steps > numbers), mask, final)


def _locked(ids: NDArray[np.int64], mask: int, prompt: int | None) -> NDArray[np.bool_]:
    """Return the positions of the prompt [B, L]: the first `prompt`; None: those that are never masked or changed."""
    still = (ids == ids[0]).all(axis=0) & (ids[0] != mask)
    if prompt is None:
        return still
    length = ids.shape[2]
    if not 0 <= prompt < length:
        raise ValueError(f"the prompt's length must lie in 0 to {length - 1}, not {prompt}")
    if not still[:, :prompt].all():
        sample, position = np.argwhere(~still[:, :prompt])[0]
        raise ValueError(
            f"position {position} of sample {sample} is in the prompt of {prompt} tokens and is masked or changes"
        )
    return np.broadcast_to(np.arange(length) < prompt, still.shape).copy()


def _model(fields: TraceFields, options: TraceOptions, ids: NDArray[np.int64], mask: int) -> ModelInfo:
    least = max(int(ids.max()), mask) + 1
    size = max(least, options.vocab_size or 0, fields.vocab_size or 0)
    if mask < 0 or size > LARGEST_VOCABULARY:
        raise ValueError(
            f"token ids are 0 to {LARGEST_VOCABULARY - 1:,}, and a vocabulary has at most {LARGEST_VOCABULARY:,}, "
            f"not {size:,}"
        )
    known = options.pieces if options.pieces is not None else fields.pieces
    texts = [known.get(i, "") for i in range(size)] if known else [f" {i}" for i in range(size)]
    texts[mask] = MASK
    return ModelInfo(
        fields.model or SAMPLER, 0, "", "", size, mask, None, False, tuple(texts), kind="trace of another tool",
        fragments=dict(options.fragments or {}),
    )  # fmt: skip


def _settings(fields: TraceFields, options: TraceOptions) -> Settings:
    name = options.strategy or fields.strategy or SAMPLER
    if name in available():
        # our own makes claims, on a clock that a trace does not have
        name = f"{name} (imported)"
    knobs = {key: value for key, value in fields.knobs.items() if key not in ("top_p", "temperature")}
    top_p, temperature = (_number(fields.knobs.get(key, 1.0), key) for key in ("top_p", "temperature"))
    return Settings(name, knobs, top_p=top_p, temperature=temperature, draw=UNKNOWN_DRAW)


def _number(value: Knob, name: str) -> float:
    if isinstance(value, str | bool):
        raise ValueError(f"the knob {name} must be a number, not {value!r}")
    return float(value)


def _frames(
    ids: NDArray[np.int64],
    mask: int,
    locked: NDArray[np.bool_],
    probabilities: NDArray[np.float64] | None,
    settings: Settings,
) -> Iterator[Frame]:
    """Yield a frame for each step; the plan is what happened, for the sampler's own is unknown."""
    count, batch = len(ids) - 1, ids.shape[1]
    held = np.where(locked, 1, np.nan).astype(np.float32)
    unknown = np.full(held.shape, np.nan)
    for i in range(count):
        before, after = ids[i], ids[i + 1]
        was, now = before == mask, after == mask
        change = np.select(
            [locked, was & now, was, now, before != after],
            [Change.LOCKED, Change.MASKED, Change.REVEALED, Change.REMASKED, Change.EDITED],
            Change.HELD,
        ).astype(np.uint8)  # fmt: skip
        put = (change == Change.REVEALED) | (change == Change.EDITED)
        p = unknown if probabilities is None else probabilities[i]
        held = np.where(now & ~locked, np.nan, np.where(put, p, held)).astype(np.float32)
        unmask, remask, edit = (
            (change == each).astype(np.float32) for each in (Change.REVEALED, Change.REMASKED, Change.EDITED)
        )
        t, s = 1 - i / count, 1 - (i + 1) / count
        yield Frame(
            i, t, s, 1 - t, 1 - s, after.astype(np.int32), change, held, unmask, remask, (i + 1) * batch, settings,
            edit_plan=edit if edit.any() else None,
        )  # fmt: skip
