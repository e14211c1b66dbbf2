"""Credit decoding: by hand, and against its loop written out over the whole vocabulary."""

from __future__ import annotations

import pytest
import torch

from engine.records import Settings
from engine.sampling import oracle
from engine.sampling.readout import Readout
from engine.sampling.session import config_of
from engine.sampling.state import SamplerState
from engine.strategies import View, make_strategy
from tests.engine.strategies.views import moving, spelled, view
from tests.engine.toys import MASK as TOY_MASK
from tests.engine.toys import RowToy
from tests.engine.zoo import MASK, ZooToy, states
from tests.engine.zoo import spelled as state_of


def memory(ids: list[list[int]], credit: list[list[float]]) -> dict[str, torch.Tensor]:
    return {"ids": torch.tensor([ids]), "credit": torch.tensor([credit], dtype=torch.float64)}


def test_credit_decays_and_grows_at_the_most_probable_token() -> None:
    """At power .5: a known token, a new one in an empty place, and a new one in that of the least."""
    made = make_strategy("credit", power=0.5, decay=0.5, tokens=2)
    before = memory([[3, 4], [3, -1], [3, 4], [5, 6]], [[1.0, 0.6], [1.0, 0.0], [1.0, 0.6], [1.0, 1.0]])
    seen = view(
        made, "___1", memory=before, top=[4, 7, 8, 9], top_p=[0.64, 0.25, 0.81, 1.0], confidence=[0.5, 0.4, 0.3, 1.0]
    )
    plan = made.plan(seen)
    assert spelled(plan, "___1") == "+---"
    assert plan.memory is not None
    assert plan.memory["ids"][0].tolist() == [[3, 4], [3, 7], [3, 8], [5, 6]]
    assert plan.memory["credit"][0, :3].tolist() == [
        pytest.approx([0.5, 1.1]),
        pytest.approx([0.5, 0.5]),
        pytest.approx([0.5, 0.9]),
    ]
    # what is not masked has no part in it
    assert plan.memory["credit"][0, 3].tolist() == [1.0, 1.0]


def test_the_logits_gain_by_the_logarithm_of_the_credit() -> None:
    made = make_strategy("credit", power=0.5, decay=0.5, tokens=2)
    before = {"ids": torch.tensor([[3, -1]]), "credit": torch.tensor([[1.0, 0.0]], dtype=torch.float64)}
    ids, added = made.tilt(before, torch.tensor([7]), torch.tensor([0.25], dtype=torch.float64))
    assert ids.tolist() == [[3, 7]]
    # .7 log 1.5 each
    assert added[0].tolist() == pytest.approx([0.283826, 0.283826], abs=1e-6)


def written_out(
    prompt: list[int], length: int, block: int, threshold: float, weight: float, power: float, decay: float
) -> tuple[list[str], int]:
    """Return the states of the published loop, and how often credit chose another token than the network."""
    model, tokens = ZooToy(), torch.full((1, length), MASK)
    tokens[0, : len(prompt)] = torch.tensor(prompt)
    found, changed = [state_of(tokens[0])], 0
    for first in range(len(prompt), length, block):
        credit = torch.zeros(length, 12, dtype=torch.float64)
        inside = (torch.arange(length) >= first) & (torch.arange(length) < first + block)
        while (masked := (tokens[0] == MASK) & inside).any():
            logits = model.project(model.encode(tokens, torch.zeros(1)))[0].double()
            p, top = torch.softmax(logits, -1).max(-1)
            credit *= decay
            credit[torch.arange(length), top] += p**power * masked
            sure, ids = torch.softmax(logits + weight * (1 + credit).log(), -1).max(-1)
            sure = sure.masked_fill(~masked, -1).float()
            ready = masked & (sure >= min(threshold, float(sure.max()) - 1e-5))
            changed += int((ids != top)[ready].sum())
            tokens[0, ready] = ids[ready]
            found.append(state_of(tokens[0]))
    return found, changed


@pytest.mark.parametrize("block", [16, 8, 4])
@pytest.mark.parametrize(
    ("threshold", "weight", "power", "decay"),
    [(0.9, 0.7, 0.2, 0.8), (0.99, 3.0, 0.2, 0.9), (0.6, 1.5, 1.0, 1.0), (1.0, 4.0, 0.5, 1.0)],
)
def test_it_steps_through_the_states_of_the_published_loop(
    block: int, threshold: float, weight: float, power: float, decay: float
) -> None:
    theirs, changed = written_out([3, 7], 18, block, threshold, weight, power, decay)
    made = make_strategy("credit", threshold=threshold, weight=weight, power=power, decay=decay)
    assert moving(states(made, steps=16, length=18, prompt=[3, 7], block_length=block)) == theirs
    if (weight, block) == (4.0, 16):
        assert changed


@pytest.mark.parametrize("temperature", [1.0, 0.5, 0.0])
def test_a_tilted_prediction_is_what_the_whole_distribution_says(temperature: float) -> None:
    model, noise, made = RowToy(), torch.Generator().manual_seed(8), make_strategy("credit", tokens=3)
    tokens = torch.randint(0, TOY_MASK + 1, (3, 9), generator=noise)
    masked = tokens == TOY_MASK
    held = torch.rand(3, 9, generator=noise, dtype=torch.float64)
    t = torch.full((3, 1), 0.5, dtype=torch.float64)
    own = {
        "ids": torch.rand(3, 9, TOY_MASK, generator=noise).argsort(-1)[..., :3],
        "credit": torch.rand(3, 9, 3, generator=noise, dtype=torch.float64) * 9,
    }
    seen = View(t, t - 0.25, 1 - t, 1.25 - t, masked, ~masked, held, memory=own)
    state = SamplerState(tokens, held, torch.zeros_like(masked), [0, 1, 2])
    config = config_of(made, Settings("credit", top_p=1.0, temperature=temperature))
    got = Readout(model, 6).predict(config, state, [1, 1, 1], seen).prediction
    plain = oracle.denoised(model, tokens, Settings("credit", top_p=1.0), 1 - t).view(3, 9, -1)
    want = oracle.dense_prediction(model, made, tokens, seen, got.ids, plain, None)
    for name in ("confidence", "top", "top_p", "entropy"):
        torch.testing.assert_close(getattr(got, name), getattr(want, name), equal_nan=True, msg=name)
    own["credit"].zero_()
    without = oracle.dense_prediction(model, make_strategy("credit", weight=0), tokens, seen, got.ids, plain, None)
    assert not torch.allclose(got.confidence[masked], without.confidence[masked])
