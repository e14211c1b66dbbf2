"""`bench`: its tables and its JSON; a row of the timing table says what it was scaled from."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from engine import bench
from engine.bench.timing import SCHEMES
from remdm_tui.commands.bench import PARTS, print_timing, run


def printed(work: Any, **more: Any) -> str:
    console = Console(file=StringIO(), width=300)
    work(quick=True, console=console, command=["remdm-tui", "bench"], **more)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_the_parts_of_the_command_are_those_of_the_engine() -> None:
    assert tuple(bench.PARTS) == PARTS


def test_a_judge_and_the_calls_are_tables_of_their_own() -> None:
    out = printed(run, parts=("calls", "judge"))
    assert out.startswith("$ remdm-tui bench\n")
    assert "mdlm, L = 32, T = 32, batch 2" in out
    assert "a toy network, as calls do not depend on weights" in out
    assert "random GPT-2, 1 blocks of 16, V = 64, plain batches of 8" in out


def test_the_timing_table_has_a_row_for_every_scheme_and_number_of_steps() -> None:
    out = printed(print_timing, count=2, length=16, steps=(4, 8))
    assert "seconds for 2 samples of 16 tokens, batch 1; float32, 2 blocks of 64, V = 512, random weights" in out
    assert out.count("2 of 2 samples timed") == 2 * len(SCHEMES)
    assert all(scheme.name in out for scheme in SCHEMES)
    assert "scaled" not in out


def test_a_part_that_was_measured_is_reported_as_scaled_in_every_row() -> None:
    found = json.loads(printed(print_timing, count=4, length=32, steps=(16,), timed_steps=4, as_json=True))
    rows = found["results"]
    assert [row["scheme"] for row in rows] == [scheme.name for scheme in SCHEMES]
    assert all(row["scaled"] and row["measured"].startswith("scaled: ") for row in rows)
    assert all("times 4 batches of 1" in row["measured"] for row in rows)
    base = next(row for row in rows if row["scheme"] == bench.BASE)
    assert base["ratio"] == 1
    assert rows[0]["ratio"] == pytest.approx(base["seconds"] / rows[0]["seconds"])
    assert found["options"]["timed_steps"] == 4


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"dtype": "float16"}, "unknown dtype 'float16': choose float32, bfloat16"),
        ({"device": "nope"}, "no device 'nope' here"),
        ({"count": 0}, "count must be at least 1, not 0"),
        ({"count": 3, "batch": 2}, "samples come in whole batches of 2, not 3"),
    ],
)
def test_bad_input_is_one_sentence(more: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        printed(print_timing, **more)
