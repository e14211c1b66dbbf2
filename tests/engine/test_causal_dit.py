"""The autoregressive network, and that what it remembers of earlier calls never shows."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from engine.models.causal_dit import CachedCausal, CausalDIT
from engine.models.dit import DITConfig
from engine.models.protocol import Denoiser, RowDenoiser
from tests.engine import plain_dit

VOCAB, LENGTH, BOS = 9, 6, 7
CONFIG = DITConfig(vocab_size=VOCAB, hidden_size=12, n_blocks=2, n_heads=2, length=LENGTH, mask_id=8)
T = torch.zeros(1)


def network(config: DITConfig = CONFIG) -> CausalDIT:
    noise = torch.Generator().manual_seed(6)
    model = CausalDIT(config)
    for name, p in model.named_parameters():
        p.data = torch.randn(p.shape, generator=noise) * 0.4 + (1.0 if "norm" in name else 0.0)
    return model.eval().requires_grad_(False)


MODEL = network()


def canvas(rows: int = 3, seed: int = 0) -> Tensor:
    return torch.randint(VOCAB, (rows, LENGTH), generator=torch.Generator().manual_seed(seed))


def test_the_logits_are_those_of_the_plain_implementation() -> None:
    weights = {name: p.double().numpy() for name, p in MODEL.state_dict().items()}
    tokens = canvas()
    got = MODEL(tokens)
    for row, ids in zip(got, tokens.tolist(), strict=True):
        expected = torch.from_numpy(plain_dit.logits(weights, ids, CONFIG.n_heads, None, causal=True))
        assert expected.std() > 0.3
        torch.testing.assert_close(row.double(), expected, atol=1e-4, rtol=0)


def test_the_row_of_a_position_predicts_it_from_what_is_to_its_left() -> None:
    tokens = canvas()
    fast = CachedCausal(MODEL, BOS)
    shifted = torch.cat((torch.full((3, 1), BOS), tokens[:, :-1]), 1)
    torch.testing.assert_close(fast.project(fast.encode(tokens, T)), MODEL(shifted), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("position", range(LENGTH))
def test_nothing_at_a_position_or_to_its_right_counts(position: int) -> None:
    fast, tokens = CachedCausal(MODEL, BOS), canvas(1)
    other = tokens.clone()
    other[:, position:] = (other[:, position:] + 1) % VOCAB
    ours, theirs = fast.encode(tokens, T)[0], fast.encode(other, T)[0]
    torch.testing.assert_close(ours[: position + 1], theirs[: position + 1])
    if position + 1 < LENGTH:
        assert not torch.allclose(ours[position + 1 :], theirs[position + 1 :], atol=1e-3)


POOL = [[0, 0, 0, 0, 0, 0], [0, 0, 0, 1, 0, 0], [0, 0, 0, 1, 2, 0], [0, 1, 0, 0, 0, 0], [8, 8, 8, 8, 8, 8]]
"""Canvases that share prefixes of several lengths."""
calls = st.lists(
    st.tuples(
        st.lists(st.sampled_from(POOL), min_size=1, max_size=3),
        st.sampled_from([LENGTH, LENGTH, LENGTH - 2]),
        st.lists(st.integers(0, 3 * LENGTH - 1), max_size=2),
    ),
    min_size=2,
    max_size=8,
)
"""The batch, the canvas's length and the requested cells of each call."""


@settings(max_examples=200)
@given(calls)
def test_what_is_remembered_gives_what_a_fresh_pass_gives(made: list[tuple[list[list[int]], int, list[int]]]) -> None:
    """Whatever was asked before: other rows, other prompts, other batches, shorter canvases, a rewind."""
    kept = CachedCausal(MODEL, BOS)
    for rows, length, cells in made:
        tokens = torch.tensor(rows)[:, :length]
        where = torch.zeros(tokens.shape, dtype=torch.bool)
        where.view(-1)[[cell % where.numel() for cell in cells]] = True
        torch.testing.assert_close(
            kept.encode_rows(tokens, T, where), kept.encode(tokens, T)[where], atol=1e-5, rtol=1e-5
        )


@pytest.mark.parametrize("positions", [(4, 4, 4), (2, 5, 5), (5, 2, 5)])
def test_a_branch_and_back_is_what_a_fresh_pass_gives(positions: tuple[int, int, int]) -> None:
    model, tokens = CachedCausal(MODEL, BOS), canvas()
    other = tokens.clone()
    other[:, 1:] = (other[:, 1:] + 1) % VOCAB
    for text, position in zip((tokens, other, tokens), positions, strict=True):
        got = model.encode_rows(text, T, column(position))
        torch.testing.assert_close(got, model.encode(text, T)[:, position], atol=1e-5, rtol=1e-5)


class Counted(CachedCausal):
    """Counts the inputs that go through the network."""

    inputs = 0

    def _run(self, inputs: Tensor, *rest: object) -> Tensor:
        self.inputs += inputs.numel()
        return super()._run(inputs, *rest)  # type: ignore[arg-type]


def column(position: int, rows: int = 3) -> Tensor:
    where = torch.zeros((rows, LENGTH), dtype=torch.bool)
    where[:, position] = True
    return where


def written(model: CachedCausal, tokens: Tensor, upto: int) -> None:
    """Ask as left-to-right does, position after position."""
    for position in range(upto):
        model.encode_rows(tokens, T, column(position, len(tokens)))


def test_left_to_right_puts_every_token_through_the_network_once() -> None:
    model = Counted(MODEL, BOS)
    written(model, canvas(), LENGTH)
    assert model.inputs == 3 * LENGTH


@pytest.mark.parametrize("rows", [[0, 1, 2], [0, 2], [2, 0, 1], [1], [0, 0, 2, 1]])
def test_sequences_that_leave_or_change_places_are_found_again(rows: list[int]) -> None:
    model, tokens = Counted(MODEL, BOS), canvas()
    written(model, tokens, 4)
    before = model.inputs
    got = model.encode_rows(tokens[rows], T, column(4, len(rows)))
    assert model.inputs - before == len(rows)
    torch.testing.assert_close(got, model.encode(tokens[rows], T)[:, 4], atol=1e-5, rtol=1e-5)


def test_a_rewind_computes_again_only_what_changed() -> None:
    model, tokens = Counted(MODEL, BOS), canvas()
    written(model, tokens, LENGTH)
    changed = tokens.clone()
    changed[1, 3] = (changed[1, 3] + 1) % VOCAB
    before = model.inputs
    model.encode_rows(changed, T, column(5))
    assert model.inputs - before == 3 * 2  # inputs 4 and 5: token 3 is input 4


def test_a_pass_that_was_interrupted_leaves_nothing_half_written() -> None:
    class Interrupted(CachedCausal):
        interrupt = False

        def _norm(self, x: Tensor) -> Tensor:
            self.norms = getattr(self, "norms", 0) + 1
            if self.interrupt and self.norms == 3:
                raise KeyboardInterrupt
            return super()._norm(x)

    model, first, second = Interrupted(MODEL, BOS), canvas(seed=1), canvas(seed=2)
    written(model, first, 4)
    model.norms, model.interrupt = 0, True
    with pytest.raises(KeyboardInterrupt):
        model.encode_rows(second, T, column(4))
    model.interrupt = False
    for tokens in (first, second):
        got = model.encode_rows(tokens, T, column(5))
        torch.testing.assert_close(got, CachedCausal(MODEL, BOS).encode(tokens, T)[:, 5], atol=1e-5, rtol=1e-5)


def test_a_batch_too_large_to_remember_is_computed_again() -> None:
    need = 2 * 2 * 3 * LENGTH * 12 * 4
    for room, remembered in ((need, True), (need - 1, False)):
        model = CachedCausal(MODEL, BOS, cache_bytes=room)
        tokens = canvas()
        written(model, tokens, 4)
        assert (model._cache is not None) == remembered
        got = model.encode_rows(tokens, T, column(4))
        torch.testing.assert_close(got, model.encode(tokens, T)[:, 4], atol=1e-5, rtol=1e-5)


def test_it_is_close_in_bfloat16() -> None:
    tokens = canvas()
    exact, low = CachedCausal(MODEL, BOS), CachedCausal(MODEL, BOS, torch.bfloat16)
    written(low, tokens, 5)
    got = low.project(low.encode_rows(tokens, T, column(5)))
    expected = exact.project(exact.encode(tokens, T))[:, 5]
    assert got.dtype == torch.bfloat16
    assert (got.float() - expected).abs().mean() < 0.05 * expected.std()


def test_it_is_a_denoiser_of_the_fields_size() -> None:
    fast = CachedCausal(MODEL, BOS)
    assert isinstance(fast, RowDenoiser)
    assert isinstance(fast, Denoiser)
    assert fast.encode_rows(canvas(), T, torch.zeros((3, LENGTH), dtype=torch.bool)).shape == (0, 12)
    with torch.device("meta"):
        small = CausalDIT(replace(DITConfig(), mask_id=50257))
    parameters = dict(small.named_parameters())
    assert len(parameters) == 100
    assert round(sum(p.numel() for p in parameters.values()) / 1e6, 1) == 162.2
