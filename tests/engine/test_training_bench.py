"""What the benchmark of training says: shares of a step, the cost of a checkpoint, the speed of reading."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engine.bench.training import measure_batches, measure_resuming, measure_training_step, products, random_corpus
from engine.training.config_file import read_config
from engine.training.loop import Trainer

CONFIG = read_config("""
model = {vocab_size = 600, hidden_size = 16, n_blocks = 1, n_heads = 2, cond_dim = 8, length = 12}
run = {steps = 100, batch = 2, precision = "float32", validate_every = 100}
""")


def test_products_are_distinguished_from_all_else_by_their_names() -> None:
    spent = [("aten::mm", 3.0), ("aten::_scaled_dot_product_flash_attention_for_cpu_backward", 2.0), ("aten::mul", 5.0)]
    assert products(spent) == 0.5
    assert products([]) == 0


def test_a_step_is_taken_apart(tmp_path: Path) -> None:
    trainer = Trainer(CONFIG, random_corpus(600, 1 << 10), tmp_path, torch.device("cpu"))
    step = measure_training_step(trainer, 1)
    assert trainer.step == 3
    assert 0 < step.products < 1
    assert step.tokens_per_second == pytest.approx(2 * 12 / step.seconds)
    assert step.products + sum(share for _, share in step.others) <= 1
    assert 0 < step.utilisation < 1


def test_a_resume_is_one_to_the_step_that_was_saved(tmp_path: Path) -> None:
    corpus = random_corpus(600, 1 << 10)
    cost = measure_resuming(CONFIG, corpus, tmp_path, torch.device("cpu"))
    assert min(cost.saving, cost.resuming, cost.mib) > 0
    assert Trainer(CONFIG, corpus, tmp_path, torch.device("cpu")).step == 1


def test_shards_are_read_at_some_speed(tmp_path: Path) -> None:
    assert measure_batches(tmp_path / "read", 1 << 16, 16, 4, 0.01) > 1000
