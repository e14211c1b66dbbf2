"""What a run leaves behind can be loaded: as the hub's models are laid out, and while it goes on."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from engine.models import load_model
from engine.models.checkpoint import export_model, read_network
from engine.models.checkpoint import read_model_config as read_shape
from engine.models.readers.training_run import export_newest
from engine.training.config import TrainConfig
from engine.training.config_file import read_config
from engine.training.data import Corpus, prepare
from engine.training.export import best_model, export_hub
from engine.training.loop import Trainer
from engine.training.objectives import OBJECTIVES
from engine.training.samples import sample_texts
from engine.training.speed import flops_per_token, matmul_peak
from tests.engine.texts import VOCABULARY, write_texts

KINDS = {"mdlm": "MDLM", "sedd": "SEDD", "d3pm": "D3PM", "ar": "AR", "ssd-lm": "SSD-LM"}


def config(objective: str) -> TrainConfig:
    return read_config(f"""
objective = "{objective}"
[ssd_lm]
block = 4
[model]
vocab_size = {VOCABULARY}
hidden_size = 16
n_blocks = 2
n_heads = 2
cond_dim = 8
length = 12
[optim]
lr = 1e-2
warmup = 2
[run]
steps = 4
batch = 4
ema = 0.5
checkpoint_every = 2
validate_every = 2
validation_windows = 4
precision = "float32"
""")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    home = tmp_path_factory.mktemp("texts")
    return prepare([write_texts(home)], VOCABULARY, home / "cache")


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_what_is_published_is_read_back_as_it_was(objective: str, corpus: Corpus, tmp_path: Path) -> None:
    trainer = Trainer(config(objective), corpus, tmp_path / "a-run", torch.device("cpu"))
    list(trainer.run())
    home = export_hub(trainer)
    trained, _ = best_model(trainer)
    loaded = load_model(str(home), "cpu", "float32")
    assert (loaded.info.kind, loaded.mask_id) == (KINDS[objective], VOCABULARY - 1)
    assert (loaded.info.notes == ()) is (objective != "ssd-lm")
    kept = trainer.home / "model"
    export_model(trained, corpus.tokenizer.to_str(), kept, torch.float32, kind=trainer.objective.kind)
    ours = load_model(str(kept), "cpu", "float32")
    tokens = torch.randint(VOCABULARY - 1, (2, 12), generator=torch.Generator().manual_seed(0))
    tokens[:, ::3] = VOCABULARY - 1
    times = torch.tensor([0.2, 0.7], dtype=torch.float64)
    hidden, expected = loaded.encode(tokens, times), ours.encode(tokens, times)
    torch.testing.assert_close(loaded.project(hidden[0]), ours.project(expected[0]), rtol=1e-6, atol=1e-6)
    assert float(ours.project(expected[0]).std()) > 0


def test_the_tensors_are_named_as_on_the_hub(corpus: Corpus, tmp_path: Path) -> None:
    trainer = Trainer(config("mdlm"), corpus, tmp_path, torch.device("cpu"))
    list(trainer.run())
    with safe_open(str(export_hub(trainer) / "model.safetensors"), "pt") as file:
        names = set(file.keys())
    assert names == {f"backbone.{name}" for name in trainer.model.state_dict()}
    assert "backbone.blocks.1.adaLN_modulation.weight" in names


def test_the_newest_model_follows_the_run_and_is_written_once_a_checkpoint(corpus: Corpus, tmp_path: Path) -> None:
    trainer = Trainer(config("ar"), corpus, tmp_path, torch.device("cpu"))
    with pytest.raises(ValueError, match="there is no last"):
        export_newest(tmp_path)
    steps = trainer.run()
    list(islice(steps, 3))
    first = export_newest(tmp_path)
    stamp = (first.home / "model.safetensors").stat().st_mtime_ns
    assert (first.step, read_shape(first.home / "config.json")[0]) == (2, "causal")
    assert export_newest(tmp_path) == first
    assert (first.home / "model.safetensors").stat().st_mtime_ns == stamp
    # a damaged one is made again of the checkpoint
    tokenizer = (first.home / "tokenizer.json").read_bytes()
    (first.home / "tokenizer.json").write_bytes(tokenizer.replace(b"a", b"b", 1))
    assert export_newest(tmp_path) == first
    assert (first.home / "tokenizer.json").read_bytes() == tokenizer
    list(steps)
    assert export_newest(tmp_path).step == 4
    average = trainer.ema.shadow["vocab_embed.embedding"]
    assert torch.equal(read_network(first.home).vocab_embed.embedding, average.bfloat16().float())


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_run_writes_a_text(objective: str, corpus: Corpus, tmp_path: Path) -> None:
    list(islice(Trainer(config(objective), corpus, tmp_path, torch.device("cpu")).run(), 2))
    texts = sample_texts(tmp_path, 2, "cpu")
    assert len(texts) == 2
    assert texts == sample_texts(tmp_path, 2, "cpu")
    # what SSD-LM shows is an argmax, which is one token for a network that has learned nothing yet
    assert texts[0] != texts[1] or objective == "ssd-lm"


def test_the_arithmetic_of_a_token_is_that_of_its_matrices() -> None:
    """By hand for two blocks of width 16, length 12: six a weight, half of the head, and attention."""
    blocks, head, pairs = 2 * 12 * 16 * 16, 16 * VOCABULARY, 2 * 12 * 16
    mask = VOCABULARY - 1
    assert flops_per_token(config("mdlm"), mask) == 6 * blocks + 6 * head / 2 + 12 * pairs
    assert flops_per_token(config("ar"), mask) == 6 * blocks + 6 * head + 6 * pairs
    # the context of 1 to 8 tokens before a block of 4 is 4.5 in the mean
    seen = 8.5 / 12
    expected = 6 * blocks * seen + 6 * head / 3 + 12 * pairs * seen**2
    assert flops_per_token(config("ssd-lm"), mask) == pytest.approx(expected)


def test_the_peak_is_the_best_of_its_rounds() -> None:
    times = iter([0.0, 0.0, 2.0, 2.0, 3.0])
    assert matmul_peak(torch.device("cpu"), "float32", lambda: next(times), 3.0) == 8 * 512**3 / 1.0
