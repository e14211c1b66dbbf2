"""Uniforms with an address: a hash of (seed, sample, step, position, purpose) and nothing else.

A draw therefore does not depend on batch size, order, device, laziness, process or on who is watching.
The hash is SplitMix64 (Steele, Lea, Flood 2014): a key is mixed from the address's words one after the
other, and position l takes the l-th output of the stream that starts at that key.  Tensors are used by their
methods: what was drawn in a recording is computed again without torch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

GOLDEN = 0x9E3779B97F4A7C15
MIX1 = 0xBF58476D1CE4E5B9
MIX2 = 0x94D049BB133111EB
WORD = (1 << 64) - 1
LARGEST_NORMAL = 6.77
"""Above the largest of the `normals`, sqrt(-2 log 2^-33)."""
MANY = 16
"""Keys from which on computing them together is faster than one after the other."""


class Purpose(IntEnum):
    CHANGE = 1
    """does this position change?"""
    TOKEN = 2
    """which token is it revealed to?"""
    TIME = 3
    """at which noise level is a likelihood bound taken?"""
    NOISE = 4
    """is this position masked there?"""
    RANK = 5
    """how does a strategy rank this position by chance?"""
    GUMBEL = 6
    """which noise made this token the drawn one?"""
    GRID = 7
    """in which order are a grid's cells filled, and with what?"""
    COPY = 8
    """which of its symmetric copies is shown?"""
    CLUES = 9
    """in which order are its cells emptied?"""
    SIMPLEX = 10
    """what is the noise of each token of the vocabulary here?"""


def _signed(value: int) -> int:
    value &= WORD
    return value - (1 << 64) if value >> 63 else value


def mix(value: int) -> int:
    """Return SplitMix64's finalizer of one 64-bit word."""
    value &= WORD
    value = ((value ^ (value >> 30)) * MIX1) & WORD
    value = ((value ^ (value >> 27)) * MIX2) & WORD
    return value ^ (value >> 31)


def address_key(*words: int) -> int:
    """Return the 64-bit key of an address."""
    state = 0
    for word in words:
        state = mix(state + GOLDEN ^ mix(word + GOLDEN))
    return state


def uniform(key: int, counter: int) -> float:
    """Return one of the `uniforms`, in [0, 1), without a tensor."""
    return (mix(key + (counter + 1) * GOLDEN) >> 11) * 2.0**-53


def keys_of(seed: int, samples: Sequence[int], steps: Sequence[int], purpose: Purpose) -> NDArray[np.int64]:
    """Return the key of each (sample, step) pair, int64 [B]."""
    if len(samples) < MANY:
        pairs = zip(samples, steps, strict=True)
        return np.array([_signed(address_key(seed, n, i, purpose)) for n, i in pairs], dtype=np.int64)
    state = np.zeros(len(samples), np.uint64)
    for words in ([seed] * len(samples), samples, steps, [purpose] * len(samples)):
        mixed = _mixed(np.array([word & WORD for word in words], np.uint64) + np.uint64(GOLDEN))
        state = _mixed(state + np.uint64(GOLDEN) ^ mixed)
    return state.view(np.int64)


def uniform_array(keys: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    """Return the first `count` of the `uniforms` of each key [B], without a tensor: [B, count]."""
    counters = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(GOLDEN)
    drawn = _mixed(keys.view(np.uint64)[:, None] + counters) >> np.uint64(11)
    return drawn.astype(np.float64) * 2.0**-53


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return `mix` of each: these words wrap around by themselves."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(MIX1)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(MIX2)
    return values ^ (values >> np.uint64(31))


def _shift(x: Tensor, bits: int) -> Tensor:
    """Return the logical right shift of int64."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def uniforms(keys: Tensor, counters: Tensor) -> Tensor:
    """Map keys and counters, int64 and broadcastable, to float64 in [0, 1), with 53 random bits each.

    >>> uniforms(torch.tensor([[7], [8]]), torch.arange(1024)).shape
    torch.Size([2, 1024])
    """
    return _shift(_hashed(keys, counters), 11).double() * 2.0**-53


def device_keys(seed: int, samples: Tensor, steps: Tensor, purpose: Purpose) -> Tensor:
    """Return the `keys` of samples and steps that are tensors, int64 [B]: a recorded graph hashes what they hold when
    it is replayed.
    """
    begun = mix(GOLDEN ^ mix(seed + GOLDEN))
    state = _mixed_words(_signed(begun + GOLDEN) ^ _mixed_words(samples + _signed(GOLDEN)))
    state = _mixed_words((state + _signed(GOLDEN)) ^ _mixed_words(steps + _signed(GOLDEN)))
    return _mixed_words((state + _signed(GOLDEN)) ^ _signed(mix(purpose + GOLDEN)))


def _hashed(keys: Tensor, counters: Tensor) -> Tensor:
    return _mixed_words(keys + (counters + 1) * _signed(GOLDEN))


def _mixed_words(x: Tensor) -> Tensor:
    """Return `mix` of each word, int64."""
    x = (x ^ _shift(x, 30)) * _signed(MIX1)
    x = (x ^ _shift(x, 27)) * _signed(MIX2)
    return x ^ _shift(x, 31)


def over_vocabulary(keys: Tensor, positions: Tensor, vocab_size: int) -> Tensor:
    """Return vocab_size uniforms for each (key, position), [N, V]: the noise of Gumbel-max."""
    import torch

    return uniforms(_rows(keys, positions), torch.arange(vocab_size, device=keys.device))


def normals(keys: Tensor, positions: Tensor, first: int, count: int) -> Tensor:
    """Return standard normals of the tokens `first` to first + count at each (key, position), float32 [N, count].

    Two neighbours share one hash: Box-Muller of 32 bits each, so none lies beyond LARGEST_NORMAL.  first: even.
    """
    import torch

    pairs = torch.arange(first // 2, (first + count + 1) // 2, device=keys.device)
    bits = _hashed(_rows(keys, positions), pairs)
    radius = (_shift(bits, 32).float() + 0.5).mul_(2.0**-32).log_().mul_(-2).sqrt_()
    angle = (bits & 0xFFFFFFFF).float().mul_(2 * math.pi * 2.0**-32)
    return torch.stack((angle.cos().mul_(radius), angle.sin().mul_(radius)), -1).flatten(1)[:, :count]


def _rows(keys: Tensor, positions: Tensor) -> Tensor:
    """Return a key [N, 1] of each (key, position), for streams over the vocabulary."""
    return uniforms(keys, positions).mul(2.0**53).long()[:, None]
