"""What a model is known by: everything that decides what it says, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.evaluation.identity import identity, model_files
from engine.records import ModelChoice
from engine.runs import CHECKPOINT, NEWEST
from engine.serve import load


def made(home: Path, weights: bytes = b"w") -> Path:
    home.mkdir(parents=True)
    for name, data in (("config.json", b"{}"), ("model.safetensors", weights), ("tokenizer.json", b"[]")):
        (home / name).write_bytes(data)
    return home


def test_the_same_files_elsewhere_are_the_same_model(tmp_path: Path) -> None:
    one, two = made(tmp_path / "one"), made(tmp_path / "two")
    assert identity(ModelChoice(str(one))) == identity(ModelChoice(str(two), device="cpu"))


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_another_file_is_another_model(tmp_path: Path, name: str) -> None:
    choice = ModelChoice(str(made(tmp_path / "one")))
    before = identity(choice)
    (tmp_path / "one" / name).write_bytes(b"x")
    assert identity(choice) != before


def test_other_weights_of_the_file_and_another_tokenizer_are_another_model(tmp_path: Path) -> None:
    home, other = str(made(tmp_path / "one")), str(made(tmp_path / "two") / "tokenizer.json")
    found = {identity(ModelChoice(home, ema=ema, tokenizer=its)) for ema in (True, False) for its in (None, other)}
    assert len(found) == 4


def test_a_run_in_training_is_known_by_its_newest_model(tmp_path: Path) -> None:
    run = tmp_path / "run"
    newest = made(run / NEWEST)
    (run / CHECKPOINT).write_bytes(b"state")
    assert model_files(str(run)) == newest


def test_files_that_are_gone_say_nothing(tmp_path: Path) -> None:
    assert identity(ModelChoice(str(tmp_path / "none"))) == ""


def test_the_engine_says_which_model_it_has_loaded() -> None:
    choice = ModelChoice("demo", device="cpu")
    assert load(choice, lambda stage, done, total: None).info.fingerprint == identity(choice) != ""
