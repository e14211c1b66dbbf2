"""Files are whole or absent, errors name them, and what a killed process left goes at the next start."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from engine.data.shards import lock_for_writing
from engine.evaluation.store import EvalStore
from engine.files.atomic import discard, probe, replace, replacing, tidy
from engine.files.checkpoint_files import write_state
from engine.files.digests import file_digests
from engine.files.run_layout import WRITTEN as OF_RUNS
from engine.models.checkpoint import export_model
from engine.models.dit import DIT, DITConfig
from tests.killed import ended, leave, unfinished

LIMIT = 4096


@contextmanager
def full_disk() -> Iterator[None]:
    """No file grows beyond LIMIT, which the system answers as it does a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, limits[1]))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)


def names(home: Path) -> list[str]:
    return sorted(path.name for path in home.iterdir())


@pytest.mark.parametrize(
    "write",
    [
        lambda path: replace(path, bytes(2 * LIMIT)),
        lambda path: write_state(path, {"x": torch.zeros(LIMIT)}),
        lambda path: _replaced(path, lambda part: save_file({"x": torch.zeros(LIMIT)}, part)),
        lambda path: _replaced(path, _by_flush),
    ],
    ids=["bytes", "torch", "safetensors", "flush"],
)
def test_a_full_disk_names_the_file_and_leaves_the_old_one(tmp_path: Path, write: Callable[[Path], None]) -> None:
    path = tmp_path / "a.file"
    path.write_bytes(b"old")
    with full_disk(), pytest.raises(OSError, match="File too large") as caught:
        write(path)
    assert caught.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.file"]


def _replaced(path: Path, write: Callable[[Path], object], new: bool = False) -> None:
    with replacing(path, new=new) as part:
        write(part)


def _filled(part: Path) -> Path:
    part.write_bytes(b"first")
    return part


def _by_flush(part: Path) -> None:
    with part.open("wb") as file:
        file.write(bytes(2 * LIMIT))


def test_a_directory_that_is_missing_is_reported_by_the_files_own_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        replace(tmp_path / "none" / "a.file", b"")
    assert caught.value.filename == str(tmp_path / "none" / "a.file")


def test_a_new_file_takes_the_place_of_none(tmp_path: Path) -> None:
    replace(tmp_path / "a.file", b"first", new=True)
    with pytest.raises(FileExistsError) as caught:
        replace(tmp_path / "a.file", b"second", new=True)
    assert caught.value.filename == str(tmp_path / "a.file")
    with pytest.raises(FileExistsError):
        _replaced(tmp_path / "b.file", lambda part: (tmp_path / "b.file").hardlink_to(_filled(part)), new=True)
    assert [(tmp_path / name).read_bytes() for name in names(tmp_path)] == [b"first", b"first"]


def test_two_may_write_one_file_at_a_time_and_each_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.file"
    with replacing(path) as one, replacing(path) as other:
        one.write_bytes(b"one")
        other.write_bytes(b"other")
    assert path.read_bytes() == b"one"
    assert names(tmp_path) == ["a.file"]


def test_what_a_running_process_writes_stays_and_what_an_ended_one_wrote_goes(tmp_path: Path) -> None:
    left, runs = ended(), os.getppid()
    gone = [
        f"a.json.{left}-3.part",
        f"a.json.{left}.part",
        "a.json.part",
        f".{left}.part",
        f"a.json.{os.getpid()}-0.part",
    ]
    stay = ["a.json", f"a.json.{runs}-3.part", f"b.json.{left}-3.part", "notes.part", f"my.a.json.{left}-1.part"]
    for name in gone + stay:
        (tmp_path / name).write_bytes(b"")
    with replacing(tmp_path / "a.json") as part:
        part.write_bytes(b"")
        tidy(tmp_path, ["a.json"])
        assert names(tmp_path) == sorted([*stay, part.name])
        discard(tmp_path / "a.json")
        assert not part.exists()
        part.write_bytes(b"")


def test_a_probe_leaves_nothing(tmp_path: Path) -> None:
    probe(tmp_path / "new")
    assert names(tmp_path / "new") == []


def _digested(home: Path) -> None:
    (home.parent / "large").write_bytes(bytes(1 << 24))
    file_digests([home.parent / "large"], cache=home)


def _exported(home: Path) -> None:
    export_model(
        DIT(DITConfig(vocab_size=8, hidden_size=8, n_blocks=1, n_heads=1, cond_dim=4, length=4, mask_id=7)), "{}", home
    )


def _stored(home: Path) -> None:
    store = EvalStore(home)
    store.take()
    store.close()


def _prepared(home: Path) -> None:
    with lock_for_writing(home):
        pass


def _started(home: Path) -> None:
    tidy(home, OF_RUNS)


@pytest.mark.parametrize(
    ("start", "written"),
    [
        (_digested, ["0123456789abcdef" * 4]),
        (_exported, ["model.safetensors", "config.json", "tokenizer.json"]),
        (_stored, ["settings.json", "results.json", "features.npy", "scores.rank3.jsonl", "time.rank0.jsonl"]),
        (_prepared, ["manifest.json", "unfinished.json", "tokenizer.json"]),
        (
            _started,
            [
                "last.pt", "best.pt.sha256", "step-00000002.pt", "log.jsonl", "model/model.safetensors",
                "hub/config.json", "newest/step.json", "newest/model.safetensors",
            ],
        ),
    ],
)  # fmt: skip
def test_what_a_kill_left_goes_at_the_next_start(
    tmp_path: Path, start: Callable[[Path], None], written: list[str]
) -> None:
    leave(tmp_path / "home", written)
    start(tmp_path / "home")
    assert unfinished(tmp_path / "home") == ["mine.part"]
