"""One set of trajectories: the same whatever the batch, and exact when it is rewound."""

from __future__ import annotations

from itertools import islice, pairwise
from typing import Any

import numpy as np
import pytest
import torch

import engine
from engine.models.dit import DIT, DITConfig
from engine.records import SHARED_KNOBS, Change, Frame
from engine.sampling.session import Session
from engine.strategies import REGISTRY, Plan, View, make_strategy, reads_of
from tests.engine.toys import MASK, TOKENS, BrokenToy, RowToy, TimedToy, Toy

CAP = make_strategy("remdm-cap", eta=0.2)
MDLM = make_strategy("mdlm")


def frames_of(session: Session, count: int | None = None) -> list[Frame]:
    return list(islice(session, count))


def same(a: Frame, b: Frame) -> bool:
    scalars = ("index", "t", "s", "alpha_t", "alpha_s", "network_calls", "excess", "final", "settings")
    arrays = ("tokens", "change", "held", "unmask", "remask")
    return all(getattr(a, name) == getattr(b, name) for name in scalars) and all(
        np.array_equal(getattr(a, name), getattr(b, name), equal_nan=name == "held") for name in arrays
    )


@pytest.mark.parametrize("name", REGISTRY)
def test_a_sample_is_the_same_whatever_the_batch_and_whoever_draws_it(name: str) -> None:
    strategy = make_strategy(name)
    shape: dict[str, Any] = {"steps": 7, "length": 10, "seed": 7}
    whole = Session(Toy(), strategy, batch=4, **shape)
    frames_of(whole)
    for number in (0, 3):
        alone = Session(Toy(), strategy, first=number, **shape)
        frames_of(alone)
        assert torch.equal(alone.tokens[0], whole.tokens[number])
    # one at a time and side by side are compared in `test_batch`, `test_blocks` and `test_windows`
    assert torch.equal(engine.sample(RowToy(), strategy, count=4, width=3, **shape), whole.tokens)


def test_a_clean_up_ends_at_the_clean_text_from_where_the_walk_has_ended() -> None:
    """dfm's walk stops above time 0: what is masked then is revealed by a step of its own, to alpha = 1."""
    session = Session(Toy(), make_strategy("dfm"), steps=16, length=12, batch=8, seed=1)
    *walk, last = frames_of(session)
    assert last.final
    assert not any(frame.final for frame in walk)
    assert (last.t, last.alpha_t) == (walk[-1].s, walk[-1].alpha_s)
    assert 0 < last.t < 1 / 16
    assert (last.s, last.alpha_s) == (0.0, 1.0)
    assert (last.unmask == 1).all()
    assert (last.remask == 0).all()


@pytest.mark.parametrize(("over", "excess"), [(0.0, 0.0), (5e-10, 0.0), (2e-9, 2e-9), (0.25, 0.25)])
def test_a_plan_that_rounding_alone_took_out_of_range_has_no_excess(over: float, excess: float) -> None:
    class Over(type(MDLM)):  # type: ignore[misc]
        def plan(self, view: View) -> Plan:
            return Plan(view.alpha_t * 0 + 1 + over, view.alpha_t * 0)

    frame = next(Session(Toy(), Over(), steps=4, length=6))
    assert frame.excess == pytest.approx(excess, rel=1e-6)
    assert (frame.unmask == 1).all()


def test_an_excess_of_remasking_counts_where_tokens_are() -> None:
    class Over(type(MDLM)):  # type: ignore[misc]
        def plan(self, view: View) -> Plan:
            return Plan(view.alpha_t * 0 + 1, view.alpha_t * 0 + 1.25)

    first, second = islice(Session(Toy(), Over(), steps=4, length=6), 2)
    assert first.excess == 0
    assert second.excess == pytest.approx(0.25)


def test_another_seed_is_another_sample() -> None:
    a, b = (engine.sample(Toy(), MDLM, steps=8, length=16, count=4, seed=seed) for seed in (1, 2))
    assert not torch.equal(a, b)


@pytest.mark.parametrize("name", REGISTRY)
@pytest.mark.parametrize("model", [Toy, RowToy, TimedToy])
def test_the_frames_tell_the_story_of_the_tokens(name: str, model: type[Toy]) -> None:
    """Every code of every frame against the tokens before and after it, to the last mask."""
    session = Session(model(), make_strategy(name), steps=10, length=12, batch=3, prompt=[1, 2])
    before = session.tokens.numpy().copy()
    held = np.where(before == MASK, np.nan, 1.0).astype(np.float32)
    grid = make_strategy(name).grid(10)
    frames = frames_of(session)
    assert [frame.index for frame in frames] == list(range(len(frames)))
    stepped = [frame for frame in frames if not frame.final]
    assert [frame.t for frame in stepped] == grid[:-1].tolist()
    assert [frame.s for frame in stepped] == grid[1:].tolist()
    assert sum(frame.final for frame in frames) <= 1
    for frame in frames:
        after, was, now = frame.tokens, before == MASK, frame.tokens == MASK
        prompt = np.broadcast_to(np.arange(12) < 2, after.shape)
        expected = np.select(
            [prompt, was & now, was & ~now, ~was & now, edited := ~was & ~now & (before != after)],
            [Change.LOCKED, Change.MASKED, Change.REVEALED, Change.REMASKED, Change.EDITED],
            Change.HELD,
        )
        assert np.array_equal(frame.change, expected)
        assert not edited.any() or make_strategy(name).edits
        kept = ~was & ~now & ~edited
        assert np.array_equal(after[kept], before[kept])
        assert np.array_equal(frame.held[kept], held[kept])
        assert np.array_equal(np.isnan(frame.held), now)
        assert (frame.held[~now] > 0).all()
        assert np.array_equal(frame.masked, now)
        assert sum(frame.count(change) for change in Change) == after.size
        # nothing happened that the plan had given no chance
        assert (frame.unmask[was & ~now] > 0).all()
        assert (frame.remask[~was & now] > 0).all()
        assert (frame.unmask[was & now] < 1).all()
        before, held = after, frame.held
    assert not (before == MASK).any()
    assert ((before >= 0) & (before < TOKENS)).all()
    assert (before[:, :2] == [1, 2]).all()


def test_a_session_of_uniform_steps_gives_as_many_frames() -> None:
    assert [frame.index for frame in Session(Toy(), MDLM, steps=9, length=30)] == list(range(9))


def test_a_frame_names_the_settings_that_made_it() -> None:
    session = Session(Toy(), CAP, steps=4, length=4, top_p=0.7, nucleus="inclusive", temperature=0.5)
    settings = next(session).settings
    assert (settings.strategy, settings.knobs["eta"]) == ("remdm-cap", 0.2)
    assert (settings.top_p, settings.nucleus, settings.temperature, settings.draw) == (
        0.7, "inclusive", 0.5, "inverse-cdf",
    )  # fmt: skip


def test_a_step_in_which_nothing_is_revealed_costs_nothing() -> None:
    """With more steps than positions most steps reveal nothing, so they must not ask."""
    model = Toy()
    seen = 0
    for frame in Session(model, CAP, steps=60, length=4, batch=3):
        requested = int((frame.change == Change.REVEALED).any(-1).sum())
        assert model.encoded - seen == requested
        assert frame.network_calls == model.encoded
        seen = model.encoded
    assert 0 < seen < 60 * 3


@pytest.mark.parametrize("name", REGISTRY)
def test_the_network_sees_a_sequence_at_most_once_a_step(name: str) -> None:
    model = Toy()
    frames = frames_of(Session(model, make_strategy(name), steps=10, length=30, batch=4))
    assert frames[-1].network_calls == model.encoded
    # a strategy that verifies sees it once more for each revealed position, one that looks ahead for each candidate
    assert model.encoded <= len(frames) * 4 or reads_of(REGISTRY[name]) & {"verified", "ahead"}


def test_replaying_gives_the_frames_there_were() -> None:
    session = Session(Toy(), CAP, steps=20, length=12, batch=2, prompt=[0])
    first = frames_of(session)
    for index in (20, 13, 0):
        session.rewind(index)
        assert session.index == index
        again = frames_of(session)
        assert len(again) == len(first) - index
        assert all(same(a, b) for a, b in zip(first[index:], again, strict=True))


def test_replaying_repeats_what_was_set_on_the_way() -> None:
    session = Session(Toy(), CAP, steps=20, length=12)
    first = frames_of(session, 5)
    session.set(strategy=make_strategy("remdm-loop", eta=0.3), top_p=0.5)
    first += frames_of(session, 6)
    session.set(strategy=MDLM, temperature=0.3)
    first += frames_of(session)
    assert [f.settings.strategy for f in first[4:12]] == ["remdm-cap", *["remdm-loop"] * 6, "mdlm"]
    for index in (2, 8, 0):
        session.rewind(index)
        again = frames_of(session)
        assert all(same(a, b) for a, b in zip(first[index:], again, strict=True))


def test_what_was_set_before_a_rewind_holds_where_the_record_ends() -> None:
    session = Session(Toy(), CAP, steps=20, length=12)
    frames_of(session, 5)
    session.set(strategy=MDLM)
    session.rewind(2)
    names = [frame.settings.strategy for frame in session if not frame.final]
    assert names == ["remdm-cap"] * 3 + ["mdlm"] * 15


def test_setting_after_a_rewind_changes_the_future_alone() -> None:
    session = Session(Toy(), CAP, steps=20, length=12, batch=4)
    first = frames_of(session)
    session.rewind(6)
    replayed = next(session)
    session.set(strategy=make_strategy("remdm-cap", eta=0.9))
    branch = frames_of(session)
    assert same(replayed, first[6])
    assert all(frame.settings.knobs["eta"] == 0.9 for frame in branch)
    assert not all(np.array_equal(a.tokens, b.tokens) for a, b in zip(first[7:], branch, strict=False))
    session.rewind(0)
    again = frames_of(session)
    assert all(same(a, b) for a, b in zip([*first[:7], *branch], again, strict=True))


def test_branches_share_their_noise() -> None:
    """Setting what was already set gives the very same future."""
    session = Session(Toy(), CAP, steps=20, length=12)
    first = frames_of(session)
    session.rewind(6)
    session.set(strategy=CAP)
    assert all(same(a, b) for a, b in zip(first[6:], frames_of(session), strict=True))


def test_frames_do_not_change_after_they_are_given() -> None:
    session = Session(Toy(), CAP, steps=10, length=8)
    first = next(session)
    kept = first.tokens.copy()
    frames_of(session)
    session.rewind(0)
    frames_of(session)
    assert np.array_equal(first.tokens, kept)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"top_p": 0.0}, "top_p must lie in 0.01 to 1, not 0.0"),
        ({"top_p": 1.1}, "top_p must lie in 0.01 to 1"),
        ({"top_p": float("nan")}, "top_p must lie in 0.01 to 1"),
        ({"temperature": -1}, "temperature must lie in 0 to 10"),
        ({"nucleus": "both"}, "nucleus must be one of exclusive, inclusive, not 'both'"),
        ({"draw": "dice"}, "draw must be one of inverse-cdf, gumbel-float64, gumbel-float32"),
    ],
    ids=str,
)
def test_a_bad_setting_is_refused_and_changes_nothing(bad: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Session(Toy(), CAP, **bad)
    session = Session(Toy(), CAP, steps=20, length=12)
    first = frames_of(session)
    session.rewind(5)
    with pytest.raises(ValueError, match=message):
        session.set(strategy=MDLM, **bad)
    assert all(same(a, b) for a, b in zip(first[5:], frames_of(session), strict=True))


def test_every_shared_setting_has_a_default_in_its_range() -> None:
    settings = Session(Toy(), CAP).config.settings
    for info in SHARED_KNOBS:
        assert getattr(settings, info.name) == info.default == info.check(info.default)


@pytest.mark.parametrize("index", [-1, 6])
def test_a_step_that_was_not_reached_cannot_be_rewound_to(index: int) -> None:
    session = Session(Toy(), CAP, steps=20, length=12)
    frames_of(session, 5)
    with pytest.raises(ValueError, match=f"can only rewind to a step in 0 to 5, not {index}"):
        session.rewind(index)
    assert session.index == 5


def test_an_ended_session_stays_ended_until_it_is_rewound() -> None:
    session = Session(Toy(), MDLM, steps=4, length=4)
    frames_of(session)
    assert next(session, None) is None
    session.rewind(3)
    assert next(session).index == 3


@pytest.mark.parametrize("name", ["remdm-cap", "low-confidence"])
def test_an_error_of_the_model_leaves_the_session_where_it_was(name: str) -> None:
    strategy = make_strategy(name)
    whole = frames_of(Session(Toy(), strategy, steps=20, length=30))
    model = BrokenToy(good=7)
    session = Session(model, strategy, steps=20, length=30)
    got: list[Frame] = []
    with pytest.raises(RuntimeError, match="out of memory"):
        got.extend(session)
    index = session.index
    assert index == len(got) > 0
    with pytest.raises(RuntimeError, match="out of memory"):
        next(session)
    assert session.index == index
    model.broken = False
    got += frames_of(session)
    assert all(same(a, b) for a, b in zip(whole, got, strict=True))


def test_an_error_in_the_clean_up_can_be_tried_again() -> None:
    """dfm leaves masks to the argmax after its last step."""
    strategy = make_strategy("dfm")
    shape: dict[str, Any] = {"steps": 8, "length": 40, "batch": 2}
    whole = frames_of(Session(Toy(), strategy, **shape))
    assert whole[-1].final
    model = BrokenToy(good=1 << 30)
    session = Session(model, strategy, **shape)
    got = frames_of(session, len(whole) - 1)
    model.good = model.calls
    with pytest.raises(RuntimeError, match="out of memory"):
        next(session)
    model.broken = False
    got += frames_of(session)
    assert all(same(a, b) for a, b in zip(whole, got, strict=True))


class Reversing(Toy):
    """Prefers at the start what it dislikes at the end."""

    time_conditioned = True

    def encode(self, tokens: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return super().encode(tokens, t) * (0.5 - t.float())[:, None, None]


@pytest.mark.parametrize("model", [Toy(), Reversing()], ids=["", "time conditioned"])
def test_the_clean_up_takes_the_argmax(model: Toy) -> None:
    frames = frames_of(Session(model, make_strategy("dfm"), steps=8, length=40))
    before, last = torch.from_numpy(frames[-2].tokens).long(), frames[-1]
    logits = model.encode(before, torch.zeros(1))
    logits[:, :, MASK] = -torch.inf
    where = last.change == Change.REVEALED
    assert where.any()
    assert np.array_equal(last.tokens[where], logits.argmax(-1).numpy()[where])
    assert (last.held[where] == 1).all()


def test_a_strategy_with_a_grid_of_its_own_can_be_switched_to_and_from() -> None:
    session = Session(Toy(), CAP, steps=16, length=16)
    frames = frames_of(session, 5)
    session.set(strategy=make_strategy("dfm"))
    frames += frames_of(session, 5)
    session.set(strategy=make_strategy("low-confidence"))
    frames += frames_of(session)
    times = [frame.t for frame in frames]
    assert times == sorted(times, reverse=True)
    assert all(a.s == b.t for a, b in pairwise(frames))
    assert not (frames[-1].tokens == MASK).any()


def test_a_canvas_that_is_all_prompt_needs_no_network() -> None:
    model = Toy()
    frames = frames_of(Session(model, CAP, steps=4, length=3, prompt=[1, 2, 3]))
    assert model.encoded == 0
    assert all((frame.change == Change.LOCKED).all() for frame in frames)


@pytest.mark.parametrize(
    ("canvas", "message"),
    [
        ({"steps": 0}, "steps must be at least 1, not 0"),
        ({"length": 0}, "length must be at least 1, not 0"),
        ({"length": 129}, "length 129 is beyond the model's 128"),
        ({"length": 2, "prompt": [1, 1, 1]}, "the prompt has 3 tokens and the canvas 2"),
        ({"length": 4, "prompt": [-1]}, "the prompt holds token -1, which is outside the vocabulary"),
        ({"length": 4, "prompt": [99]}, "the prompt holds token 99, which is outside the vocabulary"),
    ],
    ids=str,
)
def test_a_canvas_that_cannot_be_filled_is_refused(canvas: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Session(Toy(), CAP, **canvas)
    with pytest.raises(ValueError, match=message):
        engine.sample(Toy(), CAP, **canvas)


def test_a_batch_of_none_is_refused() -> None:
    with pytest.raises(ValueError, match="batch must be at least 1, not 0"):
        Session(Toy(), CAP, batch=0)


def test_a_model_without_a_maximal_length_takes_any() -> None:
    model = Toy()
    model.max_length = None
    model.place = model.place.repeat(4, 1)
    assert frames_of(Session(model, MDLM, steps=2, length=200))[-1].tokens.shape == (1, 200)


def test_a_model_that_is_being_trained_can_be_watched() -> None:
    torch.manual_seed(0)
    model = DIT(DITConfig(vocab_size=9, hidden_size=8, n_blocks=1, n_heads=2, cond_dim=4, length=8, mask_id=8))
    assert all(p.requires_grad for p in model.parameters())
    frames = frames_of(Session(model, make_strategy("remdm-conf"), steps=4, length=8))
    assert not (frames[-1].tokens == 8).any()


def test_a_network_that_gives_nan_is_reported() -> None:
    model = Toy()
    model.place = model.place * torch.nan
    with pytest.raises(FloatingPointError, match="not finite"):
        frames_of(Session(model, MDLM, steps=4, length=8))
