"""Uniforms with an address: SplitMix64, and each word of the address on its own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from engine.sampling import rng
from engine.sampling.rng import Purpose
from tests.engine.stats import ENOUGH

WORDS = st.integers(-(1 << 63), (1 << 63) - 1)


def splitmix64(state: int, number: int) -> int:
    """Output `number` of Vigna's splitmix64.c started at `state`."""
    state = (state + (number + 1) * 0x9E3779B97F4A7C15) % 2**64
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) % 2**64
    return state ^ (state >> 31)


def test_the_reference_is_splitmix64_as_published() -> None:
    assert [splitmix64(1234567, i) for i in range(3)] == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
    ]


@given(key=WORDS, counter=st.integers(0, 1 << 40))
def test_the_tensor_arithmetic_is_splitmix64(key: int, counter: int) -> None:
    u = rng.uniforms(torch.tensor([key]), torch.tensor([counter])).item()
    assert u == (splitmix64(key, counter) >> 11) / 2**53
    assert 0 <= u < 1


@given(word=WORDS)
def test_the_finalizer_is_splitmix64s(word: int) -> None:
    assert rng.mix(word + rng.GOLDEN) == splitmix64(word, 0)


def stream(seed: int = 1, sample: int = 2, step: int = 3, purpose: Purpose = Purpose.CHANGE) -> np.ndarray:
    keys = torch.from_numpy(rng.keys_of(seed, [sample], [step], purpose))
    return rng.uniforms(keys, torch.arange(20_000)).numpy()


@pytest.mark.parametrize("purpose", Purpose)
def test_a_stream_is_uniform(purpose: Purpose) -> None:
    assert stats.kstest(stream(purpose=purpose), "uniform").pvalue > ENOUGH


def test_the_uniforms_of_consecutive_steps_at_one_position_are_uniform() -> None:
    keys = torch.from_numpy(rng.keys_of(0, [0] * 20_000, range(20_000), Purpose.CHANGE))
    u = rng.uniforms(keys, torch.zeros_like(keys)).numpy()
    assert stats.kstest(u, "uniform").pvalue > ENOUGH
    assert stats.pearsonr(u[1:], u[:-1]).pvalue > ENOUGH


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 0}, {"seed": 2}, {"seed": -1}, {"seed": 1 << 62},
        {"sample": 3}, {"sample": 1}, {"step": 2}, {"step": 4}, {"purpose": Purpose.TOKEN},
        {"seed": 2, "sample": 1}, {"sample": 3, "step": 2},
    ],
    ids=str,
)  # fmt: skip
def test_any_other_word_of_the_address_gives_independent_uniforms(other: dict[str, int]) -> None:
    ours, theirs = stream(), stream(**other)
    assert not (ours == theirs).any()
    assert stats.pearsonr(ours, theirs).pvalue > ENOUGH
    # nor is one stream the other moved along
    assert not np.isin(ours, theirs).any()


def test_neighbouring_positions_are_independent() -> None:
    u = stream()
    assert stats.pearsonr(u[1:], u[:-1]).pvalue > ENOUGH


def test_an_address_always_gives_the_same_uniform() -> None:
    """A recorded run is replayed by it, so it may never change."""
    state = 0
    for word in (1, 2, 3, 4):
        state = splitmix64((state + rng.GOLDEN) % 2**64 ^ splitmix64(word, 0), -1)
    assert rng.address_key(1, 2, 3, 4) == state == 17696682731708307603


def test_words_in_another_order_are_another_address() -> None:
    assert rng.address_key(1, 2) != rng.address_key(2, 1)


def test_keys_belong_to_their_pair_whatever_is_beside_it() -> None:
    together = rng.keys_of(9, [4, 5, 6], [1, 1, 7], Purpose.TOKEN)
    alone = [rng.keys_of(9, [n], [i], Purpose.TOKEN)[0] for n, i in ((4, 1), (5, 1), (6, 7))]
    assert together.tolist() == alone
    assert together.dtype == np.int64


@given(seed=WORDS, first=st.integers(0, 1 << 40), step=st.integers(0, 1 << 20))
def test_many_keys_at_once_are_those_of_one_after_the_other(seed: int, first: int, step: int) -> None:
    numbers, steps = range(first, first + rng.MANY + 3), [step + i % 4 for i in range(rng.MANY + 3)]
    alone = [rng.keys_of(seed, [n], [i], Purpose.CHANGE)[0] for n, i in zip(numbers, steps, strict=True)]
    assert rng.keys_of(seed, numbers, steps, Purpose.CHANGE).tolist() == alone


def test_the_noise_over_a_vocabulary_is_uniform_and_differs_from_row_to_row() -> None:
    keys = torch.from_numpy(rng.keys_of(0, range(40), [0] * 40, Purpose.TOKEN))
    u = rng.over_vocabulary(keys, torch.arange(40), 500)
    assert u.shape == (40, 500)
    assert stats.kstest(u.numpy().ravel(), "uniform").pvalue > ENOUGH
    assert len(u.unique()) == u.numel()
    again = rng.over_vocabulary(keys[7:9], torch.tensor([7, 8]), 500)
    assert torch.equal(again, u[7:9])


@given(st.integers(-(1 << 63), (1 << 63) - 1), st.integers(0, 5000))
def test_a_uniform_can_be_had_without_a_tensor(key: int, counter: int) -> None:
    assert rng.uniform(key, counter) == float(rng.uniforms(torch.tensor(key), torch.tensor(counter)))


def test_arrays_hold_the_uniforms_of_tensors() -> None:
    keys = rng.keys_of(5, range(20), [3] * 20, Purpose.COPY)
    expected = rng.uniforms(torch.from_numpy(keys)[:, None], torch.arange(7))
    assert np.array_equal(rng.uniform_array(keys, 7), expected.numpy())
