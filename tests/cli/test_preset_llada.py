"""The presets of ReMDM's LLaDA table, on a small random LLaDA."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.evaluation.results import ITEMS
from engine.strategies import catalogue, make_strategy
from remdm_tui.settings.presets import read_preset
from remdm_tui.settings.run_arguments import RunArguments
from remdm_tui.settings.sweeps import grid
from tests.engine import task_files
from tests.engine.test_diffusion_llm import checkpoint

NAMES = ("llada-countdown", "llada-truthfulqa")
ROWS = ("llada", "pc-sampler", "prism-random", "prism-held")


@pytest.mark.parametrize("name", NAMES)
def test_a_row_has_the_settings_of_its_version(name: str) -> None:
    cells = {cell.name: cell.arguments.options() for cell in grid(RunArguments(preset=name), (), catalogue())}
    assert tuple(cells) == ROWS
    assert {(cell.length, cell.chat, cell.settings.temperature) for cell in cells.values()} == {(32, True, 0)}
    loop = cells["pc-sampler"]
    times = make_strategy(loop.settings.strategy, **loop.settings.knobs).grid(loop.steps)
    assert len(times) - 1 == 28 + 2 * 32 + 4
    assert [cells[row].settings.knobs["version"] for row in ROWS[1:]] == ["loop", "random", "held"]
    assert read_preset(name).tasks == {NAMES[0]: "countdown", NAMES[1]: "truthfulqa_gen"}[name]


@pytest.mark.parametrize("name", NAMES)
def test_the_preset_runs_from_end_to_end(cli: Callable[..., Any], tmp_path: Path, name: str) -> None:
    pytest.importorskip("lm_eval", reason="the extra tasks is not installed")
    (tmp_path / "model").mkdir()
    checkpoint(tmp_path / "model", "LLaDA", max_sequence_length=512)
    # the data of truthfulqa_gen is not in the package
    local = task_files.vowels(tmp_path / "task", count=2)
    more = ["--tasks", str(local)] if name == "llada-truthfulqa" else ["--num-fewshot", "0"]
    result = cli(
        "eval", "--preset", name, "--model", str(tmp_path / "model"), "--device", "cpu", "--limit", "1", "--quiet",
        "--out", str(tmp_path / "out"), *more,
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    for row in ROWS:
        found = json.loads((tmp_path / "out" / row / "results.json").read_text())
        assert found["settings"]["tasks"]["chat"]
        assert found["items"] == (1 if more[0] == "--tasks" else 3)
        assert found["problems"] == {}
        most = 96 if row == "pc-sampler" else 32
        # an answer whose text has ended takes no more
        assert most // 2 < found["network_calls"]["value"] <= most
        assert (tmp_path / "out" / row / ITEMS).exists()
