"""What ends a line of somebody's text, and what is a character of it."""

from __future__ import annotations

import linecache
from pathlib import Path

import msgspec
import pytest

from engine.evaluation.results import SAMPLES, SampleLine, read_samples
from engine.strategies.files import from_source
from engine.strategies.validation import StrategyError
from engine.text.lines import lines_of

CHARACTERS = "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
"""What `str.splitlines` takes for the end of a line besides line feeds and carriage returns."""


def test_only_a_line_break_ends_a_line() -> None:
    assert lines_of(f"a{CHARACTERS}b\nc\r\nd\re") == [f"a{CHARACTERS}b", "c", "d", "e"]
    assert lines_of("a\n\nb\n") == ["a", "", "b"]
    assert lines_of("") == []


@pytest.mark.parametrize("character", CHARACTERS)
def test_a_traceback_quotes_the_line_of_a_strategy_that_failed(character: str) -> None:
    source = f'"""One {character} two."""\n# {character}\nraise ValueError("here")\n'.encode()
    path = f"/none/{ord(character)}.py"
    with pytest.raises(StrategyError, match="line 3"):
        from_source(source, path)
    assert linecache.getline(path, 3) == 'raise ValueError("here")\n'


def test_a_text_of_a_sample_has_any_character(tmp_path: Path) -> None:
    line = SampleLine(number=0, seed=0, text=CHARACTERS, ids=(), network_calls=1, entropy=0, repetition=0)
    (tmp_path / SAMPLES).write_bytes(msgspec.json.encode(line) + b"\n")
    assert read_samples(tmp_path)[0].text == CHARACTERS
