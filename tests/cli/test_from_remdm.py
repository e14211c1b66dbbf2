"""Every command that docs/from-remdm.md gives in place of the reference's runs, on the demo models."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from engine.strategies import catalogue
from remdm_tui.cli import app
from remdm_tui.settings import presets, train_configs
from remdm_tui.settings.run_arguments import RunArguments
from remdm_tui.settings.sweeps import grid
from tests.engine.simplex import write_ssd_lm

HOME = Path(__file__).parents[2]
TEXT = (HOME / "docs" / "from-remdm.md").read_text(encoding="utf-8")
COMMANDS = [shlex.split(line) for line in re.findall(r"^    remdm-tui (.+)$", TEXT, re.MULTILINE)]
DEMO = {"owt-ar": "demo-ar", "ppl-owt-ar": "demo-ar", "owt-sedd": "demo-sedd", "ppl-owt-sedd": "demo-sedd"}
"""The model that stands in for a preset's checkpoint; the others take `demo`."""


def of(name: str) -> list[Any]:
    return [pytest.param(words, id=" ".join(words[:5])) for words in COMMANDS if words[0] == name]


def without(words: list[str], *names: str) -> list[str]:
    """The words without these options and their values."""
    at = {i + j for i, word in enumerate(words) if word in names for j in (0, 1)}
    return [word for i, word in enumerate(words) if i not in at]


def run(words: list[str]) -> str:
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


EVALUATIONS = [words for words in COMMANDS if words[0] == "eval"]
SWEPT = [words for words in EVALUATIONS if "--sweep" in words]


@pytest.mark.parametrize("words", [one for one in EVALUATIONS if one not in SWEPT], ids=" ".join)
def test_an_evaluation_runs(words: list[str], tmp_path: Path) -> None:
    preset = words[words.index("--preset") + 1]
    # an autoregressive model takes a step for each token but the two start tokens
    length = "4" if preset == "owt-ar" else "8"
    more = ["--model", DEMO.get(preset, "demo"), "--count", "1", "--steps", "2", "--length", length, "--device", "cpu"]
    if presets.read_preset(preset).stride:
        more += ["--stride", "4"]
    if preset == "ssd-lm-semi-ar":
        more[more.index("--model") + 1] = str(write_ssd_lm(tmp_path / "ssd-lm").home)
        more += ["--block-length", "4"]
    more += ["--judge", "none", "--references", "none", "--quiet", "--json", "--out", str(tmp_path / "out")]
    if preset in ("owt-ar", "owt-sedd", "mdlm-local-samples"):
        more += ["--tokenizer", str(HOME / "engine" / "models" / "demo" / "tokenizer.json")]
    results = json.loads(run(without(words, "--model", "--tokenizer", "--out") + more))
    assert (results["samples"], results["settings"]["sampling"]["steps"]) == (1, 2)


@pytest.mark.parametrize("words", SWEPT, ids=" ".join)
def test_a_sweep_over_presets_has_the_directories_of_each(words: list[str]) -> None:
    axes = words[words.index("--sweep") + 1 : words.index("--out")]
    cells = grid(RunArguments(), axes, catalogue())
    assert [cell.name for cell in cells] == ["ssd-lm-semi-ar", "mdlm-semi-ar"]
    assert [cell.arguments.options().model.name for cell in cells] == ["xhan77/ssdlm", "kuleshov-group/mdlm-owt"]


@pytest.mark.parametrize("words", of("perplexity"))
def test_a_perplexity_is_measured(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("It was a dark night by the old fire. " * 40, encoding="utf-8")
    more = ["--model", DEMO.get(words[words.index("--preset") + 1], "demo"), "--data", str(tmp_path / "text.txt")]
    more += ["--length", "8", "--limit", "2", "--device", "cpu", "--quiet", "--json", "--out", str(tmp_path / "out")]
    more += ["--tokenizer", str(HOME / "engine" / "models" / "demo" / "tokenizer.json")]
    results = json.loads(run(without(words, "--model", "--out") + more))
    assert results["conventions"]["standard"]["rows"] == 2


@pytest.mark.parametrize("words", [*of("train"), *of("bench")])
def test_what_needs_a_gpu_or_a_data_set_has_valid_options(words: list[str]) -> None:
    command = get_command(app).commands[words[0]]  # type: ignore[attr-defined]
    given = command.make_context(words[0], words[1:]).params
    if words[0] == "train":
        assert str(given["config"]) in train_configs.train_config_names()


def test_every_preset_of_the_reference_is_mapped() -> None:
    named = {words[words.index("--preset") + 1] for words in COMMANDS if "--preset" in words}
    # tables of papers and of our own, not commands of the repository
    ours = {
        "mini-table",
        "semi-ar-table",
        "paper-t-below-l",
        "paper-t-from-l",
        "zoo",
        "llada-countdown",
        "llada-truthfulqa",
    }
    assert named == set(presets.preset_names()) - ours
