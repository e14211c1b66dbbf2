"""Runs that have a fault which lint looks for, and some that have none: frames made up by numpy."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from engine.lint import CheckResult, lint_recording
from engine.recording import Recorder, Recording
from engine.records import Change, Frame, Knob, Settings
from engine.sampling.trace import RunStart
from tests.engine.recordings import header

MASK = 5


def frames_of(
    states: Sequence[Sequence[int]],
    strategy: str = "someone's",
    knobs: Mapping[str, Knob] | None = None,
    held: float | np.ndarray = 0.5,
    remask: float = 0.0,
    excess: float = 0.0,
) -> tuple[RunStart, list[Frame]]:
    """Return the frames of a run through these states of one sample, the first before any step.

    held: the probability of what is revealed, or of each position.  remask: the plan's, where nothing is remasked.
    """
    rows = np.array(states, np.int32)[:, None, :]
    count = len(rows) - 1
    start = RunStart(rows[0], np.zeros(rows[0].shape, bool), count, 0)
    p = np.broadcast_to(np.float32(held), rows[0].shape)
    known = np.full(rows[0].shape, np.nan, np.float32)
    frames = []
    for i, (before, after) in enumerate(itertools.pairwise(rows)):
        was, now = before == MASK, after == MASK
        change = np.select(
            [was & now, was, now, before != after], [Change.MASKED, Change.REVEALED, Change.REMASKED, Change.EDITED],
            Change.HELD,
        ).astype(np.uint8)  # fmt: skip
        known = np.where(now, np.nan, np.where(np.isin(change, (1, 4)), known, p)).astype(np.float32)
        chance = np.where(change == Change.REMASKED, 1, remask).astype(np.float32)
        edits = (change == Change.EDITED).astype(np.float32)
        t, s = 1 - i / count, 1 - (i + 1) / count
        frames.append(
            Frame(
                i, t, s, 1 - t, 1 - s, after, change, known, (was & ~now).astype(np.float32), chance, i + 1,
                Settings(strategy, dict(knobs or {})), excess, edit_plan=edits if edits.any() else None,
            )
        )  # fmt: skip
    return start, frames


def written(path: Path, start: RunStart, frames: Sequence[Frame]) -> Path:
    recorder = Recorder.create(path, header(start), start)
    for frame in frames:
        recorder.frame(0, frame)
    recorder.close()
    return path


def outcomes(path: Path) -> dict[str, CheckResult]:
    """Return the outcome of each check of a recording with one branch."""
    recording = Recording.open(path)
    try:
        return {one.check: one for one in lint_recording(recording)}
    finally:
        recording.close()


def reveal_in(order: Sequence[int], tokens: Sequence[int]) -> list[list[int]]:
    """Return the states of a run that reveals one position a step, in this order."""
    states = [[MASK] * len(tokens)]
    for position in order:
        states.append([*states[-1][:position], tokens[position], *states[-1][position + 1 :]])
    return states
