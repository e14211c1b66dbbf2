"""What a training step's time goes into, what resuming costs, and how fast tokens are read; all on random data."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, models
from torch.profiler import ProfilerActivity, profile

from engine.data.document import Document
from engine.data.shards import open_streams, write_streams
from engine.data.special_tokens import END_OF_TEXT, MASK
from engine.training.config import TrainConfig
from engine.training.data import Corpus, reading_speed
from engine.training.loop import Trainer
from engine.training.speed import flops_per_token, matmul_peak

PRODUCTS = (
    "aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm", "aten::_scaled_dot_product", "aten::_flash_attention",
    "aten::_efficient_attention", "aten::_cudnn_attention", "aten::mkldnn_", "mkldnn::", "flash_attn",
)  # fmt: skip
"""Prefixes of the names of operations that multiply matrices or attend."""
STREAM = 1 << 22
"""Tokens of the random text that steps are timed on."""


@dataclass(frozen=True)
class TrainingStepCost:
    """The cost of a training step."""

    seconds: float
    products: float
    """share of its time in matrix products and attention"""
    utilisation: float
    """share of what the device reaches in products of large matrices alone"""
    tokens_per_second: float
    others: tuple[tuple[str, float], ...]
    """operations that are no products and take most, with their shares"""


@dataclass(frozen=True)
class CheckpointCost:
    """Seconds that a checkpoint takes."""

    saving: float
    resuming: float
    """to a trainer that is ready for its next step"""
    mib: float


def random_corpus(vocab_size: int, tokens: int = STREAM) -> Corpus:
    """Return uniformly random tokens of a vocabulary that spells nothing."""
    words = {str(i): i for i in range(1, vocab_size - 1)} | {END_OF_TEXT: 0, MASK: vocab_size - 1}
    stream = np.random.default_rng(0).integers(0, vocab_size - 1, tokens).astype(np.uint16)
    return Corpus(Tokenizer(models.WordLevel(words)), {"train": stream, "validation": stream[: 1 << 16]})


def measure_training_step(trainer: Trainer, repeats: int) -> TrainingStepCost:
    """Time steps under torch's profiler, after one that is not counted."""
    device, config = trainer.device, trainer.config
    steps = trainer.run()
    next(steps)
    began = time.perf_counter()
    for _ in range(repeats):
        next(steps)
    seconds = (time.perf_counter() - began) / repeats
    cuda = device.type == "cuda"
    watched = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
    with profile(activities=watched) as seen:
        for _ in range(repeats):
            next(steps)
    spent = {
        event.key: float(event.self_device_time_total if cuda else event.self_cpu_time_total)
        for event in seen.key_averages()
        # a GPU's kernels are listed once more by themselves
        if event.device_type.name == "CPU"
    }
    rate = config.run.batch * config.model.length / seconds
    peak = matmul_peak(device, trainer.precision, time.perf_counter)
    used = rate * flops_per_token(config, trainer.corpus.mask_id) / peak
    return TrainingStepCost(seconds, products(spent.items()), used, rate, _others(spent))


def products(spent: Iterable[tuple[str, float]]) -> float:
    """Return the share of (operation, time in it alone) that is matrix products and attention."""
    pairs = list(spent)
    total = sum(seconds for _, seconds in pairs)
    return sum(seconds for name, seconds in pairs if name.startswith(PRODUCTS)) / total if total else 0.0


def _others(spent: dict[str, float], count: int = 4) -> tuple[tuple[str, float], ...]:
    total = sum(spent.values()) or 1.0
    rest = sorted(((t, name) for name, t in spent.items() if not name.startswith(PRODUCTS)), reverse=True)
    return tuple((name, seconds / total) for seconds, name in rest[:count])


def measure_resuming(config: TrainConfig, corpus: Corpus, home: Path, device: torch.device) -> CheckpointCost:
    """Save a trainer after a step, and make another that continues."""
    trainer = Trainer(config, corpus, home, device)
    next(trainer.run())
    began = time.perf_counter()
    trainer.save()
    saved = time.perf_counter()
    del trainer
    then = time.perf_counter()
    Trainer(config, corpus, home, device)
    return CheckpointCost(saved - began, time.perf_counter() - then, (home / "last.pt").stat().st_size / (1 << 20))


def measure_batches(home: Path, tokens: int, length: int, rows: int, seconds: float) -> float:
    """Return the tokens a second of batches of windows from shards of this many tokens."""
    home.mkdir(parents=True, exist_ok=True)
    piece = list(range(1 << 16))
    long = Document("x" * (1 << 18), "train")  # so that few are tokenised at a time
    documents = (long for _ in range(-(-tokens // len(piece))))
    write_streams(home, documents, lambda texts: [piece] * len(texts), len(piece))
    corpus = Corpus(Tokenizer(models.WordLevel({})), open_streams(home))
    return reading_speed(corpus, length, rows, seconds, time.perf_counter)
