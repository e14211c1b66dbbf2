"""The arithmetic of one step: probabilities, the nucleus, the draws and the clamp."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from engine.sampling import kernel, rng
from engine.sampling.kernel import Address
from tests.engine.stats import ENOUGH, FAR_OFF, follows

NUCLEI = list(kernel.NUCLEI)
P = torch.tensor([0.4, 0.0, 0.25, 0.2, 0.1, 0.05, 0.0], dtype=torch.float64)


def addresses(count: int) -> Address:
    return Address(torch.full((count,), rng._signed(rng.address_key(4, 2))), torch.arange(count))


@st.composite
def distributions(draw: st.DrawFn) -> Tensor:
    """Probabilities [N, V] as a network gives them: peaked or flat, with ties, with rounding to bfloat16."""
    rows, vocab = draw(st.integers(1, 4)), draw(st.integers(2, 700))
    noise = torch.Generator().manual_seed(draw(st.integers(0, 1 << 20)))
    logits = torch.randn(rows, vocab, generator=noise) * draw(st.sampled_from([0.0, 0.1, 1.0, 4.0, 30.0]))
    if draw(st.booleans()):
        logits = logits.bfloat16()
    if draw(st.booleans()):
        logits = logits.round()
    return kernel.probabilities(logits, draw(st.integers(0, vocab - 1)))


TOP_P = st.floats(0.01, 1.0)


@pytest.mark.parametrize("nucleus", NUCLEI)
@given(p=distributions(), top_p=TOP_P)
def test_the_nucleus_of_the_largest_few_is_that_of_a_full_sort(nucleus: str, p: Tensor, top_p: float) -> None:
    quick, slow = kernel.nucleus_top(p, top_p, nucleus), kernel.nucleus_sorted(p, top_p, nucleus)
    assert torch.equal(quick > 0, slow > 0)
    torch.testing.assert_close(quick, slow, rtol=1e-12, atol=0)


@pytest.mark.parametrize("nucleus", NUCLEI)
@pytest.mark.parametrize("vocab", [kernel.FIRST_TOP - 1, kernel.FIRST_TOP, kernel.FIRST_TOP + 1, 9000])
def test_a_nucleus_larger_than_the_first_look_is_found(nucleus: str, vocab: int) -> None:
    logits = torch.randn(2, vocab, generator=torch.Generator().manual_seed(1)) * 0.01
    p = kernel.probabilities(torch.cat((logits, logits[:1] * 400)), 0)
    quick, slow = kernel.nucleus_top(p, 0.95, nucleus), kernel.nucleus_sorted(p, 0.95, nucleus)
    assert int((slow > 0).sum(-1).max()) > 0.9 * vocab
    assert torch.equal(quick > 0, slow > 0)
    torch.testing.assert_close(quick, slow, rtol=1e-12, atol=0)


@pytest.mark.parametrize("nucleus", NUCLEI)
@given(p=distributions(), top_p=TOP_P)
def test_a_nucleus_is_a_distribution_that_keeps_the_likeliest_token(nucleus: str, p: Tensor, top_p: float) -> None:
    kept = kernel.nucleus_top(p, top_p, nucleus)
    torch.testing.assert_close(kept.sum(-1), torch.ones(len(p), dtype=torch.float64))
    assert (kept.gather(-1, p.argmax(-1, keepdim=True)) > 0).all()
    assert not (kept > 0)[p == 0].any()
    # what stays keeps its proportions
    scale = p.amax(-1, keepdim=True) / kept.amax(-1, keepdim=True)
    torch.testing.assert_close(torch.where(kept > 0, kept * scale, 0), torch.where(kept > 0, p, 0))


@given(p=distributions(), top_p=TOP_P)
def test_the_exclusive_nucleus_lies_in_the_inclusive_one(p: Tensor, top_p: float) -> None:
    exclusive, inclusive = (kernel.nucleus_top(p, top_p, name) > 0 for name in ("exclusive", "inclusive"))
    assert not (exclusive & ~inclusive).any()


@pytest.mark.parametrize("cut", [kernel.nucleus_sorted, kernel.nucleus_top])
def test_a_token_that_reaches_p_exactly_stays(cut: Callable[[Tensor, float, str], Tensor]) -> None:
    p = torch.tensor([[0.5, 0.25, 0.125, 0.125]], dtype=torch.float64)
    for nucleus in NUCLEI:
        assert (cut(p, 0.75, nucleus) > 0).tolist() == [[True, True, False, False]]


def test_the_token_that_crosses_p_is_what_the_conventions_differ_by() -> None:
    p = P[None]
    for top_p, exclusive, inclusive in ((0.3, [0], [0]), (0.5, [0], [0, 2]), (0.8, [0, 2], [0, 2, 3])):
        assert (kernel.nucleus_top(p, top_p, "exclusive")[0] > 0).nonzero()[:, 0].tolist() == exclusive
        assert (kernel.nucleus_top(p, top_p, "inclusive")[0] > 0).nonzero()[:, 0].tolist() == inclusive


@given(seed=st.integers(0, 999), mask=st.integers(0, 8), temperature=st.floats(0, 10))
def test_the_mask_is_never_predicted(seed: int, mask: int, temperature: float) -> None:
    logits = torch.randn(5, 9, generator=torch.Generator().manual_seed(seed))
    logits[:, mask] = 50
    p = kernel.probabilities(logits, mask, temperature)
    assert not p[:, mask].any()
    torch.testing.assert_close(p.sum(-1), torch.ones(5, dtype=torch.float64))


def test_the_logits_given_are_left_as_they_are() -> None:
    for dtype in (torch.float32, torch.float64):
        logits = torch.arange(4, dtype=dtype)[None]
        kernel.probabilities(logits, 1, 0.5)
        assert logits.tolist() == [[0, 1, 2, 3]]


def test_temperature_zero_is_the_argmax_and_a_tiny_one_nearly() -> None:
    logits = torch.tensor([[1.0, 3.0, 2.0, 9.0]])
    for temperature in (0.0, 1e-310, 1e-3):
        assert kernel.probabilities(logits, 3, temperature).tolist() == [[0, 1, 0, 0]]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_logits_that_are_not_finite_are_refused(bad: float) -> None:
    logits = torch.zeros(3, 4)
    logits[1, 2] = bad
    with pytest.raises(FloatingPointError, match="not finite"):
        kernel.probabilities(logits, 0)


def test_a_row_with_no_token_left_is_refused() -> None:
    with pytest.raises(FloatingPointError, match="not finite"):
        kernel.probabilities(torch.full((1, 3), -torch.inf), 0)


def test_the_masks_own_logit_may_be_anything() -> None:
    logits = torch.tensor([[0.0, float("nan"), 0.0]])
    assert kernel.probabilities(logits, 1).tolist() == [[0.5, 0, 0.5]]


@pytest.mark.parametrize("how", ["inverse-cdf", "gumbel-float64"])
def test_a_draw_follows_its_distribution(how: str) -> None:
    count = 40_000
    ids = kernel.DRAWS[how](P.expand(count, -1), addresses(count))
    assert follows(np.bincount(ids.numpy(), minlength=len(P)), P.numpy()) > ENOUGH
    assert follows(np.bincount(ids.numpy(), minlength=len(P)), (P + P**2).div(1 + P.square().sum()).numpy()) < FAR_OFF


def unshift(x: int, bits: int) -> int:
    """Inverse of x ^= x >> bits on 64-bit words."""
    out = x
    for _ in range(64 // bits):
        out = x ^ (out >> bits)
    return out


def counter_key(word: int, counter: int) -> int:
    """The key whose stream has the 64-bit `word` at a counter: SplitMix64 run backwards."""
    word = unshift(word, 31) * pow(rng.MIX2, -1, 1 << 64) & rng.WORD
    word = unshift(word, 27) * pow(rng.MIX1, -1, 1 << 64) & rng.WORD
    return unshift(word, 30) - (counter + 1) * rng.GOLDEN & rng.WORD


def extreme_addresses(count: int, token: int, bits: int) -> Address:
    """Addresses at which Gumbel-max meets a uniform within 2^-bits of 1 at `token`, and any at other tokens."""
    found, number = [], 0
    while len(found) < count:
        number += 1
        # the noise of one position is the stream of a 53-bit key
        inner = counter_key((1 << 64) - 1 - (rng.mix(number) >> bits), token)
        if inner < 1 << 53:
            found.append(rng._signed(counter_key(inner << 11, 0)))
    return Address(torch.tensor(found), torch.zeros(count, dtype=torch.long))


def test_float32_noise_never_draws_a_rare_token_that_float64_noise_does() -> None:
    """Within 2^-26 of 1 its uniform makes a token of probability 2^-26 win with chance 1 - 1/e.

    float32 has no uniform between 1 - 2^-24 and 1, so there it wins with chance e^-4 at the most.
    """
    rare, count = 2.0**-26, 120
    p = torch.tensor([[1 - rare, rare]], dtype=torch.float64).expand(count, -1)
    where = extreme_addresses(count, token=1, bits=26)
    assert (rng.over_vocabulary(*where, 2)[:, 1] >= 1 - rare).all()
    float64, float32 = (
        float(kernel.DRAWS[f"gumbel-{name}"](p, where).double().mean()) for name in ("float64", "float32")
    )
    assert abs(float64 - (1 - np.exp(-1))) < 0.2
    assert float32 < 0.1


def test_float32_noise_adds_the_constant_of_mdlms_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """p / (1e-10 - log(u + 1e-10)) in float32 of two tokens, of which the second has the largest uniform there is."""
    drawn = torch.tensor([[np.exp(-1.0), 1 - 2.0**-24]], dtype=torch.float64)
    monkeypatch.setattr("engine.sampling.rng.over_vocabulary", lambda *_: drawn)
    largest = -np.log1p(-(2.0**-24))
    p = torch.tensor([[1.0, 1.0]], dtype=torch.float64)
    for share, token in ((1 + 5e-4, 1), (1 - 5e-4, 0)):
        p[0, 1] = share * (largest + 1e-10)
        assert kernel.gumbel_float32(p, addresses(1)).item() == token


@pytest.mark.parametrize("how", kernel.DRAWS)
def test_no_uniform_draws_what_is_impossible(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    p = torch.tensor([[0.0, 0.0, 1.0, 0.0]], dtype=torch.float64)
    for u in (0.0, 1 - 2.0**-53):
        monkeypatch.setattr(
            "engine.sampling.rng.over_vocabulary", lambda *_, u=u: torch.full((1, 4), u, dtype=torch.float64)
        )
        monkeypatch.setattr("engine.sampling.rng.uniforms", lambda *_, u=u: torch.tensor([u], dtype=torch.float64))
        assert kernel.DRAWS[how](p, addresses(1)).item() == 2


class TestInverseCdf:
    def at(self, p: Tensor, u: float) -> int:
        """The token drawn where the uniform is u."""
        word = int(u * 2**53) << 11
        address = Address(torch.tensor([rng._signed(counter_key(word, 0))]), torch.tensor([0]))
        assert float(rng.uniforms(*address)) == u
        return int(kernel.inverse_cdf(p[None], address))

    def test_the_ends_of_the_unit_interval_draw_possible_tokens(self) -> None:
        p = torch.tensor([0.0, 0.3, 0.0, 0.7, 0.0], dtype=torch.float64)
        assert self.at(p, 0.0) == 1
        assert self.at(p, 1 - 2.0**-53) == 3

    def test_a_uniform_on_an_edge_belongs_to_the_next_possible_token(self) -> None:
        p = torch.tensor([0.25, 0.0, 0.25, 0.5], dtype=torch.float64)
        assert [self.at(p, u) for u in (0.25 - 2.0**-53, 0.25, 0.5 - 2.0**-53, 0.5)] == [0, 2, 2, 3]

    @given(p=distributions(), u=st.sampled_from([0.0, 2.0**-53, 0.5, 1 - 2.0**-52, 1 - 2.0**-53]))
    def test_no_impossible_token_is_drawn(self, p: Tensor, u: float) -> None:
        assert p[0, self.at(p[0], u)] > 0


@pytest.mark.parametrize("how", kernel.DRAWS)
def test_a_token_is_drawn_with_its_probability_before_and_after_the_nucleus(how: str) -> None:
    logits = P.log()[None].expand(50, -1)
    drawn = kernel.draw(logits, addresses(50), mask_id=1, top_p=0.7, nucleus="exclusive", temperature=1.0, how=how)
    assert set(drawn.ids.tolist()) == {0, 2}
    torch.testing.assert_close(drawn.confidence, P[drawn.ids])
    torch.testing.assert_close(drawn.held, P[drawn.ids] / 0.65)


def test_a_greedy_draw_is_as_sure_as_the_network_at_temperature_one() -> None:
    logits = torch.tensor([[0.2, 0.5, 0.3, 9.0], [0.6, 0.1, 0.3, 9.0]]).log()
    drawn = kernel.draw(
        logits, addresses(2), mask_id=3, top_p=1.0, nucleus="exclusive", temperature=0.0, how="inverse-cdf"
    )
    assert drawn.ids.tolist() == [1, 0]
    assert drawn.held.tolist() == [1.0, 1.0]
    assert drawn.confidence.tolist() == pytest.approx([0.5, 0.6])


@given(st.lists(st.floats(-3, 3), min_size=1, max_size=8))
def test_the_clamp_says_how_far_it_moved(values: list[float]) -> None:
    given_ = torch.tensor(values, dtype=torch.float64)
    clamped, moved = kernel.clamp(given_)
    assert ((clamped >= 0) & (clamped <= 1)).all()
    assert torch.equal(moved, torch.tensor([max(0.0, -v, v - 1) for v in values], dtype=torch.float64))


def test_a_plan_with_a_nan_is_refused() -> None:
    with pytest.raises(FloatingPointError, match="NaN"):
        kernel.clamp(torch.tensor([0.5, float("nan")]))


@pytest.mark.parametrize("temperature", [0.0, 0.001, 0.5, 1.0, 3.0])
def test_confidence_is_that_of_temperature_1(temperature: float) -> None:
    """Softmax of (0, log 2, log 3) is (1/6, 2/6, 3/6), whatever the temperature that tokens are drawn at."""
    logits = torch.log(torch.tensor([1.0, 2.0, 3.0, 50.0], dtype=torch.float64)).expand(200, 4)
    drawn = kernel.draw(
        logits, addresses(200), mask_id=3, top_p=0.9, nucleus="inclusive", temperature=temperature, how="inverse-cdf"
    )
    assert torch.allclose(drawn.confidence, (drawn.ids + 1).double() / 6)


@pytest.mark.parametrize("temperature", [0.0, 0.5, 1.0])
def test_confidence_gives_no_share_to_ids_that_are_no_token(temperature: float) -> None:
    logits = torch.log(torch.tensor([[0.5, 0.1, 0.3, 0.1]])).repeat(60, 1)
    drawn = kernel.draw(
        logits, addresses(60), mask_id=3, top_p=1.0, nucleus="exclusive", temperature=temperature, how="inverse-cdf",
        never=[0],
    )  # fmt: skip
    assert set(drawn.ids.tolist()) <= {1, 2}
    assert drawn.confidence.tolist() == pytest.approx([{1: 0.25, 2: 0.75}[i] for i in drawn.ids.tolist()])
