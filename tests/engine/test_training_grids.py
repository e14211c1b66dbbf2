"""Training on generated grids: what a number means, and that the ordinary loop trains and resumes on them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from engine.files.configs import configs
from engine.models import load_model
from engine.records import GridLayout
from engine.sampling.rng import Purpose, keys_of
from engine.sudoku.grids import copies
from engine.sudoku.rules import is_solved, parse
from engine.training.config import TrainConfig
from engine.training.config_file import read_config
from engine.training.export import export_best, export_hub
from engine.training.grids import DIGITS, GridCorpus, generate_sudoku
from engine.training.loop import Trainer
from engine.training.tokenizers import alphabet_tokenizer
from tests.killed import leave, unfinished

GRID = parse("534678912672195348198342567859761423426853791713924856961537284287419635345286179")
CONFIG = """
[data]
generated = "sudoku"
[model]
vocab_size = 10
hidden_size = 32
n_blocks = 1
n_heads = 4
length = 81
dropout = 0.0
[model.grid]
loops = 2
[optim]
lr = 3e-3
warmup = 5
[run]
steps = 30
batch = 8
ema = 0.9
max_weight = 4.0
checkpoint_every = 10
validate_every = 10
validation_windows = 8
precision = "float32"
"""


def few_grids() -> GridCorpus:
    at = keys_of(9, range(6), [0] * 6, Purpose.COPY)
    grids = (copies(np.tile(GRID, (6, 1)), at) - np.uint8(1)).ravel()
    return GridCorpus(alphabet_tokenizer(DIGITS), {"train": grids[: 4 * 81], "validation": grids[4 * 81 :]})


def trainer(home: Path, steps: int = 30) -> Trainer:
    config = read_config(CONFIG)
    config = msgspec.structs.replace(config, run=msgspec.structs.replace(config.run, steps=steps))
    return Trainer(config, few_grids(), home, torch.device("cpu"))


def test_a_row_is_a_grid_that_its_number_decides() -> None:
    corpus = few_grids()
    numbers = corpus.batch(81, 8, 1, 3, np.random.default_rng(0))
    assert numbers.tolist() == list(range(24, 32))
    rows = corpus.at("train", numbers, 81)
    assert is_solved((rows + 1).astype(np.uint8)).all()
    assert len(np.unique(rows, axis=0)) == 8
    assert np.array_equal(corpus.at("train", numbers[5:6], 81)[0], rows[5])
    assert not np.array_equal(corpus.spread("validation", 81, 2), corpus.at("train", np.arange(2), 81))


def test_the_loop_trains_and_resumes_on_grids_and_the_model_loads(tmp_path: Path) -> None:
    whole = list(trainer(tmp_path / "whole").run())
    for progress in (cut := trainer(tmp_path / "cut")).run():
        if progress.step == 13:
            break
    again = list(trainer(tmp_path / "cut").run())
    assert cut.step == 13
    assert [p.loss for p in again] == [p.loss for p in whole[10:]]
    assert np.mean([p.loss for p in whole[-5:]]) < whole[0].loss

    assert export_best(trainer(tmp_path / "whole")) == 30
    model = load_model(str(tmp_path / "whole" / "model"), "cpu")
    assert model.info.layout == GridLayout(9, 9, 3, 3, distinct=True)
    assert model.max_length == 81
    with pytest.raises(ValueError, match="no layout on the hub"):
        export_hub(trainer(tmp_path / "whole"))


def test_grids_are_made_once_and_again_when_damaged(tmp_path: Path) -> None:
    pytest.importorskip("pycryptosat")
    leave(tmp_path, ["sudoku-train-3.npy", "sudoku-train-3.npy.sha256"])
    corpus = generate_sudoku(3, tmp_path)
    assert unfinished(tmp_path) == ["mine.part"]
    assert is_solved(corpus.splits["train"].reshape(3, 81) + np.uint8(1)).all()
    again = generate_sudoku(3, tmp_path, lambda prepared: pytest.fail("made again"))
    assert np.array_equal(again.splits["train"], corpus.splits["train"])
    path = tmp_path / "sudoku-train-3.npy"
    path.write_bytes(path.read_bytes()[:-5])
    assert np.array_equal(generate_sudoku(3, tmp_path).splits["train"], corpus.splits["train"])
    assert Tokenizer.from_str(corpus.tokenizer.to_str()).encode("123").ids == [0, 1, 2]


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("[data]", 'objective = "sedd"\n[data]', "model.grid is trained by"),
        ("loops = 2", "loops = 0", "loops must be"),
        ("length = 81", "length = 80", "length must be 81"),
        ('generated = "sudoku"', 'generated = "sudoku"\ntokenizer = "gpt2"', "leave out data.tokenizer"),
        ('generated = "sudoku"', 'generated = "chess"', "data.generated"),
        ('generated = "sudoku"', 'generated = "sudoku"\ngrids = 0', "data.grids is too small"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(old: str, new: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        read_config(CONFIG.replace(old, new)).network(9)


def test_the_demo_stays_within_its_size() -> None:
    config = read_config(configs("remdm_tui", "train")["sudoku"].read_text(encoding="utf-8"))
    assert isinstance(config, TrainConfig)
    assert config.network(9).depth == 8
