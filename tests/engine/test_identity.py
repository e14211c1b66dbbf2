"""What a model is known by: everything that decides what it says, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.evaluation.identity import files_digest, identity, model_files
from engine.files.run_layout import CHECKPOINT, NEWEST
from engine.records import ModelChoice
from engine.serve import load
from tests.engine.dit_files import HUB, prefixed, state, write_hub, write_tokenizer


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


def test_a_file_outside_of_the_model_is_part_of_it_by_its_content_and_not_by_its_place(tmp_path: Path) -> None:
    choice = ModelChoice(str(made(tmp_path / "one")))
    files = [tmp_path / place / "tokenizer.json" for place in ("a", "b", "c")]
    for path, data in zip(files, (b"x", b"x", b"y"), strict=True):
        path.parent.mkdir()
        path.write_bytes(data)
    first, again, other = (identity(choice, [path]) for path in files)
    assert first == again
    assert len({identity(choice), first, other}) == 3
    assert files_digest(files[:1]) == files_digest(files[1:2]) != files_digest(files[2:])


def test_files_that_are_gone_say_nothing(tmp_path: Path) -> None:
    assert identity(ModelChoice(str(tmp_path / "none"))) == ""


def test_the_engine_says_which_model_it_has_loaded() -> None:
    choice = ModelChoice("demo", device="cpu")
    assert load(choice, lambda stage, done, total: None).info.fingerprint == identity(choice) != ""


@pytest.fixture
def borrowing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A checkpoint without a tokenizer, and the usual one's file in the hub's cache."""
    from huggingface_hub import constants

    cache = tmp_path / "cache"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    place = cache / "models--openai-community--gpt2"
    usual = write_tokenizer(place / "snapshots" / "abc" / "tokenizer.json")
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text("abc")
    return write_hub(tmp_path / "model", HUB, prefixed(state(seed=1))), usual


def test_a_tokenizer_that_the_hub_lends_is_part_of_the_model(borrowing: tuple[Path, Path]) -> None:
    home, usual = borrowing
    choice = ModelChoice(str(home), device="cpu")
    before = load(choice, lambda stage, done, total: None)
    assert before.outside == (usual,)
    usual.write_text(usual.read_text() + " ")
    after = load(choice, lambda stage, done, total: None)
    assert after.info.differs(before.info)


@pytest.mark.parametrize("how", ["beside", "named"])
def test_the_models_own_tokenizer_and_a_named_one_are_not_lent(borrowing: tuple[Path, Path], how: str) -> None:
    home, usual = borrowing
    named = write_tokenizer(home / "tokenizer.json") if how == "beside" else usual
    choice = ModelChoice(str(home), device="cpu", tokenizer=str(named) if how == "named" else None)
    assert load(choice, lambda stage, done, total: None).outside == ()
