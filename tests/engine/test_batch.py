"""Many samples at once: the samples and the costs of a Session, at any width."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch

import engine
from engine.sampling.batch import GPU_WIDTH, WIDTH, Sample, samples, usual_width
from engine.sampling.final import keeps_revealed
from engine.sampling.session import Session
from engine.strategies import REGISTRY, Plan, Strategy, View, make_strategy
from tests.engine.toys import MASK, RowToy, Toy

SHAPE: dict[str, Any] = {"steps": 10, "length": 9, "seed": 3}


def alone(strategy: Strategy, number: int, **settings: Any) -> Sample:
    """A sample as a Session of its own draws it."""
    frames = list(Session(Toy(), strategy, first=number, **SHAPE, **settings))
    return Sample(number, torch.from_numpy(frames[-1].tokens[0]).long(), frames[-1].network_calls)


def check(strategy: Strategy, *widths: int, count: int = 6, **settings: Any) -> None:
    expected = [alone(strategy, number, **settings) for number in range(count)]
    for width in widths:
        got = {
            done.number: done for done in samples(RowToy(), strategy, range(count), width=width, **SHAPE, **settings)
        }
        assert sorted(got) == list(range(count))
        for number, done in got.items():
            assert torch.equal(done.tokens, expected[number].tokens)
            assert done.network_calls == expected[number].network_calls


@pytest.mark.parametrize("name", REGISTRY)
def test_a_sample_and_its_cost_are_those_of_a_session(name: str) -> None:
    # some wait for others, and all go together; one at a time they are drawn in `test_blocks` and `test_windows`
    check(make_strategy(name), 2, 5, count=3)


def test_prompt_and_settings_reach_the_samples() -> None:
    check(make_strategy("remdm-cap", eta=0.1), 4, prompt=[2, 0], top_p=0.5, temperature=0.4, nucleus="inclusive")


@dataclass(frozen=True)
class Eager(Strategy):
    """Looks at the candidates and reveals those it is sure of, so that some sequences are done before others."""

    name = "eager"
    reads = "candidates"

    def plan(self, view: View) -> Plan:
        assert view.candidates is not None
        sure = (view.candidates.confidence > 0.3) | (view.s == 0)
        return Plan(sure.double(), view.alpha_t * 0)


def test_a_sequence_that_is_done_costs_nothing_while_others_look_at_their_candidates() -> None:
    costs = {alone(Eager(), number).network_calls for number in range(6)}
    assert len(costs) > 1
    check(Eager(), 4)


def test_the_cost_counted_is_the_cost_incurred() -> None:
    model = Toy()
    counted = sum(done.network_calls for done in samples(model, make_strategy("remdm-cap"), range(5), **SHAPE))
    assert counted == model.encoded


def test_any_numbers_may_be_requested() -> None:
    strategy = make_strategy("mdlm")
    got = {done.number: done.tokens for done in samples(Toy(), strategy, [7, 2], width=1, **SHAPE)}
    assert list(got) == [7, 2]
    assert torch.equal(got[7], alone(strategy, 7).tokens)


def test_samples_arrive_before_all_are_finished() -> None:
    model = Toy()
    stream = samples(model, make_strategy("mdlm"), range(50), width=2, **SHAPE)
    next(stream)
    assert model.encoded < 50


@pytest.mark.parametrize("name", REGISTRY)
def test_samples_are_long_on_the_cpu_and_hold_no_mask(name: str) -> None:
    ids = engine.sample(Toy(), make_strategy(name), steps=5, length=7, count=3, top_p=0.9)
    assert ids.shape == (3, 7)
    assert ids.dtype == torch.long
    assert ids.device.type == "cpu"
    assert ((ids >= 0) & (ids < MASK)).all()


def test_no_samples_are_no_samples() -> None:
    assert engine.sample(Toy(), make_strategy("mdlm"), steps=5, length=7, count=0).shape == (0, 7)


def test_a_gpu_is_given_more_samples_at_once_than_a_processor() -> None:
    model = Toy()
    assert usual_width(model) == WIDTH
    model.device = "cuda:0"
    assert usual_width(model) == GPU_WIDTH > WIDTH


def test_a_width_of_none_is_refused() -> None:
    with pytest.raises(ValueError, match="width must be at least 1, not 0"):
        engine.sample(Toy(), make_strategy("mdlm"), width=0)


def test_a_bad_setting_is_refused_before_anything_is_drawn() -> None:
    model = Toy()
    with pytest.raises(ValueError, match="top_p must lie in"):
        engine.sample(model, make_strategy("mdlm"), top_p=2)
    assert model.encoded == 0


def test_samples_with_prompts_of_their_own_are_those_of_a_session() -> None:
    strategy, prompts = make_strategy("remdm-cap", eta=0.2), {5: [2, MASK], 77: [1, 1], 1 << 62: [MASK, 3]}
    for width in (1, 3):
        for done in samples(RowToy(), strategy, list(prompts), prompts=prompts, width=width, **SHAPE):
            expected = alone(strategy, done.number, prompt=prompts[done.number])
            assert torch.equal(done.tokens, expected.tokens)
            assert done.network_calls == expected.network_calls
    with pytest.raises(ValueError, match="one length"):
        list(samples(RowToy(), strategy, [0, 1], prompts={0: [1], 1: [1, 2]}, **SHAPE))
    with pytest.raises(ValueError, match="same positions masked"):
        list(samples(RowToy(), strategy, [0, 1], prompts={0: [1, MASK], 1: [1, 2]}, block_length=4, **SHAPE))


@pytest.mark.parametrize("name", ["mdlm", "remdm-loop", "low-confidence"])
@pytest.mark.parametrize("block_length", [None, 4])
def test_each_step_of_each_sample_is_reported(name: str, block_length: int | None) -> None:
    strategy = make_strategy(name)
    seen: dict[int, list[torch.Tensor]] = {0: [], 1: [], 2: []}
    kept = {"block_length": block_length, **SHAPE}
    for _ in samples(RowToy(), strategy, list(seen), width=2, on_step=lambda n, ids: seen[n].append(ids), **kept):
        pass
    for number, states in seen.items():
        frames = list(Session(Toy(), strategy, first=number, **kept))
        assert [ids.tolist() for ids in states] == [frame.tokens[0].tolist() for frame in frames]


@pytest.mark.parametrize("block_length", [None, 3])
@pytest.mark.parametrize(
    "name", ["mdlm", "left-to-right", "low-confidence", "klass", "remdm-cap", "llada21-edit", "wino"]
)
def test_a_sample_that_ends_early_is_the_beginning_of_the_whole_one(name: str, block_length: int | None) -> None:
    def drawn(width: int, **more: Any) -> dict[int, Sample]:
        found = samples(
            RowToy(), make_strategy(name), range(6), width=width, block_length=block_length, **SHAPE, **more
        )  # fmt: skip
        return {done.number: done for done in found}

    whole, some = drawn(6), drawn(3, has_ended=lambda number, tokens: bool((tokens == 1).any()))
    for number, done in some.items():
        assert torch.equal(done.tokens, whole[number].tokens[: len(done.tokens)])
        assert done.network_calls <= whole[number].network_calls
        assert len(done.tokens) == SHAPE["length"] or 1 in done.tokens
    can_end = keeps_revealed(make_strategy(name)) or block_length is not None
    assert any(len(done.tokens) < SHAPE["length"] for done in some.values()) == can_end
    assert sorted(some) == sorted(whole)
    alone = drawn(1, has_ended=lambda number, tokens: bool((tokens == 1).any()))
    assert all(torch.equal(alone[number].tokens, done.tokens) for number, done in some.items())
