"""`train-head`: it writes a head beside a model, and refuses what it cannot train."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engine.models import checkpoint, load_model
from engine.models.dit import DIT, DITConfig
from engine.records import ModelChoice
from engine.training.data import prepare
from remdm_tui.commands.train_head import run
from tests.engine.texts import VOCABULARY, write_texts
from tests.killed import leave, unfinished


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("train-head")
    corpus = prepare([write_texts(home)], VOCABULARY, home / "cache")
    size = corpus.tokenizer.get_vocab_size()
    torch.manual_seed(5)
    checkpoint.export_model(DIT(DITConfig(size, 24, 2, 3, 8, 16, size - 1)), corpus.tokenizer.to_str(), home / "model")
    return home


def test_a_head_is_written_beside_the_model_and_loaded(home: Path) -> None:
    choice = ModelChoice(str(home / "model"), "cpu", "float32")
    leave(home / "model", ["quality.safetensors", "quality.safetensors.sha256"])
    summary = run(choice, [str(home / "nonsense.jsonl")], steps=3, batch=2, rows=40, quiet=True)
    assert summary.startswith(f"{home / 'model' / 'quality.safetensors'}: a right token scores above a wrong one in ")
    assert "after 3 steps on 40 rows" in summary
    assert unfinished(home / "model") == ["mine.part"]
    assert load_model(str(home / "model"), "cpu", "float32").quality is not None


def test_a_training_run_is_no_place_for_a_head(home: Path, tmp_path: Path) -> None:
    (tmp_path / "last.pt").write_bytes(b"")
    with pytest.raises(ValueError, match=f"is a training run.*: give {tmp_path / 'model'}"):
        run(ModelChoice(str(tmp_path), "cpu", "float32"), [str(home / "nonsense.jsonl")], steps=1, quiet=True)


def test_a_built_in_model_needs_a_directory(home: Path) -> None:
    with pytest.raises(ValueError, match=r"the files of demo cannot be added to: .* give --out DIR"):
        run(ModelChoice("demo", "cpu", "float32"), [str(home / "nonsense.jsonl")], steps=1, quiet=True)
