"""What a strategy reads of tokens that the network does not see: the slow way, in rows, a few at a time, in blocks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch

from engine.records import Settings
from engine.sampling import encoding, oracle
from engine.sampling.readout import Readout
from engine.sampling.second_calls import look_ahead, plan_by_draws
from engine.sampling.session import config_of
from engine.sampling.state import SamplerState
from engine.strategies import Plan, Prediction, Strategy, View
from tests.engine.toys import MASK, RowToy, TimedToy, Toy


@dataclass(frozen=True)
class Judge(Strategy):
    name = "judge"
    summary = "Look."
    source = "this test"
    preserves_marginal = False
    reads = frozenset({"verified", "drawn", "masked"})

    def plan(self, view: View) -> Plan:
        return Plan(view.t * 0, view.t * 0)


@dataclass(frozen=True)
class Every(Judge):
    name = "every"
    reads = frozenset({"masked", "spread", "ahead"})


def shown(strategy: Strategy) -> tuple[View, SamplerState]:
    noise = torch.Generator().manual_seed(8)
    tokens = torch.randint(0, MASK + 1, (3, 9), generator=noise)
    tokens[1] = MASK
    tokens[2, :] = 1
    held = torch.rand(3, 9, generator=noise, dtype=torch.float64)
    t = torch.tensor([[0.9], [0.5], [0.3]], dtype=torch.float64)
    masked = tokens == MASK
    view = View(t, t - 0.25, 1 - t, 1.25 - t, masked, ~masked, held)
    return view, SamplerState(tokens, held, torch.zeros_like(masked), [0, 1, 2])


@pytest.mark.parametrize("at_once", [1, 20, 1 << 12])
@pytest.mark.parametrize("model", [Toy(), RowToy(), TimedToy()], ids=["plain", "rows", "timed"])
def test_verified_predictions_are_those_of_the_network_with_each_token_masked(
    model: Toy, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding, "ROW_POSITIONS", at_once)
    (view, state), config = shown(Judge()), config_of(Judge(), Settings("judge", top_p=1.0))
    found = Readout(model, 6).predict(config, state, [1, 1, 1], view)
    got = found.prediction
    plain = oracle.left_out(model, state.tokens, config.settings, view.alpha_t).view(3, 9, -1)
    want = oracle.dense_prediction(model, Judge(), state.tokens, view, got.ids, plain, None)
    for name, a, b in zip(Prediction._fields, got, want, strict=True):
        torch.testing.assert_close(a, b, equal_nan=True, rtol=1e-9, atol=1e-12, msg=name)
    masks = view.masked.any(-1).long()
    assert found.calls.tolist() == (masks + view.revealed.sum(-1)).tolist()


def test_verified_and_plain_predictions_differ_where_tokens_stand_alone() -> None:
    model, (view, state) = Toy(), shown(Judge())
    settings = Settings("judge", top_p=1.0)
    apart = oracle.left_out(model, state.tokens, settings, view.alpha_t).view(3, 9, -1)
    plain = oracle.denoised(model, state.tokens, settings, view.alpha_t).view(3, 9, -1)
    differs = ((apart - plain).abs() > 1e-6).any(-1)
    assert differs.equal(view.revealed)


def test_in_blocks_the_mask_in_place_of_a_token_counts_as_noise() -> None:
    """The noise level counts the masked position too: 2 of 4, not 1 of 4."""
    levels = []

    class Told(TimedToy):
        def encode(self, tokens: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
            levels.extend(t.tolist())
            return super().encode(tokens, t)

    tokens = torch.tensor([[1, MASK, 2, 3]])
    masked = tokens == MASK
    active = torch.tensor([[True, True, True, False]])
    held, t = torch.ones(1, 4, dtype=torch.float64), torch.full((1, 1), 0.5, dtype=torch.float64)
    view = View(t, t, 1 - t, 1 - t, masked, active & ~masked, held)
    state = SamplerState(tokens, held, torch.zeros_like(masked), [0], active)
    Readout(Told(), 6).predict(config_of(Judge(), Settings("judge")), state, [0], view)
    assert levels == [0.25, 0.5, 0.5]


@pytest.mark.parametrize("at_once", [1, 20, 1 << 12])
def test_a_look_ahead_is_the_mean_entropy_of_what_is_left(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "ROW_POSITIONS", at_once)
    model, (view, state) = TimedToy(), shown(Every())
    reader, config = Readout(model, 6), config_of(Every(), Settings("every", top_p=1.0))
    view = replace(view, prediction=reader.predict(config, state, [1, 1, 1], view).prediction)
    got, calls = look_ahead(reader, Every(), config.settings, state, view)
    want = oracle.looked_ahead(model, Every(), state.tokens, view)
    torch.testing.assert_close(got, want, equal_nan=True, rtol=1e-9, atol=1e-12)
    assert calls.tolist() == view.masked.sum(-1).tolist()


@dataclass(frozen=True)
class Planned(Judge):
    name = "planned"
    reads = frozenset({"committed", "drawn", "planned"})


@pytest.mark.parametrize("model", [Toy(), RowToy(), TimedToy()], ids=["plain", "rows", "timed"])
def test_what_is_planned_is_the_prediction_of_all_draws_in_place(model: Toy) -> None:
    (view, state), config = shown(Planned()), config_of(Planned(), Settings("planned", top_p=1.0))
    reader = Readout(model, 6)
    view = replace(view, tokens=state.tokens, prediction=reader.predict(config, state, [1, 1, 1], view).prediction)
    got, calls = plan_by_draws(reader, config.settings, state, view)
    for name, a, b in zip(Prediction._fields, got, oracle.planned_by_draws(model, view), strict=True):
        torch.testing.assert_close(a, b, equal_nan=True, rtol=1e-9, atol=1e-12, msg=name)
    assert calls.tolist() == [1, 0, 1]
    assert torch.isnan(got.confidence).equal(view.masked)


def test_in_blocks_draws_stand_in_the_block_alone() -> None:
    tokens = torch.tensor([[1, MASK, 2, MASK]])
    masked, active = tokens == MASK, torch.tensor([[False, True, True, False]])
    held, t = torch.ones(1, 4, dtype=torch.float64), torch.full((1, 1), 0.5, dtype=torch.float64)
    state = SamplerState(tokens, held, torch.zeros_like(masked), [0], active)
    ids = torch.tensor([[-1, 3, 4, -1]])
    seen = Prediction.blank(held)._replace(ids=ids)
    view = View(t, t, 1 - t, 1 - t, masked & active, active & ~masked, held, seen)
    reader = Readout(Toy(), 6)
    got, _ = plan_by_draws(reader, Settings("planned", top_p=1.0), state, view)
    p = oracle.denoised(Toy(), torch.tensor([[1, 3, 4, MASK]]), Settings("planned", top_p=1.0), 1 - t)
    assert got.confidence[0, 2] == pytest.approx(p[2, 4].item(), rel=1e-9)
    assert got.ids.tolist() == [[-1, -1, 4, -1]]
