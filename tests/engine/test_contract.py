"""What a plan may read, do and remember: the fast path gives what the dense one does, however the run is taken."""

from __future__ import annotations

import io
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from engine import wire
from engine.debug.breakpoints import parse_condition
from engine.debug.claims import Claims
from engine.debug.inspect import story
from engine.debug.laws import EDIT_RANGE, LawState, check_laws
from engine.messages import Stepped
from engine.recording import Recorder, Recording
from engine.records import Change, Frame, Settings
from engine.sampling import kernel, oracle
from engine.sampling.batch import samples
from engine.sampling.memory import begin
from engine.sampling.readout import Readout
from engine.sampling.session import Session, config_of
from engine.sampling.state import SamplerState
from engine.strategies import Plan, Prediction, Strategy, View, knob, reads_of
from engine.strategies.base import OwnMemory, quota
from engine.strategies.validation import StrategyError
from tests.engine.recordings import header, start_of
from tests.engine.stats import ENOUGH, FAR_OFF, outcome, same_distribution
from tests.engine.toys import MASK, RowToy, Toy

COUNT, LENGTH, STEPS = 12_000, 3, 4


@dataclass(frozen=True)
class Editor(Strategy):
    """Reveals on the clock, remasks a tenth, and edits towards what the network would put there now."""

    name = "editor"
    summary = "Edit."
    source = "this test"
    preserves_marginal = False
    reads = frozenset({"committed", "drawn"})
    share: float = knob(0.5, "probability of an edit", 0, 1)

    def plan(self, view: View) -> Plan:
        assert view.prediction is not None
        better = view.prediction.confidence > view.prediction.current
        return Plan(1 - view.s / view.t, view.t * 0 + 0.1, better.double() * self.share)


@dataclass(frozen=True)
class Watchful(Strategy):
    """Masks again what the network has come to doubt since the last step, at most twice a position."""

    name = "watchful"
    summary = "Remask what falls."
    source = "this test"
    preserves_marginal = False
    reads = frozenset({"committed", "previous", "divergence", "spread"})

    def initial_memory(self, like: Tensor) -> OwnMemory:
        return {"times": like.long(), "steps": like[:, 0].long()}

    def plan(self, view: View) -> Plan:
        seen, last = view.prediction, view.previous
        assert seen is not None
        assert last is not None
        sure = seen.margin.where(view.masked, -1.0) - seen.divergence.nan_to_num(0, 0).where(view.masked, 0.0) * 0.1
        rank = sure.argsort(descending=True, stable=True).argsort()
        reveal = (rank < quota(view)) & view.masked
        falls = view.revealed & (seen.current < last.current) & (view.memory["times"] < 2) & (view.s > 0)
        memory = {"times": view.memory["times"] + falls, "steps": view.memory["steps"] + 1}
        return Plan(reveal.double(), falls.double(), memory=memory)


@dataclass(frozen=True)
class Half(Watchful):
    """Looks at the left half alone until the last step."""

    name = "half"

    def positions(self, view: View) -> Tensor:
        left = torch.arange(view.masked.shape[1]) < view.masked.shape[1] // 2
        return (view.masked | view.revealed) & (left | (view.s == 0))

    def plan(self, view: View) -> Plan:
        where = self.positions(view)
        return Plan((where & view.masked).double(), view.t * 0, memory=view.memory)


def trajectories(strategy: Strategy, **settings: Any) -> Any:
    session = Session(Toy(), strategy, steps=STEPS, length=LENGTH, batch=COUNT, seed=3, **settings)
    return outcome(*(frame.tokens for frame in session if not frame.final), base=MASK + 1)


def dense_trajectories(strategy: Strategy, **settings: Any) -> Any:
    bound, noise = Settings(strategy.name, **settings), torch.Generator().manual_seed(5)
    tokens, held = torch.full((COUNT, LENGTH), MASK), torch.full((COUNT, LENGTH), torch.nan, dtype=torch.float64)
    states, memory = [], None
    for times in pairwise(strategy.grid(STEPS).tolist()):
        t, s = (torch.full((COUNT, 1), time, dtype=torch.float64) for time in times)
        tokens, held, memory = oracle.step(Toy(), strategy, bound, tokens, held, t, s, noise, memory=memory)
        states.append(tokens.numpy())
    return outcome(*states, base=MASK + 1)


@pytest.mark.parametrize("settings", [{}, {"top_p": 0.6, "temperature": 0.7}], ids=["usual", "nucleus"])
@pytest.mark.parametrize("strategy", [Editor(), Watchful()], ids=lambda strategy: strategy.name)
def test_a_plan_that_reads_everything_steps_as_the_dense_update(strategy: Strategy, settings: dict[str, Any]) -> None:
    assert same_distribution(trajectories(strategy, **settings), dense_trajectories(strategy, **settings)) > ENOUGH


def test_another_share_of_edits_is_distinguished() -> None:
    assert same_distribution(trajectories(Editor()), dense_trajectories(Editor(share=0.3))) < FAR_OFF


def test_edits_are_where_the_frame_says_and_by_the_plan_it_holds() -> None:
    session = Session(Toy(), Editor(), steps=8, length=12, batch=4, seed=1)
    edits = 0
    before = session.tokens.numpy().copy()
    for frame in session:
        edited = frame.change == Change.EDITED
        edits += int(edited.sum())
        assert ((before != MASK) & (frame.tokens != MASK) & (before != frame.tokens) == edited).all()
        if frame.edit_plan is not None:
            assert (frame.edit_plan[edited] == 0.5).all()
        before = frame.tokens
    assert edits


@pytest.mark.parametrize("strategy", [Editor(), Watchful(), Half()], ids=lambda strategy: strategy.name)
@pytest.mark.parametrize("blocks", [None, 5])
def test_packed_samples_are_those_of_a_session(strategy: Strategy, blocks: int | None) -> None:
    shape: dict[str, Any] = {"steps": 8, "length": 12, "seed": 1, "block_length": blocks}
    session = Session(Toy(), strategy, batch=5, **shape)
    frames = list(session)
    packed = sorted(samples(Toy(), strategy, range(5), width=2, **shape), key=lambda done: done.number)
    assert torch.equal(torch.stack([done.tokens for done in packed]), session.tokens)
    assert sum(done.network_calls for done in packed) == frames[-1].network_calls


@pytest.mark.parametrize("model", [Toy(), RowToy()], ids=["plain", "rows"])
def test_memory_goes_back_with_the_run_and_into_its_branches(model: Toy) -> None:
    session = Session(model, Watchful(), steps=10, length=12, batch=2, seed=4)
    frames = list(session)
    assert any(frame.count(Change.REMASKED) for frame in frames)
    for index in (7, 3, 0):
        session.rewind(index)
        again = list(session)
        assert all(np.array_equal(a.tokens, b.tokens) for a, b in zip(again, frames[index:], strict=True))
    session.fork(5)
    assert all(np.array_equal(a.tokens, b.tokens) for a, b in zip(session, frames[5:], strict=True))


def test_another_strategy_begins_with_nothing_to_remember() -> None:
    session = Session(Toy(), Watchful(), steps=10, length=12, seed=4)
    for _ in range(5):
        next(session)
    session.set(strategy=Editor())
    next(session)
    session.set(strategy=Watchful())
    next(session)
    memory = session.before(session.index).state.memory
    assert memory is not None
    assert memory.own["steps"].tolist() == [1]


@pytest.mark.parametrize("strategy", [Editor(), Watchful(), Half()], ids=lambda strategy: strategy.name)
def test_a_prediction_is_what_the_whole_distribution_says_where_it_is_read_and_nothing_elsewhere(
    strategy: Strategy,
) -> None:
    model, noise = RowToy(), torch.Generator().manual_seed(8)
    tokens = torch.randint(0, MASK + 1, (3, 9), generator=noise)
    held = torch.rand(3, 9, generator=noise, dtype=torch.float64)
    t = torch.full((3, 1), 0.5, dtype=torch.float64)
    masked = tokens == MASK
    past = torch.randint(0, MASK + 1, (3, 9), generator=noise)
    memory = begin(strategy, held)
    if memory is not None and memory.shown is not None:
        memory = replace(memory, shown=memory.shown._replace(tokens=past, noise=t[:, 0]))
    view = View(t, t - 0.25, 1 - t, 1.25 - t, masked, ~masked, held)
    state = SamplerState(tokens, held, torch.zeros_like(masked), [0, 1, 2], memory=memory)
    config = config_of(strategy, Settings(strategy.name, top_p=1.0))
    got = Readout(model, 6).predict(config, state, [1, 1, 1], view).prediction
    plain = oracle.denoised(model, tokens, config.settings, 1 - t).view(3, 9, -1)
    want = oracle.dense_prediction(model, strategy, tokens, view, got.ids, plain, memory)
    for name, a, b in zip(Prediction._fields, got, want, strict=True):
        torch.testing.assert_close(a, b, equal_nan=True, rtol=1e-9, atol=1e-12, msg=name)
    assert (got.ids >= 0).equal(strategy.positions(view))


@dataclass(frozen=True)
class Tempered(Editor):
    name = "tempered"
    reads = frozenset({"committed", "drawn", "tempered", "logit"})


def mixed_state(seed: int = 8) -> tuple[SamplerState, View]:
    noise = torch.Generator().manual_seed(seed)
    tokens = torch.randint(0, MASK + 1, (3, 9), generator=noise)
    held, t = torch.rand(3, 9, generator=noise, dtype=torch.float64), torch.full((3, 1), 0.5, dtype=torch.float64)
    masked = tokens == MASK
    view = View(t, t - 0.25, 1 - t, 1.25 - t, masked, ~masked, held)
    return SamplerState(tokens, held, torch.zeros_like(masked), [0, 1, 2]), view


@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_a_tempered_prediction_is_of_the_distribution_that_is_drawn_from(temperature: float) -> None:
    model, strategy, (state, view) = Toy(), Tempered(), mixed_state()
    settings = Settings(strategy.name, temperature=temperature, top_p=0.8, nucleus="inclusive")
    got = Readout(model, 6).predict(config_of(strategy, settings), state, [1, 1, 1], view).prediction
    # at temperature 0 the nucleus is that of temperature 1, as in Dream's code
    law = replace(settings, temperature=temperature or 1.0)
    p = oracle.denoised(model, state.tokens, law, view.alpha_t).view(3, 9, -1)
    plain = oracle.denoised(model, state.tokens, Settings(strategy.name, top_p=1.0), view.alpha_t).view(3, 9, -1)
    standing = plain.gather(-1, state.tokens[:, :, None])[:, :, 0]
    want = oracle.dense_prediction(model, strategy, state.tokens, view, got.ids, p, None, standing=standing)
    for name, a, b in zip(Prediction._fields, got, want, strict=True):
        torch.testing.assert_close(a, b, equal_nan=True, rtol=1e-9, atol=1e-12, msg=name)
    assert not got.logit.isnan().any()
    assert (got.entropy == 0).any()


def test_the_noised_probability_of_a_draw_is_that_of_gumbel_max() -> None:
    """By quantiles, for each token drawn, against argmax and softmax of log p + Gumbel."""
    count, p = 60_000, torch.tensor([0.5, 0.0, 0.3, 0.15, 0.05], dtype=torch.float64)
    race = oracle.gumbel_race(p.expand(count, -1), torch.Generator().manual_seed(4))
    ids, sure = race.argmax(-1), race.amax(-1) / race.sum(-1)
    drawn = ids[torch.randperm(count, generator=torch.Generator().manual_seed(5))]
    address = kernel.Address(torch.full((count,), 77), torch.arange(count))
    ours = kernel.noised(p.expand(count, -1), drawn, address)
    for token in (0, 2, 3, 4):
        found = stats.ks_2samp(ours[drawn == token].numpy(), sure[ids == token].numpy()).pvalue
        assert found > ENOUGH
    assert stats.ks_2samp(ours[drawn == 0].numpy(), sure[ids == 2].numpy()).pvalue < FAR_OFF


@dataclass(frozen=True)
class Chance(Strategy):
    """Reveals where its uniform is below a half, and remembers nothing."""

    name = "chance"
    summary = "Reveal by its own uniforms."
    source = "this test"
    preserves_marginal = False
    reads = frozenset({"noise"})

    def plan(self, view: View) -> Plan:
        assert view.noise is not None
        return Plan((view.noise < 0.5).double(), view.t * 0)


def test_a_plan_has_uniforms_of_its_own_by_sample_step_and_position() -> None:
    shape: dict[str, Any] = {"steps": 4, "length": 12, "seed": 1}
    together = list(Session(Toy(), Chance(), batch=4, **shape))
    alone = list(Session(Toy(), Chance(), first=2, **shape))
    assert all(np.array_equal(a.tokens[2], b.tokens[0]) for a, b in zip(together[:4], alone[:4], strict=True))
    revealed = np.stack([frame.tokens != MASK for frame in together[:2]])
    assert 0.3 < revealed[0].mean() < 0.7
    assert 0.3 < revealed[1][~revealed[0]].mean() < 0.7
    assert len({tuple(row) for row in revealed[0].tolist()}) == 4


def test_what_is_remembered_of_the_network_is_of_the_last_step_that_read_it() -> None:
    @dataclass(frozen=True)
    class Resting(Watchful):
        """Looks at nothing in every other step."""

        name = "resting"

        def positions(self, view: View) -> Tensor:
            return super().positions(view) & ((view.t * 8).round() % 2 == 0)

        def plan(self, view: View) -> Plan:
            met.append((view.prediction, view.previous))
            return Plan((self.positions(view) & view.masked).double() * 0.25, view.t * 0, memory=view.memory)

    met: list[Any] = []
    model = Toy()
    frames = list(Session(model, Resting(), steps=8, length=12, seed=1, top_p=1.0))
    assert frames[-1].network_calls == model.encoded
    for (first, _), (_, idle), (third, later) in zip(met[::2], met[1::2], met[2::2], strict=False):
        for past in (idle, later):
            assert all(torch.equal(a.nan_to_num(9), b.nan_to_num(9)) for a, b in zip(first, past, strict=True))
        assert third.divergence.isfinite().any()


def test_network_calls_are_those_of_the_sequences_that_are_read() -> None:
    model = Toy()
    session = Session(model, Half(), steps=6, length=8, batch=3, seed=1)
    assert list(session)[-1].network_calls == model.encoded


def test_a_plan_that_reveals_what_it_does_not_read_is_refused() -> None:
    @dataclass(frozen=True)
    class Blind(Half):
        name = "blind"

        def plan(self, view: View) -> Plan:
            return Plan(view.t * 0 + 1, view.t * 0)

    with pytest.raises(StrategyError, match="reveals positions at which it does not read the prediction"):
        next(Session(Toy(), Blind(), steps=6, length=8))


def test_a_plan_that_edits_what_it_does_not_read_is_refused() -> None:
    @dataclass(frozen=True)
    class Careless(Editor):
        name = "careless"
        reads = frozenset({"masked"})

        def plan(self, view: View) -> Plan:
            return Plan(view.t * 0 + 0.5, view.t * 0, view.revealed.double())

    session = Session(Toy(), Careless(), steps=6, length=8, seed=1)
    with pytest.raises(StrategyError, match="edits positions at which it does not read the prediction: read committed"):
        list(session)


def test_remask_and_edit_beyond_one_are_clamped_and_counted() -> None:
    @dataclass(frozen=True)
    class Greedy(Editor):
        name = "greedy"

        def plan(self, view: View) -> Plan:
            return Plan(view.t * 0 + 1, view.t * 0 + 0.75, view.t * 0 + 0.5)

    session = Session(Toy(), Greedy(), steps=6, length=8, seed=1)
    next(session)
    frame = next(session)
    assert frame.excess == pytest.approx(0.25)
    assert frame.edit_plan is not None
    assert frame.edit_plan.max() == 0.25


@pytest.mark.parametrize("where", ["masked", "locked"])
def test_an_edit_of_what_is_not_revealed_is_clamped_and_breaks_a_law(where: str) -> None:
    @dataclass(frozen=True)
    class Astray(Editor):
        name = "astray"

        def plan(self, view: View) -> Plan:
            place = view.masked if where == "masked" else ~view.masked & ~view.revealed
            return Plan(1 - view.s / view.t, view.t * 0, place.double() * 0.5)

    frames = list(Session(Toy(), Astray(), steps=6, length=8, seed=1, prompt=[1, 2]))
    assert all((frame.tokens[0, :2] == [1, 2]).all() for frame in frames)
    assert not any(frame.count(Change.EDITED) for frame in frames)
    assert frames[1].excess == 0.5
    assert frames[1].edit_plan is not None
    assert not frames[1].edit_plan.any()
    _, broken = check_laws(frames[1], Claims(False, reads_of(Editor())), LawState(), (0, 8))
    assert [(one.law, one.formula) for one in broken if one.law == "range"] == [("range", EDIT_RANGE)]


def test_one_probability_of_an_edit_for_all_positions_is_of_those_that_are_revealed() -> None:
    @dataclass(frozen=True)
    class Even(Editor):
        name = "even"

        def plan(self, view: View) -> Plan:
            return Plan(1 - view.s / view.t, view.t * 0, view.t * 0 + 0.5)

    frames = list(Session(Toy(), Even(), steps=6, length=8, seed=1, prompt=[1, 2]))
    assert any(frame.count(Change.EDITED) for frame in frames)
    assert not any(frame.excess for frame in frames)


def same(a: Frame, b: Frame) -> bool:
    plans = a.edit_plan is b.edit_plan or np.array_equal(np.asarray(a.edit_plan), np.asarray(b.edit_plan))
    return plans and np.array_equal(a.tokens, b.tokens) and np.array_equal(a.change, b.change)


def test_edits_travel_in_messages_and_recordings(tmp_path: Path) -> None:
    session = Session(Toy(), Editor(), steps=8, length=12, batch=2, seed=1)
    start, sent = start_of(session), io.BytesIO()
    recorder, frames = Recorder.create(tmp_path / "run.remdm", header(start), start), list(session)
    assert any(frame.count(Change.EDITED) for frame in frames)
    for frame in frames:
        recorder.frame(0, frame)
        wire.write(sent, Stepped.of(0, frame))
    recorder.close()
    sent.seek(0)
    for event, frame in zip(wire.events(sent), frames, strict=True):
        assert isinstance(event, Stepped)
        assert same(event.frame(), frame)
    with closing(Recording.open(tmp_path / "run.remdm")) as recording:
        trace = recording.trace()
        # those of a strategy are not a person's
        assert trace.edits() == []
        for i, frame in enumerate(frames):
            found = trace.frame(i + 1)
            assert found is not None
            assert same(found, frame)


def test_an_edit_has_a_story_a_breakpoint_and_laws_that_hold() -> None:
    session = Session(Toy(), Editor(), steps=8, length=12, batch=4, seed=1)
    frames = list(session)
    claims, state = Claims(False, reads_of(Editor())), LawState()
    edge = (0, 12)
    for frame in frames:
        state, broken = check_laws(frame, claims, state, edge)
        assert not broken
    step, sample, position = np.argwhere(np.array([frame.change == Change.EDITED for frame in frames]))[0].tolist()
    moment = next(m for m in story(frames, sample, position, seed=1).moments if m.step == step + 1)
    was = int(frames[step - 1].tokens[sample, position])
    assert moment.change is Change.EDITED
    assert moment.chance == 0.5
    assert 0.1 <= moment.drawn < 0.6
    assert moment.why.startswith(f"was token {was}; .1 <= u = ")
    for text in ("any(change == EDITED)", "edited > 0", f"at {position}"):
        assert parse_condition(text).holds(frames[step], frames[step - 1]).any()


def test_more_edits_than_planned_break_a_law() -> None:
    session = Session(Toy(), Editor(), steps=4, length=64, batch=8, seed=1)
    *_, frame = (frame for frame in session if not frame.final)
    assert frame.count(Change.EDITED)
    claims = Claims(False, reads_of(Editor()))
    for plan in (None, np.full_like(frame.remask, 1e-6)):
        _, broken = check_laws(replace(frame, edit_plan=plan), claims, LawState(), (0, 64))
        assert "edits" in [violation.law for violation in broken]
