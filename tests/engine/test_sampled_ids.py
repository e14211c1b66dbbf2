"""The ids of 20 short runs, by their digests: what a seed gives stays what it is from version to version.

Setting a new digest is right only where a change means that a seed gives other tokens: a rule of a strategy that was
wrong, another address of a random number.  CHANGELOG then says so, because evaluations of earlier versions cannot be
continued.  It is never right after a change that was meant for speed, memory or the shape of the code.

The logits are sums of multiples of 1/16384 below 64, which float32 holds exactly in whatever order they are added, and
what follows is float64.  So neither BLAS nor the number of threads decides a token.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.records import Edit
from engine.sampling.batch import sample
from engine.sampling.predictors import sample_by_predictor
from engine.sampling.session import Session
from engine.strategies import make_strategy

TOKENS, LONGEST = 40, 64


def table(rows: int, columns: int, odd: int) -> Tensor:
    """Return multiples of 1/1024 between -2 and 2 that look random and come from whole numbers alone."""
    numbers = np.arange(rows * columns, dtype=np.uint64) * np.uint64(odd) + np.uint64(12_345)
    mixed = (numbers ^ (numbers >> np.uint64(7))) * np.uint64(2_654_435_761) % np.uint64(1 << 32)
    steps = (mixed >> np.uint64(20)).astype(np.float32) - 2048
    return torch.from_numpy(steps / 1024).view(rows, columns)


class ExactToy:
    """A denoiser whose logits depend on the place, the token to the left and the whole text."""

    vocab_size, mask_id, max_length, time_conditioned = TOKENS + 1, TOKENS, LONGEST, False

    def __init__(self) -> None:
        shapes = (LONGEST, 30_011), (self.vocab_size, 50_021), (self.vocab_size, 70_001)
        self.place, self.left, self.whole = (table(rows, self.vocab_size, odd) for rows, odd in shapes)

    def encode(self, tokens: Tensor, t: Tensor) -> Tensor:
        # a quotient by a power of two stays exact
        whole = self.whole[tokens].sum(1, keepdim=True) / 16
        return self.place[: tokens.shape[1]] + self.left[tokens.roll(1, dims=-1)] + whole

    def project(self, hidden: Tensor) -> Tensor:
        return hidden


def drawn(strategy: str, /, **more: Any) -> Callable[[], Tensor]:
    """Return how three samples are drawn as `engine.sample` draws them."""
    knobs = more.pop("knobs", {})
    shape = {"steps": 24, "length": 32, "count": 3, "seed": 1} | more
    return lambda: sample(ExactToy(), make_strategy(strategy, **knobs), **shape)


def predicted(name: str, **more: Any) -> Callable[[], Tensor]:
    """Return how three samples are drawn by a published predictor."""
    return lambda: sample_by_predictor(ExactToy(), name, steps=24, length=32, count=3, seed=1, **more).tokens


def steered() -> Tensor:
    """A session that is changed, edited and forked on its way: all frames of both branches."""
    session = Session(ExactToy(), make_strategy("remdm-conf"), steps=24, length=32, batch=2, seed=4)
    frames: list[Any] = [next(session) for _ in range(9)]
    session.set(strategy=make_strategy("remdm-cap", eta=0.2), top_p=0.5, temperature=1.5)
    frames += [next(session) for _ in range(6)]
    frames.append(session.edit(Edit("force", 1, 5, (7,), 0.5)))
    session.fork(11)
    session.set(top_p=1.0)
    return torch.from_numpy(np.stack([frame.tokens for frame in [*frames, *session]]).astype(np.int64))


RUNS: dict[str, tuple[Callable[[], Tensor], str]] = {
    "mdlm": (drawn("mdlm"), "0d7ed4ef9c2d"),
    "another seed": (drawn("mdlm", seed=2), "1699cb950759"),
    "remdm-cap": (drawn("remdm-cap", knobs={"eta": 0.1}), "0d014caaecac"),
    "remdm-rescale": (drawn("remdm-rescale", knobs={"eta": 0.1}), "bb51e2391757"),
    "remdm-conf": (drawn("remdm-conf"), "97c73dc2b5e4"),
    "remdm-loop": (drawn("remdm-loop", knobs={"eta": 0.1}, steps=32), "ad702ff0c386"),
    "forward-backward": (drawn("forward-backward"), "3956afdb7c67"),
    "dfm": (drawn("dfm"), "b7da992b62cb"),
    "low-confidence": (drawn("low-confidence"), "242593740347"),
    "left-to-right": (drawn("left-to-right"), "6678404af21f"),
    "p2": (drawn("p2"), "7d665b32a3dd"),
    "threshold": (drawn("threshold", knobs={"threshold": 0.3}), "7784b1672be3"),
    "prompt": (drawn("remdm-cap", prompt=(3, 1, 4)), "564b182da4da"),
    "semi-autoregressive": (drawn("remdm-conf", block_length=8), "30637976a86d"),
    "sliding window": (drawn("mdlm", length=16, stride=8, strides=2), "006f51d23723"),
    "inclusive nucleus, cold": (drawn("remdm-cap", nucleus="inclusive", top_p=0.6, temperature=0.7), "e1956163fd42"),
    "Gumbel draws, no nucleus": (drawn("remdm-cap", draw="gumbel-float64", top_p=1.0), "f097211221d9"),
    "ddpm_cache": (predicted("ddpm_cache", top_p=0.9), "3d3afe972fc9"),
    "analytic": (predicted("analytic", prompt=(5, 2)), "2baa2a6ad1d8"),
    "steered session": (steered, "f2901daa2c83"),
}
"""By what it tries: how it is drawn, and the digest of its ids."""


def digest(ids: Tensor) -> str:
    return hashlib.sha256(ids.numpy().astype("<i4").tobytes()).hexdigest()[:12]


@pytest.mark.parametrize("name", RUNS)
def test_a_seed_gives_the_ids_that_it_gave(name: str) -> None:
    draw, expected = RUNS[name]
    assert digest(draw()) == expected, "see this module's docstring before a new digest is set"


def test_no_two_runs_are_the_same() -> None:
    digests = [expected for _, expected in RUNS.values()]
    assert len(set(digests)) == len(digests) == 20
