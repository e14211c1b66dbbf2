"""`import` writes a recording that the other commands open."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.recording import Recording

M = 9
STATES = [[7, M, M, M], [7, 3, M, M], [7, 3, 4, M], [7, 3, 4, 5]]


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "trace.json"
    path.write_text(json.dumps({"ids": STATES}))
    return path


def test_a_trace_becomes_a_recording(cli: Callable[..., Any], tmp_path: Path, trace: Path) -> None:
    out = tmp_path / "run.remdm"
    done = cli("import", str(trace), "--out", str(out), "--strategy", "mine")
    assert done.exit_code == 0
    assert "3 steps of 1 sample with 4 positions, mask 9" in done.stdout
    assert cli("lint", str(out)).exit_code == 0
    cli("export", str(out), "--out", str(tmp_path / "run.txt"))
    assert (tmp_path / "run.txt").read_text().split() == ["7", "3", "4", "5"]
    cli("export", str(out), "--out", str(tmp_path / "run.csv"))
    assert "mine" in (tmp_path / "run.csv").read_text()
    cli("export", str(out), "--out", str(tmp_path / "run.html"))
    assert "mine" in (tmp_path / "run.html").read_text()
    assert cli("export", str(out), "--out", str(tmp_path / "run.map.svg")).exit_code == 0


def test_a_tokenizer_gives_the_texts(cli: Callable[..., Any], tmp_path: Path, trace: Path) -> None:
    done = cli("import", str(trace), "--out", str(tmp_path / "run.remdm"), "--tokenizer", "demo")
    assert done.exit_code == 0
    recording = Recording.open(tmp_path / "run.remdm")
    assert recording.header.model.vocab_size > 4000
    assert recording.model.pieces[M] == "[MASK]"
    assert recording.model.pieces[7]
    assert not recording.model.pieces[7].strip().isdigit()


@pytest.mark.parametrize(
    ("name", "more", "says"),
    [
        ("missing.json", [], "No such file"),
        ("notes.txt", [], "ends in none of .json"),
        ("broken.json", [], "is no JSON"),
        ("map.json", [], "give it with --mask-id"),
        ("trace.json", ["--tokenizer", "./nowhere.json"], "there is no tokenizer file"),
        ("trace.json", ["--mask-id", "8"], "no state holds the mask 8"),
    ],
)
def test_bad_input_is_one_sentence(
    cli: Callable[..., Any], tmp_path: Path, trace: Path, name: str, more: list[str], says: str
) -> None:
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "map.json").write_text(json.dumps({"step_map": [0, 1], "ids": [1, 2]}))
    done = cli("import", str(tmp_path / name), "--out", str(tmp_path / "run.remdm"), *more)
    assert done.exit_code == 2
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "run.remdm").exists()


def test_an_existing_file_is_kept(cli: Callable[..., Any], tmp_path: Path, trace: Path) -> None:
    (tmp_path / "run.remdm").write_text("mine")
    done = cli("import", str(trace), "--out", str(tmp_path / "run.remdm"))
    assert done.exit_code == 2
    assert "exists" in done.stderr
    assert (tmp_path / "run.remdm").read_text() == "mine"
