"""Every objective on a source whose entropy is known: what was trained comes within two hundredths of it."""

from __future__ import annotations

from bisect import bisect_left
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from engine.training.config_file import read_config
from engine.training.data import Corpus
from engine.training.loop import Trainer
from engine.training.losses import EPS, antithetic_times
from engine.training.objectives import OBJECTIVES
from engine.training.tokenizers import existing_tokenizer
from tests.engine.test_small_vocabulary import alphabet

LENGTH = 8
LETTERS = "xyzabcdef"
"""The tokens of the source are the first three; that the others never come has to be learned."""
CHAIN = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.45, 0.45, 0.1]])


def stationary() -> NDArray[np.float64]:
    values, vectors = np.linalg.eig(CHAIN.T)
    found = np.real(vectors[:, np.argmax(values.real)])
    return found / found.sum()


def entropy() -> float:
    """Nats a token of LENGTH tokens that follow each other: the first by the stationary distribution."""
    first = stationary()
    rate = -(first[:, None] * CHAIN * np.log(CHAIN)).sum()
    return float((-(first * np.log(first)).sum() + (LENGTH - 1) * rate) / LENGTH)


def stream(count: int, seed: int) -> NDArray[np.uint16]:
    bounds, state = CHAIN.cumsum(1).tolist(), 0
    states = np.empty(count, np.uint16)
    for i, u in enumerate(np.random.default_rng(seed).random(count).tolist()):
        state = min(bisect_left(bounds[state], u), len(CHAIN) - 1)
        states[i] = state
    return states


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(alphabet(tmp_path_factory.mktemp("letters") / "letters.json", LETTERS))


@pytest.fixture(scope="module")
def source(tokenizer: str) -> Corpus:
    return Corpus(existing_tokenizer(tokenizer), {"train": stream(200_000, 1), "validation": stream(100_000, 2)})


@pytest.mark.parametrize("objective", [name for name in OBJECTIVES if name != "ssd-lm"])  # whose loss is no bound
def test_the_bound_of_what_was_trained_is_the_sources_entropy(
    objective: str, tokenizer: str, source: Corpus, tmp_path: Path
) -> None:
    config = read_config(f"""
objective = "{objective}"
[model]
hidden_size = 48
n_blocks = 2
n_heads = 2
cond_dim = 8
length = {LENGTH}
dropout = 0.0
[data]
tokenizer = {tokenizer!r}
[optim]
name = "muon"
lr = 1e-2
matrix_lr = 1e-2
betas = [0.9, 0.98]
warmup = 10
cooldown = 270
[run]
steps = 360
batch = 64
max_weight = 10.0
ema = 0.97
checkpoint_every = 360
validate_every = 360
validation_windows = 64
precision = "float32"
""")
    trainer = Trainer(config, source, tmp_path, torch.device("cpu"))
    list(trainer.run())
    noise, count = torch.Generator().manual_seed(4), 50_000
    tokens = torch.from_numpy(source.spread("validation", LENGTH, count))
    # more small times than uniform ones are, each weighed by that: the bound's own weight is one over the time, and
    # uniform times leave most of its variance to a few rows
    cells = (antithetic_times(count, noise)[torch.randperm(count, generator=noise)] - EPS) / (1 - EPS)
    times = (EPS**0.5 + (1 - EPS**0.5) * cells) ** 2
    share = 2 * times.double().sqrt() * (1 - EPS**0.5) / (1 - EPS)
    with torch.no_grad(), trainer.ema.applied(trainer.model.eval()):
        parts = [
            trainer.objective.bound(trainer.model, some, t, noise)
            for some, t in zip(tokens.split(2000), times.split(2000), strict=True)
        ]
    values = torch.cat(parts).double() * share
    spread = float(values.std()) / count**0.5
    print(objective, float(values.mean()) / entropy() - 1, spread / entropy())
    assert spread < 0.007 * entropy()
    assert float(values.mean()) == pytest.approx(entropy(), rel=0.02)


def test_the_sources_entropy_is_far_below_that_of_its_tokens() -> None:
    """What a model that had learned no more than how often each token comes would reach."""
    first = stationary()
    assert float(-(first * np.log(first)).sum()) > 1.2 * entropy()
