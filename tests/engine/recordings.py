"""Runs to record: of the small denoisers under real strategies, and made up by numpy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import numpy as np

from engine.recording import Header, Recorder
from engine.records import Change, Edit, Frame, ModelChoice, ModelInfo, RunChoice, Settings
from engine.sampling.session import Session
from engine.sampling.trace import RunStart, Trace
from engine.strategies import make_strategy
from tests.engine.toys import Toy

WORDS = tuple(f" w{i}" for i in range(50_000))
EXACT = tuple(one.name for one in fields(Frame) if one.name not in ("unmask", "remask"))


def header(start: RunStart, vocab_size: int = 6, mask: int = 5, pieces: tuple[str, ...] = (*"abcde", "_")) -> Header:
    model = ModelInfo("toy", 0, "float32", "cpu", vocab_size, mask, None, False, pieces)
    batch, length = start.tokens.shape
    run = RunChoice(start.steps, length, batch, start.seed)
    return Header(model, ModelChoice("toy"), run, start.steps, start.seed, batch, length, "0.1.0", 1.8e9)


def start_of(session: Session, prompt: int = 0) -> RunStart:
    tokens = session.tokens.numpy().astype(np.int32)
    return RunStart(tokens, np.broadcast_to(np.arange(tokens.shape[1]) < prompt, tokens.shape), session.steps, 0)


def session_of(strategy: str, steps: int = 24, length: int = 12, batch: int = 2, **more: object) -> Session:
    return Session(Toy(), make_strategy(strategy), steps=steps, length=length, batch=batch, **more)  # type: ignore[arg-type]


def recorded(path: Path, strategy: str = "remdm-cap", prompt: tuple[int, ...] = (), **more: object) -> Trace:
    """Write a run to a file; return it, and the trace that a live view would have of it."""
    session = session_of(strategy, prompt=prompt, **more)  # type: ignore[arg-type]
    start = start_of(session, len(prompt))
    trace, recorder = Trace(start), Recorder.create(path, header(start), start)
    for frame in session:
        trace.append(frame)
        recorder.frame(0, frame)
    recorder.close()
    return trace


def difference(a: Frame, b: Frame) -> str:
    """Return the first field in which two frames differ by a bit, plans aside; empty for none."""
    for name in EXACT:
        x, y = getattr(a, name), getattr(b, name)
        same = x.dtype == y.dtype and x.tobytes() == y.tobytes() if isinstance(x, np.ndarray) else x == y
        if not same:
            return name
    return ""


def busy_frames(
    count: int, length: int, changes: int, seed: int = 0, words: int = len(WORDS) - 1
) -> tuple[RunStart, Iterator[Frame]]:
    """Return frames of a long corrector at its busiest: every step remasks and reveals `changes` tokens."""
    rng, mask = np.random.default_rng(seed), len(WORDS) - 1
    start = RunStart(np.full((1, length), mask, np.int32), np.zeros((1, length), bool), count, seed)

    def frames() -> Iterator[Frame]:
        tokens, held = start.tokens, np.full((1, length), np.nan, np.float32)
        for i in range(count):
            hidden = tokens == mask
            lost = np.zeros_like(hidden)
            lost[0, rng.choice(length, changes, replace=False)] = True
            lost &= ~hidden
            drawn = rng.integers(0, words, hidden.shape)
            tokens = np.where(hidden, drawn, np.where(lost, mask, tokens)).astype(np.int32)
            held = np.where(hidden, rng.random(hidden.shape), np.where(lost, np.nan, held)).astype(np.float32)
            change = np.where(hidden, Change.REVEALED, np.where(lost, Change.REMASKED, Change.HELD)).astype(np.uint8)
            t, s = 1 - i / count, 1 - (i + 1) / count
            unmask, remask = (np.broadcast_to(np.float32(p), tokens.shape) for p in (0.1 * t, 0.04 * s))
            yield Frame(i, t, s, 1 - t, 1 - s, tokens, change, held, unmask, remask, i + 1, Settings("busy"))

    return start, frames()


def arbitrary_frames(count: int, batch: int, length: int, seed: int) -> tuple[RunStart, list[Frame]]:
    """Return frames of which none follows from the one before: edits, prompts that move, plans of every kind."""
    rng = np.random.default_rng(seed)
    shape = batch, length
    start = RunStart(rng.integers(0, 6, shape).astype(np.int32), rng.random(shape) < 0.3, count, seed)

    def plan() -> np.ndarray:
        kind = rng.integers(0, 4)
        if kind == 0:
            return np.broadcast_to(np.float32(rng.random()), shape)
        if kind == 1:
            return (rng.random(shape) < 0.5).astype(np.float32)
        if kind == 2:
            return np.where(np.arange(length) < length // 2, np.float32(rng.random()), np.float32(0)) + np.zeros(
                shape, np.float32
            )
        return np.full(shape, [np.nan, np.inf, -0.0][rng.integers(0, 3)], np.float32)

    edits = [None, Edit("force", 0, 1, (3,)), Edit("mask", None, 2), Edit("prompt", None, 0, (1, 2, 3), 0.5)]
    calls = [0]

    def taken(by_hand: bool) -> int:
        """A person's edit takes no call."""
        calls.append(calls[-1] if by_hand else int(rng.integers(0, 1000)))
        return calls[-1]

    frames = [
        Frame(
            i, rng.random(), rng.random(), rng.random(), rng.random(),
            rng.integers(0, 6, shape).astype(np.int32), rng.integers(0, 5, shape).astype(np.uint8),
            np.where(rng.random(shape) < 0.3, np.nan, rng.random(shape)).astype(np.float32), plan(), plan(),
            taken((edit := edits[rng.integers(0, 4)]) is not None), Settings("any", {"eta": float(rng.integers(0, 3))}),
            float(rng.integers(0, 2)) * 0.25, bool(rng.integers(0, 2)), int(rng.integers(0, 3)),
            edit,
        )
        for i in range(count)
    ]  # fmt: skip
    return start, frames
