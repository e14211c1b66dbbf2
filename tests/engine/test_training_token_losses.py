"""What is computed of logits row by row: compiled it is another formula, which must be the same function."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from engine.models.dit import DITConfig, vocabulary_logits, widened
from engine.training.token_losses import ByRow, RowLoss, cross_entropy, score_rows, token_and_mask

ROWS, WIDTH, VOCABULARY, MASK = 7, 5, 11, 10


def gradients(loss: Any, head: nn.Linear, *more: object) -> list[Tensor]:
    """What a loss gives for fixed rows, and the gradients of a weighted sum of it."""
    noise = torch.Generator().manual_seed(4)
    rows = torch.randn(ROWS, WIDTH, generator=noise).requires_grad_()
    tokens = torch.randint(MASK, (ROWS,), generator=noise)
    found = loss(head, rows, tokens, MASK, *more)
    weights = torch.randn(found.shape, generator=noise)
    head.zero_grad()
    (found * weights).sum().backward()
    return [found.detach(), rows.grad, head.weight.grad, head.bias.grad]  # type: ignore[list-item]


@pytest.fixture
def head() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(WIDTH, VOCABULARY)


@pytest.mark.parametrize(
    ("loss", "more"),
    [(cross_entropy, ()), (score_rows, ()), (token_and_mask, (False,)), (token_and_mask, (True,))],
    ids=["cross-entropy", "score entropy", "shares", "shares without the mask"],
)
def test_compiled_it_is_the_same_function(loss: RowLoss, more: tuple[object, ...], head: nn.Linear) -> None:
    plain = gradients(ByRow(loss), head, *more)
    torch._dynamo.reset()
    made = ByRow(loss)
    made.compile(backend="eager", fullgraph=True)  # traced as a compiler does, run without one
    for found, expected in zip(gradients(made, head, *more), plain, strict=True):
        torch.testing.assert_close(found, expected)


def test_the_mask_has_no_share_and_learns_nothing_of_its_own(head: nn.Linear) -> None:
    assert gradients(cross_entropy, head)[3][MASK] == 0
    assert gradients(token_and_mask, head, False)[3][MASK] != 0


@pytest.mark.parametrize("more", [1, 53])
def test_a_wider_product_gives_the_same_logits_and_gradients(more: int, head: nn.Linear) -> None:
    x = torch.randn(3, 4, WIDTH)
    out = []
    for logits in (head(x), widened(head, x, more)):
        head.zero_grad()
        logits.square().sum().backward()
        out.append((logits.detach(), head.weight.grad.clone(), head.bias.grad.clone()))  # type: ignore[union-attr]
    for expected, found in zip(*out, strict=True):
        torch.testing.assert_close(found, expected)


def test_a_processor_multiplies_no_more_than_there_is(head: nn.Linear) -> None:
    assert DITConfig().vocab_size % 64
    assert torch.equal(vocabulary_logits(head, torch.ones(2, WIDTH)), head(torch.ones(2, WIDTH)))
