"""Damage of a model that was exported is seen by whoever reads it, and named; models without checksums load."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from engine.files import digests
from engine.files.checksums import check_checksum, checksum, known, replace_checked, replacing_checked
from engine.files.run_layout import MODEL_FILES, QUALITY, STEP, ExportNote, read_exported
from engine.metrics.judges import load_judge
from engine.models import load_model
from engine.models.checkpoint import export_model
from engine.models.dit import DITConfig
from engine.models.kinds import KINDS
from engine.training import init_from
from engine.training.data import existing_tokenizer, train_tokenizer
from engine.training.export import publish

VOCABULARY = 260


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(iter(["a text of a few words, and another one"] * 3), VOCABULARY)


@pytest.fixture(params=["model", "hub"])
def home(request: pytest.FixtureRequest, tokenizer: Tokenizer, tmp_path: Path) -> Path:
    """A small model as training exports it: our own layout, and the hub's."""
    size = tokenizer.get_vocab_size()
    shape = DITConfig(vocab_size=size, hidden_size=16, n_blocks=1, n_heads=2, cond_dim=8, length=12, mask_id=size - 1)
    model = KINDS["dit"].network(shape)
    if request.param == "model":
        export_model(model, tokenizer.to_str(), tmp_path / "model")
    else:
        publish(model, tokenizer, tmp_path / "model", "dit", None)
    return tmp_path / "model"


def flip(path: Path, at: float = 0.5) -> None:
    """One bit of the byte in the middle."""
    data = bytearray(path.read_bytes())
    data[int(at * len(data))] ^= 1
    path.write_bytes(data)


READERS: dict[str, Callable[[str], object]] = {
    "begin": init_from.shape,
    "judge": lambda name: load_judge(name, "cpu"),
    "tokenizer": existing_tokenizer,
}


@pytest.mark.parametrize("file", MODEL_FILES)
def test_one_bit_of_any_file_of_a_model_is_seen(home: Path, file: str) -> None:
    flip(home / file)
    with pytest.raises(ValueError, match=rf"{file} is damaged: it does not match its checksum in {file}\.sha256"):
        load_model(str(home), "cpu", "float32")


@pytest.mark.parametrize("home", ["model"], indirect=True)
@pytest.mark.parametrize(("reader", "file"), [
    ("begin", "model.safetensors"), ("begin", "config.json"), ("judge", "model.safetensors"),
    ("judge", "tokenizer.json"), ("tokenizer", "tokenizer.json"),
])  # fmt: skip
def test_whoever_reads_a_model_sees_its_damage(home: Path, reader: str, file: str) -> None:
    flip(home / file)
    with pytest.raises(ValueError, match=f"{file} is damaged: it does not match its checksum"):
        READERS[reader](str(home))


def test_a_model_without_checksums_loads_and_so_do_those_of_others(home: Path) -> None:
    flip(home / "model.safetensors", 0.9)
    for file in MODEL_FILES:
        checksum(home / file).unlink()
    load_model(str(home), "cpu", "float32")
    # another program's file of the same name, which says nothing that is known here
    checksum(home / "model.safetensors").write_text("CRC32 (model.safetensors) = 00000000\n")
    load_model(str(home), "cpu", "float32")


def test_an_export_over_a_damaged_model_makes_it_whole(home: Path, tokenizer: Tokenizer) -> None:
    for file in MODEL_FILES:
        flip(home / file)
    size = tokenizer.get_vocab_size()
    shape = DITConfig(vocab_size=size, hidden_size=16, n_blocks=1, n_heads=2, cond_dim=8, length=12, mask_id=size - 1)
    export_model(KINDS["dit"].network(shape), tokenizer.to_str(), home)
    load_model(str(home), "cpu", "float32")
    assert all(len(known(home / file)) == 1 for file in MODEL_FILES)


@pytest.mark.parametrize("name", [*MODEL_FILES, QUALITY])
def test_a_pipe_in_a_model_directory_is_named(home: Path, name: str) -> None:
    (home / name).unlink(missing_ok=True)
    os.mkfifo(home / name)
    with pytest.raises(ValueError, match=rf"{name} is a named pipe, not a regular file$"):
        load_model(str(home), "cpu", "float32")
    if name == "tokenizer.json":
        # where there is none, a run that begins with the model takes GPT-2's
        with pytest.raises(ValueError, match="is a named pipe"):
            init_from.tokenizer(str(home))


def test_a_checksum_that_is_no_file_is_none(home: Path) -> None:
    for name, make in (("config.json", os.mkfifo), ("tokenizer.json", lambda there: there.symlink_to("/dev/zero"))):
        there = checksum(home / name)
        there.unlink(missing_ok=True)
        make(there)
        assert known(home / name) == []
    assert load_model(str(home), "cpu", "float32").info.vocab_size


def test_a_large_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "CACHED_FROM", 10)
    monkeypatch.setattr(digests, "default_cache", lambda: tmp_path / "digests")
    path = tmp_path / "large"
    replace_checked(path, bytes(100))
    check_checksum(path)
    with monkeypatch.context() as again:
        again.setattr(digests, "_digest", lambda path, count: pytest.fail("it is read again"))
        check_checksum(path)
    flip(path)
    with pytest.raises(ValueError, match="large is damaged"):
        check_checksum(path)


def _killed(old: Path, new: Path) -> None:
    if Path(new).name == "words":
        raise KeyboardInterrupt
    Path(old).rename(new)


@pytest.mark.parametrize("is_summed", [True, False])
def test_a_kill_between_checksum_and_file_leaves_a_whole_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_summed: bool
) -> None:
    path = tmp_path / "words"
    replace_checked(path, b"old")
    if not is_summed:
        checksum(path).unlink()
    with monkeypatch.context() as killed:
        killed.setattr("engine.files.atomic.os.replace", _killed)
        for data in (b"new", b"newer"):
            with pytest.raises(KeyboardInterrupt), replacing_checked(path) as part:
                part.write_bytes(data)
    check_checksum(path)
    assert path.read_bytes() == b"old"


def test_a_damaged_file_is_not_taken_for_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "words"
    replace_checked(path, b"old")
    flip(path)
    replace_checked(path, b"new")
    assert len(known(path)) == 1
    check_checksum(path)


def test_a_damaged_note_of_what_a_model_is_made_of_says_nothing(tmp_path: Path) -> None:
    replace_checked(tmp_path / STEP, json.dumps({"step": 17, "at": 5, "bytes": 9}).encode())
    assert read_exported(tmp_path).step == 17
    path = tmp_path / STEP
    path.write_bytes(path.read_bytes().replace(b"17", b"16"))
    assert read_exported(tmp_path) == ExportNote()
