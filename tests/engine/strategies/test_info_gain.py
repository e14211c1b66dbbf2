"""Info-Gain: which positions are looked ahead from, which is revealed, and what that costs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from engine.records import Change
from engine.sampling.session import Session
from engine.strategies import View, make_strategy
from tests.engine.stats import ENOUGH, FAR_OFF, same_distribution
from tests.engine.strategies.toys import MASK, dense, fast, view, where
from tests.engine.toys import RowToy, TimedToy
from tests.engine.zoo import MASK as ZOO_MASK
from tests.engine.zoo import ZooToy

NAN = float("nan")


def looked(seen: View, *ahead: float) -> View:
    return replace(seen, ahead=torch.tensor([ahead], dtype=torch.float64))


def test_the_candidate_that_leaves_the_least_entropy_is_revealed() -> None:
    """Own entropy and what is left: .9 + .1 = 1, .2 + .7 = .9; of the latter alone the first has less."""
    seen: dict[str, Any] = {"confidence": [NAN, 0.5, 0.6, 0.7], "entropy": [NAN, 0.9, 0.2, 0.1]}
    for variant, chosen in (("info-gain", [2]), ("lookum", [1])):
        strategy = make_strategy("info-gain", variant=variant)
        assert (
            where(strategy.plan(looked(view(strategy, [0, MASK, MASK, MASK], **seen), NAN, 0.1, 0.7, NAN)).unmask)
            == chosen
        )


def test_candidates_are_the_surest_and_those_that_chance_draws() -> None:
    """p / .2 is 2.5, 3, 3.5 and .5; Gumbel noise of a uniform .99 is 4.6, of .5 it is .37."""
    seen: dict[str, Any] = {"confidence": [0.5, 0.6, 0.7, 0.1], "entropy": [1.0] * 4}
    first, last, even = [0.99, 0.5, 0.5, 0.5], [0.5, 0.5, 0.5, 0.99], [0.5] * 4
    for draws, chosen in (
        ([even], []),  # the surest once more, so that there is nothing to compare
        ([first], [0, 2]),
        ([last, last], [2, 3]),
        ([first, last, even], [0, 2, 3]),
    ):
        strategy = make_strategy("info-gain", tries=1 + len(draws))
        noise: Any = [list(numbers) for numbers in zip(*draws, strict=True)]
        assert where(strategy.candidates(view(strategy, [MASK] * 4, noise=noise, **seen)).double()) == chosen
    for knobs in ({"position_temperature": 0}, {"tries": 1}):
        greedy = make_strategy("info-gain", **knobs)
        assert where(greedy.candidates(view(greedy, [MASK] * 4, noise=first, **seen)).double()) == []


def test_candidates_are_drawn_with_replacement() -> None:
    count, draws, made = 20_000, 2, make_strategy("info-gain", tries=3)
    noise = torch.Generator().manual_seed(3)
    one = view(made, [MASK] * 4, confidence=[0.5, 0.6, 0.7, 0.1], entropy=[1.0] * 4)
    sure = one.prediction.confidence.expand(count, -1) if one.prediction else torch.zeros(0)
    many = replace(
        one, masked=one.masked.expand(count, -1), revealed=one.revealed.expand(count, -1),
        prediction=one.prediction and one.prediction._replace(confidence=sure),
        noise=torch.rand(count, 4, draws, generator=noise, dtype=torch.float64),
    )  # fmt: skip
    bits = torch.tensor([1, 2, 4, 8])
    ours = (made.candidates(many) * bits).sum(-1).numpy()

    def theirs(replacement: bool) -> Any:
        drawn = torch.softmax(sure / 0.2, -1).multinomial(draws, replacement, generator=noise)
        chosen = torch.zeros(count, 4, dtype=torch.bool).scatter(1, drawn, True)
        chosen[:, 2] = True
        return (chosen * bits).sum(-1).masked_fill(chosen.sum(-1) == 1, 0).numpy()

    assert same_distribution(ours, theirs(True)) > ENOUGH
    assert same_distribution(ours, theirs(False)) < FAR_OFF


def test_nothing_is_compared_where_one_mask_is_left_or_all_are_sure() -> None:
    strategy = make_strategy("info-gain")
    one = looked(view(strategy, [0, MASK, 1], confidence=[NAN, 0.2, NAN], entropy=[NAN, 1.0, NAN]), NAN, NAN, NAN)
    sure = view(strategy, [0, MASK, MASK], confidence=[NAN, 0.8, 0.9], entropy=[NAN, 0.1, 0.1])
    sure = looked(sure, NAN, NAN, NAN)
    assert where(strategy.candidates(one).double()) == where(strategy.candidates(sure).double()) == []
    assert where(strategy.plan(one).unmask) == [1]
    assert where(strategy.plan(sure).unmask) == [1, 2]


def test_a_whole_run_is_that_of_the_formula_when_every_mask_is_a_candidate() -> None:
    model, length = ZooToy(), 8

    def entropies(tokens: list[int]) -> tuple[list[int], torch.Tensor, torch.Tensor]:
        logits = model.encode(torch.tensor([tokens]), torch.zeros(1))[0].double()
        logits[:, ZOO_MASK] = -torch.inf
        p = torch.softmax(logits, -1)
        return p.argmax(-1).tolist(), torch.special.entr(p).sum(-1), p.amax(-1)

    tokens, want = [ZOO_MASK] * length, []
    while masks := [i for i in range(length) if tokens[i] == ZOO_MASK]:
        ids, own, sure = entropies(tokens)
        costs = {}
        for i in masks:
            after = [*tokens[:i], ids[i], *tokens[i + 1 :]]
            left = [j for j in masks if j != i]
            costs[i] = float(own[i]) + (float(entropies(after)[1][left].mean()) if left else 0.0)
        for i in masks if bool((sure[masks] >= 0.95).all()) else [min(masks, key=lambda i: costs[i])]:
            tokens[i] = ids[i]
        want.append(list(tokens))
    # of so many draws at so high a temperature one hits every mask
    strategy = make_strategy("info-gain", tries=256, position_temperature=10, threshold=0.95)
    frames = list(Session(ZooToy(), strategy, steps=length, length=length, temperature=0.0))
    assert [frame.tokens[0].tolist() for frame in frames[: len(want)]] == want


@pytest.mark.parametrize("model", [RowToy, TimedToy])
@pytest.mark.parametrize("blocks", [None, 4])
def test_every_candidate_costs_a_call(model: Any, blocks: int | None) -> None:
    toy = model()
    strategy = make_strategy("info-gain", tries=3, threshold=1)
    frames = list(Session(toy, strategy, steps=12, length=8, batch=2, seed=2, block_length=blocks))
    assert frames[-1].network_calls == toy.encoded
    size = blocks or 8
    # at most three candidates a step, fewer where draws hit the same position, and none for the last mask
    most = 2 * (8 // size) * sum(1 + (min(3, left) if left > 1 else 0) for left in range(1, size + 1))
    assert 2 * 8 < frames[-1].network_calls <= most
    assert [frame.count(Change.REVEALED, 0) for frame in frames if frame.change[0].max() == Change.REVEALED] == [1] * 8
    assert not np.isin(MASK, frames[-1].tokens)


def test_it_steps_as_the_dense_update() -> None:
    strategy = make_strategy("info-gain", tries=2)
    assert same_distribution(fast(strategy), dense(strategy)) > ENOUGH


def test_another_number_of_candidates_is_distinguished() -> None:
    ours, theirs = (make_strategy("info-gain", tries=tries) for tries in (2, 1))
    assert same_distribution(fast(ours), dense(theirs)) < FAR_OFF
