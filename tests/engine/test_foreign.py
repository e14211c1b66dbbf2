"""Other people's code may raise anything, and a person's Ctrl+C still ends the program."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models

from engine.files.regular import regular_file
from engine.models.pretrained import plain_errors
from engine.models.text import Codec
from engine.strategies import files
from engine.strategies.validation import StrategyError
from engine.system.foreign import distinguish_interrupts, silent_panics

STRATEGY = """
from dataclasses import dataclass
from engine.strategies import Plan, Strategy

@dataclass(frozen=True)
class Mine(Strategy):
    def plan(self, view):
        {body}
"""


@pytest.mark.parametrize("raised", ["KeyboardInterrupt", "SystemExit(0)", "GeneratorExit", "BaseException('no')"])
def test_what_a_plan_raises_is_reported_as_its_error(raised: str) -> None:
    kind = files.from_source(STRATEGY.format(body=f"raise {raised}").encode(), "mine.py")
    with pytest.raises(StrategyError, match=f"line 8: {raised.split('(')[0]}"):
        kind().plan(None)  # type: ignore[arg-type]


def test_a_file_that_raises_an_interrupt_is_refused() -> None:
    with pytest.raises(StrategyError, match="line 1: KeyboardInterrupt"):
        files.from_source(b"raise KeyboardInterrupt", "mine.py")


def test_ctrl_c_inside_a_plan_is_no_error_of_the_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        body = "import os, signal; os.kill(os.getpid(), signal.SIGINT)"
        kind = files.from_source(STRATEGY.format(body=body).encode(), "mine.py")
        with pytest.raises(KeyboardInterrupt):
            kind().plan(None)  # type: ignore[arg-type]
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        with distinguish_interrupts():
            assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def panic(message: str) -> bytes:
    """What Rust writes of one."""
    note = "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace"
    return f"\nthread '<unnamed>' (12) panicked at src/lib.rs:3:5:\n{message}\n{note}\n".encode()


def failing() -> None:
    os.write(2, b"a warning\n")
    raise ValueError("it does not fit")


def test_reports_of_panics_are_left_out_and_warnings_stay(capfd: pytest.CaptureFixture[str]) -> None:
    with silent_panics():
        os.write(2, b"weights are missing\n" + panic("one\ntwo") + b"and mismatched\n")
        with silent_panics():
            os.write(2, panic("three")[:-90])  # cut off
    assert capfd.readouterr().err == "weights are missing\nand mismatched\n"
    with pytest.raises(ValueError, match="does not fit"), silent_panics():
        failing()
    assert capfd.readouterr().err == "a warning\n"


def test_a_report_without_a_note_leaves_no_line_behind(capfd: pytest.CaptureFixture[str]) -> None:
    with silent_panics():
        os.write(2, b"weights are missing\n" + panic("four").partition(b"note: ")[0])
    assert capfd.readouterr().err == "weights are missing\n"


def test_a_warning_while_a_library_loads_is_seen(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="model cannot be loaded: it does not fit"), plain_errors("model"):
        failing()
    assert capfd.readouterr().err == "a warning\n"


def _tokenizer(**changed: Any) -> dict[str, Any]:
    made = Tokenizer(models.WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]"))
    return {**json.loads(made.to_str()), **changed}


@pytest.mark.parametrize(
    "broken",
    [
        {"normalizer": {"type": "Precompiled", "precompiled_charsmap": ""}},
        {"normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAA"}},
        {"model": {"type": "WordLevel", "vocab": {"one": 0, "two": 1}, "unk_token": "[UNK]"}},
        {"model": {"type": ["BPE"]}},
        {"decoder": {"type": "Replace", "pattern": 5, "content": "x"}},
    ],
)
def test_a_broken_tokenizer_is_refused_by_name(
    broken: dict[str, Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(_tokenizer(**broken)))
    with pytest.raises(ValueError, match=r"tokenizer\.json (is not a tokenizer file|cannot (en|de)code a text): "):
        Codec.from_file(path)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(("text", "words"), [("<!DOCTYPE html>", "a web page"), ("version https://git-lfs", "git-lfs")])
def test_a_page_saved_as_a_tokenizer_is_reported(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=words):
        Codec.from_file(path)


def test_what_is_no_regular_file_is_reported_before_it_is_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, words in (
        (tmp_path / "pipe", "a named pipe"),
        (Path("/dev/null"), "a device"),
        (tmp_path, "a directory"),
    ):
        with pytest.raises(ValueError, match=f"is {words}, not a regular file"):
            regular_file(path)
    with pytest.raises(StrategyError, match="a named pipe"):
        files.load_file(tmp_path / "pipe")
    assert regular_file(tmp_path / "none") == tmp_path / "none"
