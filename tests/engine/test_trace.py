"""The record of a run, and the figures along it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from engine.records import Change, Frame, Settings
from engine.sampling.figures import FIGURES, Curves, FigureKind, Steps, figures, unigram_entropy
from engine.sampling.session import Session
from engine.sampling.trace import RunStart, Trace
from engine.strategies import make_strategy
from tests.engine.toys import MASK, Toy

FRAME = Frame(
    index=0,
    t=0.5,
    s=0.4,
    alpha_t=0.5,
    alpha_s=0.6,
    tokens=np.array([[1, 2, 2, 9, 9, 3], [9, 9, 9, 9, 9, 3]], dtype=np.int32),
    change=np.array([[1, 1, 2, 3, 0, 4], [0, 0, 0, 0, 0, 4]], dtype=np.uint8),
    held=np.array([[0.5, 0.25, 0.75, np.nan, np.nan, 1], [np.nan] * 5 + [1]], dtype=np.float32),
    unmask=np.full((2, 6), 0.2, dtype=np.float32),
    remask=np.array([[0.1, 0.3, 0.9, 0.2, 0.9, 0.9], [0.9] * 6], dtype=np.float32),
    network_calls=1,
    settings=Settings("mdlm"),
)


def test_the_figures_of_a_frame() -> None:
    """Token 9 is the mask; sigma counts where a token could have been lost, confidence where one was drawn."""
    got = figures(FRAME, 0)
    assert (got.masked, got.revealed, got.remasked) == (2, 1, 1)
    assert got.sigma == pytest.approx(0.3)
    assert got.confidence == pytest.approx(0.5)
    assert got.entropy == pytest.approx(-(0.5 * math.log(0.5) + 2 * 0.25 * math.log(0.25)))


def test_the_figures_of_a_frame_with_a_prompt_alone() -> None:
    got = figures(FRAME, 1)
    assert (got.masked, got.revealed, got.remasked, got.sigma, got.entropy) == (5, 0, 0, 0.0, 0.0)
    assert math.isnan(got.confidence)


@pytest.mark.parametrize(
    ("tokens", "entropy"), [([], 0.0), ([4, 4, 4], 0.0), ([1, 2], math.log(2)), ([0, 1, 2, 3], math.log(4))]
)
def test_the_entropy_of_tokens_is_in_nats(tokens: list[int], entropy: float) -> None:
    assert unigram_entropy(np.array(tokens, dtype=np.int32)) == pytest.approx(entropy)


def test_changes_are_counted_in_one_sample_or_in_all() -> None:
    assert FRAME.count(Change.MASKED) == 6
    assert FRAME.count(Change.MASKED, sample=0) == 1
    assert FRAME.masked.tolist() == [[False] * 3 + [True] * 2 + [False], [True] * 5 + [False]]


def test_curves_grow_by_a_row_a_frame_beyond_their_first_room() -> None:
    curves = Curves(2)
    for index in range(600):
        curves.append(replace(FRAME, index=index, alpha_s=index / 600, network_calls=index))
    assert curves.column("masked", 0).tolist() == [2.0] * 600
    assert curves.column("masked", 1).tolist() == [5.0] * 600
    assert curves.column("calls", 0).tolist() == [float(i) for i in range(600)]
    np.testing.assert_allclose(curves.column("expected", 1), 1 - np.arange(600) / 600)
    assert all(curves.column(name, 0).shape == (600,) for name in FIGURES)


def recorded(prompt: list[int], steps: int = 8) -> tuple[Trace, list[Frame]]:
    session = Session(Toy(), make_strategy("remdm-cap", eta=0.3), steps=steps, length=6, batch=2, prompt=prompt)
    tokens = session.tokens.numpy().astype(np.int32)
    locked = np.broadcast_to(np.arange(6) < len(prompt), tokens.shape)
    trace, frames = Trace(RunStart(tokens, locked, steps, 0)), list(session)
    for frame in frames:
        trace.append(frame)
    return trace, frames


def test_a_position_is_the_state_after_that_many_steps() -> None:
    trace, frames = recorded([1, 2])
    assert len(trace) == len(frames)
    for position, frame in enumerate(frames, 1):
        assert trace.frame(position) is frame
        for sample in (0, 1):
            assert np.array_equal(trace.tokens(position, sample), frame.tokens[sample])
            assert np.array_equal(trace.change(position, sample), frame.change[sample])
            assert np.array_equal(trace.held(position, sample), frame.held[sample], equal_nan=True)
            # as text, because a nan equals none
            assert str(trace.figures(position, sample)) == str(figures(frame, sample))
            for name in FIGURES:
                at = trace.curves.column(name, sample)[position - 1]
                np.testing.assert_allclose(at, figures(frame, sample).values[name], rtol=1e-6, atol=1e-12)


def check_rows_alone(name: str, kind: FigureKind) -> None:
    """Raise AssertionError for a figure whose rows depend on which steps are computed together."""
    frames = recorded([1])[1]
    one_by_one = np.concatenate([kind.compute(Steps.of([frame])) for frame in frames])
    np.testing.assert_allclose(
        kind.compute(Steps.of(frames)), one_by_one, rtol=1e-6, atol=1e-12,
        err_msg=f"figure {name}: `compute` must make each row from its own step alone, as a run comes in pieces",
    )  # fmt: skip


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_computes_each_row_from_its_own_step_alone(name: str) -> None:
    check_rows_alone(name, FIGURES[name])


def test_a_figure_that_adds_up_over_steps_is_found_out() -> None:
    so_far = FigureKind(
        "so far", "remasked up to the step", lambda steps: steps.after(Change.REMASKED).sum(-1).cumsum(0)
    )
    with pytest.raises(AssertionError, match="each row from its own step alone"):
        check_rows_alone("so_far", so_far)


@pytest.mark.parametrize("together", [1, 100, 2**20])
def test_many_figures_at_once_are_those_of_each_frame(monkeypatch: pytest.MonkeyPatch, together: int) -> None:
    monkeypatch.setattr(Curves, "TOGETHER", together)
    rng = np.random.default_rng(together)
    curves, frames = Curves(3), []
    for index in range(40):
        change = rng.integers(0, 5, (3, 17)).astype(np.uint8)
        if index % 7 == 0:
            change[index % 3] = Change.MASKED
        held = np.where(np.isin(change, [Change.MASKED, Change.REMASKED]), np.nan, rng.random((3, 17)))
        frames.append(
            replace(
                FRAME,
                index=index,
                tokens=rng.integers(0, 9, (3, 17)).astype(np.int32),
                change=change,
                held=held.astype(np.float32),
                remask=rng.random((3, 17)).astype(np.float32),
            )
        )
        curves.append(frames[-1])
    for name in FIGURES:
        for sample in range(3):
            one_by_one = [figures(frame, sample).values[name] for frame in frames]
            np.testing.assert_allclose(curves.column(name, sample), one_by_one, rtol=1e-6, atol=1e-12)


def test_one_frame_gives_the_bits_of_the_curves() -> None:
    rng = np.random.default_rng(5)
    for length in (1, 2, 40, 300):
        curves, frames = Curves(3), []
        for share in (0.0, 0.1, 0.5, 0.9, 1.0):
            masked = rng.random((3, length)) < share
            arrays = {
                "tokens": rng.zipf(1.3, (3, length)) % 5000,
                "change": np.where(masked, rng.choice([0, 3], (3, length)), rng.choice([1, 2, 4], (3, length))),
                "held": np.where(masked, np.nan, rng.random((3, length))),
                "remask": rng.random((3, length)),
            }
            frames.append(replace(FRAME, **{n: a.astype(getattr(FRAME, n).dtype) for n, a in arrays.items()}))
            curves.append(frames[-1])
        for name in FIGURES:
            for sample in range(3):
                one_by_one = np.array([figures(frame, sample).values[name] for frame in frames])
                np.testing.assert_array_equal(curves.column(name, sample), one_by_one)


def test_position_zero_is_the_canvas() -> None:
    trace, _ = recorded([1, 2])
    assert trace.frame(0) is None
    assert trace.figures(0, 0) is None
    assert trace.tokens(0, 1).tolist() == [1, 2, MASK, MASK, MASK, MASK]
    assert trace.change(0, 1).tolist() == [Change.LOCKED] * 2 + [Change.MASKED] * 4
    assert np.array_equal(trace.held(0, 0), [1, 1, np.nan, np.nan, np.nan, np.nan], equal_nan=True)


def test_a_record_has_no_holes() -> None:
    trace, frames = recorded([])
    for wrong in (frames[0], replace(frames[0], index=len(frames) + 1)):
        with pytest.raises(ValueError, match=f"frame {wrong.index} cannot follow {len(frames)} recorded ones"):
            trace.append(wrong)
    assert len(trace) == len(frames) == len(trace.curves.column("masked", 0))
