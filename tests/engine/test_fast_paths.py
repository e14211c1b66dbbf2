"""Every shortcut of the folded network equals the plain computation."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from engine import make_strategy, sample
from engine.bench import NetworkShape, half_masked, random_model
from engine.models import folded, linear
from engine.models.chunking import portion
from engine.models.folded import FoldedDIT
from engine.sampling import kernel, readout

SHAPE = NetworkShape(width=64, blocks=3, heads=4, vocab=97, length=48)
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 0.15}


@pytest.fixture(params=list(TOLERANCE), ids=str)
def dtype(request: pytest.FixtureRequest) -> torch.dtype:
    return request.param


def _close(got: Tensor, expected: Tensor, dtype: torch.dtype) -> None:
    torch.testing.assert_close(got.double(), expected.double(), atol=TOLERANCE[dtype], rtol=0.05)


@torch.no_grad()
@pytest.mark.parametrize("gelu", [False, True])
@pytest.mark.parametrize("rows", [1, 7, 300])
def test_packed_product_equals_plain(dtype: torch.dtype, gelu: bool, rows: int) -> None:
    if not linear.can_pack(dtype):
        pytest.skip("no packed product on this processor")
    x, weight, bias = (torch.randn(s).to(dtype) for s in ((rows, 64), (96, 64), (96,)))
    weight = weight / 8
    _close(linear.packed(weight, bias, gelu)(x), linear.plain_linear(weight, bias, gelu)(x), dtype)
    _close(linear.packed(weight, None, gelu)(x), linear.plain_linear(weight, None, gelu)(x), dtype)


@torch.no_grad()
def test_folded_equals_unfolded(dtype: torch.dtype) -> None:
    model = random_model(SHAPE, 0)
    tokens, t = half_masked(SHAPE, 1), torch.ones(1)
    fast = FoldedDIT(model, dtype)
    expected = model.project(model.encode(tokens, t)[0])
    _close(fast.project(fast.encode(tokens, t)[0]), expected, dtype)


@torch.no_grad()
@pytest.mark.parametrize("batch", [1, 3])
def test_chosen_rows_equal_all_rows(dtype: torch.dtype, batch: int) -> None:
    fast = FoldedDIT(random_model(SHAPE, 0), dtype)
    tokens = torch.cat([half_masked(SHAPE, seed) for seed in range(batch)])
    where = torch.rand(tokens.shape, generator=torch.Generator().manual_seed(2)) < 0.2
    if batch > 1:
        where[1] = False  # a sequence that asks nothing
    t = torch.ones(batch)
    _close(fast.encode_rows(tokens, t, where), fast.encode(tokens, t)[where], dtype)


@torch.no_grad()
def test_plain_products_give_the_same_network(monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype) -> None:
    model, tokens, t = random_model(SHAPE, 0), half_masked(SHAPE, 1), torch.ones(1)
    fast = FoldedDIT(model, dtype).encode(tokens, t)
    monkeypatch.setattr(linear, "can_pack", lambda dtype: False)
    _close(fast, FoldedDIT(model, dtype).encode(tokens, t), dtype)


@torch.no_grad()
def test_mlp_in_chunks_equals_mlp_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    fast, tokens, t = FoldedDIT(random_model(SHAPE, 0)), half_masked(SHAPE, 1), torch.ones(1)
    whole = fast.encode(tokens, t)
    monkeypatch.setattr(folded, "MLP_ROWS", 7)
    torch.testing.assert_close(fast.encode(tokens, t), whole, atol=1e-5, rtol=1e-5)


def test_tokens_drawn_a_few_at_a_time_are_those_drawn_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model, strategy = FoldedDIT(random_model(SHAPE, 0)), make_strategy("remdm-cap", eta=0.1)
    once = sample(model, strategy, steps=6, length=12, count=3)
    monkeypatch.setattr(readout, "HEAD_ROWS", 3)
    monkeypatch.setattr(readout, "DRAW_CELLS", 2 * model.vocab_size)
    assert torch.equal(sample(model, strategy, steps=6, length=12, count=3), once)


def test_only_a_processor_is_given_what_its_cache_holds() -> None:
    assert (portion(8, "cpu"), portion(8, torch.device("cpu"))) == (8, 8)
    assert portion(8, "cuda:0") == portion(8, torch.device("cuda")) > 8


@pytest.mark.parametrize("nucleus", list(kernel.NUCLEI))
@pytest.mark.parametrize("top_p", [0.05, 0.5, 0.9, 0.999])
def test_nucleus_from_the_top_equals_the_sorted_one_with_ties(nucleus: str, top_p: float) -> None:
    coarse = torch.randint(0, 4, (40, 600), generator=torch.Generator().manual_seed(0)).double()
    p = torch.cat((coarse, torch.rand(40, 600, dtype=torch.float64) ** 8))
    p /= p.sum(-1, keepdim=True)
    torch.testing.assert_close(
        kernel.nucleus_top(p, top_p, nucleus), kernel.nucleus_sorted(p.clone(), top_p, nucleus), atol=1e-12, rtol=1e-9
    )


def test_probabilities_leave_the_logits_alone() -> None:
    logits = torch.zeros(2, 5, dtype=torch.float64)
    kernel.probabilities(logits, mask_id=4, temperature=0.5)
    assert (logits == 0).all()
