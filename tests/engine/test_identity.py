"""What a model is known by: everything that decides what it says, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.evaluation.identity import files_digest, identity, model_files
from engine.files.run_layout import CHECKPOINT, NEWEST
from engine.models.tokenizer import tokenizer_source
from engine.records import ModelChoice
from engine.serve import load
from tests.engine import library
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


def test_shards_are_part_of_a_model_that_is_named_by_their_index(tmp_path: Path) -> None:
    home = made(tmp_path / "one")
    (home / "model.safetensors").unlink()
    index, shards = home / "model.safetensors.index.json", [home / f"model-{n}.safetensors" for n in "12"]
    index.write_text(json.dumps({"weight_map": {"a": shards[0].name, "b": shards[1].name, "c": shards[1].name}}))
    for shard in shards:
        shard.write_bytes(b"w")
    choice = ModelChoice(str(index))
    found = [identity(choice)]
    for shard in shards:
        shard.write_bytes(b"x")
        found.append(identity(choice))
    assert len(set(found)) == 3


def test_an_index_that_cannot_be_read_is_known_by_its_own_content(tmp_path: Path) -> None:
    index = tmp_path / "model.safetensors.index.json"
    found = set()
    for text in ("", "[]", '{"weight_map": 1}', '{"weight_map": {"a": 1}}', '{"weight_map": {"a": "none"}}'):
        index.write_text(text)
        found.add(identity(ModelChoice(str(index))))
    assert len(found) == 5


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


SPEAKS = {
    "words": ("vocab.txt",),
    "pairs": ("vocab.json", "merges.txt"),
    "pieces": ("tokenizer.model", "special_tokens_map.json"),
    "bytes": ("tokenizer_config.json",),
    "file": ("tokenizer.json", "tokenizer_config.json"),
}
"""The files of tokenizers of several makes."""


def kept(cache: Path, repo: str, *names: str) -> Path:
    """A repository of these files as the hub's library keeps one."""
    home = cache / f"models--{repo.replace('/', '--')}"
    inside = home / "snapshots" / ("a" * 40)
    inside.mkdir(parents=True)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text("a" * 40)
    (home / "blobs").mkdir()
    for name in names:
        (home / "blobs" / name).write_text("one")
        (inside / name).symlink_to(home / "blobs" / name)
    return inside


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's cache, with no hub."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "cache"


@pytest.mark.parametrize("make", SPEAKS)
def test_a_tokenizer_of_the_hub_is_part_of_the_model_by_every_file(hub: Path, tmp_path: Path, make: str) -> None:
    home, inside = made(tmp_path / "one"), kept(hub, "org/speaks", *SPEAKS[make])
    found = [identity(choice := ModelChoice(str(home), tokenizer="org/speaks"))]
    for name in SPEAKS[make]:
        (inside / name).write_text("another")
        found.append(identity(choice))
    assert "" not in found
    assert len({*found, identity(ModelChoice(str(home)))}) == len(SPEAKS[make]) + 2
    assert identity(ModelChoice(str(home), tokenizer=str(inside))) == found[-1]


def test_a_tokenizer_by_the_name_of_a_built_in_or_an_alias_is_part_of_the_model(hub: Path, tmp_path: Path) -> None:
    home = str(made(tmp_path / "one"))
    kept(hub, "gpt2", "vocab.json", "merges.txt")
    found = [identity(ModelChoice(home, tokenizer=name)) for name in (None, "demo", "gpt2")]
    assert "" not in found
    assert len(set(found)) == 3


def test_a_tokenizer_that_the_hub_does_not_have_is_named(hub: Path) -> None:
    kept(hub, "org/silent", "config.json")
    for name in ("org/silent", "org/none", "no name"):
        with pytest.raises(ValueError, match=name):
            tokenizer_source(name)


def test_a_model_reads_the_tokenizer_that_it_is_known_by(hub: Path, tmp_path: Path) -> None:
    """A list of words alone, in a repository without weights."""
    home = tmp_path / "bert"
    library.saved(library.made("BertForMaskedLM", **library.SMALL, vocab_size=len(library.BERT_WORDS)), home)
    words = kept(hub, "org/words", "vocab.txt") / "vocab.txt"
    choice = ModelChoice(str(home), device="cpu", tokenizer="org/words")
    words.write_text("\n".join(library.BERT_WORDS))
    before = load(choice, lambda stage, done, total: None)
    swapped = [{"cat": "dog", "dog": "cat"}.get(word, word) for word in library.BERT_WORDS]
    words.write_text("\n".join(swapped))
    after = load(choice, lambda stage, done, total: None)
    assert before.codec.encode("cat") == after.codec.encode("dog")
    assert after.info.differs(before.info)


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
