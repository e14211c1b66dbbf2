"""Run a sampler from Python and keep every step: the notebook's counterpart of `remdm-tui watch --record`."""

from __future__ import annotations

import time
from os import PathLike
from typing import Any

import numpy as np

from engine.models import TextModel
from engine.models.environment import versions
from engine.recording.entries import Header
from engine.recording.recorder import Recorder
from engine.recording.recording import Recording
from engine.records import ModelChoice, RunChoice
from engine.sampling.session import Session
from engine.sampling.trace import RunStart
from engine.strategies import Strategy
from engine.system.version import __version__


def record(
    model: TextModel,
    strategy: Strategy,
    *,
    out: str | PathLike[str] | None = None,
    steps: int = 128,
    length: int = 128,
    batch: int = 1,
    seed: int = 0,
    prompt: str = "",
    block_length: int | None = None,
    stride: int | None = None,
    strides: int = 0,
    **settings: Any,
) -> Recording:
    """Sample `batch` texts and return the recording of every step; sample n equals that of `engine.sample`.

    out: a new file for the recording; None: a temporary one, gone with the process.  prompt: a text that stays, at the
    start; masks in it are filled.  The rest is as for `engine.Session`.  An interrupt leaves the steps so far in `out`.
    Raises ValueError for settings out of range, FileExistsError if `out` exists.
    """
    shape: dict[str, Any] = {"block_length": block_length, "stride": stride, "strides": strides}
    session = Session(
        model, strategy, steps=steps, length=length, batch=batch, seed=seed, prompt=model.prompt(prompt), **shape,
        **settings,
    )  # fmt: skip
    run = RunChoice(steps, length, batch, seed, prompt, infill=True, **shape)
    start = RunStart(session.tokens.numpy(force=True).astype(np.int32), session.locked.numpy(force=True), steps, seed)
    canvas = session.tokens.shape[1]
    header = Header(
        model.info, ModelChoice(model.name), run, steps, seed, batch, canvas, __version__, time.time(), versions()
    )
    recorder = Recorder.spool(header, start) if out is None else Recorder.create(out, header, start)
    try:
        for frame in session:
            recorder.frame(0, frame)
        return recorder.recording.copy()
    finally:
        recorder.close()
