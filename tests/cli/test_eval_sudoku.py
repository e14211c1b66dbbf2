"""`eval --tasks sudoku`: puzzles solved by clues, resumed and swept, without lm-evaluation-harness."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from engine.evaluation.results import ITEMS
from engine.files.jsonl import lines
from engine.models import checkpoint, load_model
from engine.models.grid import GridConfig, GridDIT
from engine.sampling.session import Session
from engine.sampling.trace import RunStart, Trace
from engine.strategies import make_strategy
from engine.tasks.items import AnswerLine
from engine.tasks.judge_answers import answer_judge
from engine.tasks.plan import read_task_plan
from engine.tasks.questions import AnswerVerdict, read_question
from engine.tasks.results import read_scores
from engine.tasks.sudoku import BANDS, BETTER
from engine.training.tokenizers import alphabet_tokenizer
from remdm_tui.cli import app
from remdm_tui.commands.eval_item import arguments_of_item
from remdm_tui.settings.run_arguments import RunArguments
from remdm_tui.settings.watch_options import fit_to_model
from remdm_tui.watch.answers import answer_text

pytest.importorskip("pycryptosat", reason="the extra tasks is not installed")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    network = GridDIT(GridConfig(vocab_size=10, hidden_size=16, n_heads=2, n_blocks=1, length=81, mask_id=9))
    checkpoint.export_model(network, alphabet_tokenizer("123456789").to_str(), home, torch.float32, kind="grid")
    return home


def command(model: Path | str, out: Path, *more: str) -> list[str]:
    return [
        "eval", "--tasks", "sudoku", "--model", str(model), "--steps", "6", "--limit", "2", "--device", "cpu",
        "--out", str(out), *more,
    ]  # fmt: skip


def kept(home: Path) -> dict[str, Any]:
    """The files but for clocks."""
    results = json.loads((home / "results.json").read_text())
    del results["seconds"], results["timing"]
    return {"results": results, **{name: (home / name).read_bytes() for name in (ITEMS, "scores.jsonl")}}


@pytest.fixture(scope="module")
def whole(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "out"
    assert CliRunner().invoke(app, command(model, out, "--batch", "3")).exit_code == 0
    return out


def test_bands_of_clues_have_their_figures_without_the_harness(
    cli: Callable[..., Any], model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    result = cli(*command(model, tmp_path / "out"))
    assert result.exit_code == 0
    for band in BANDS:
        assert f"{band.name}  2  0.000 [0.000, 0.658]" in result.stdout
    assert "answering 8 of 8" in result.stderr
    found = kept(tmp_path / "out")["results"]
    assert found["settings"]["tasks"]["limit"] == 2
    assert found["items"] == 8
    assert found["entropy"] is None
    assert {one["metric"] for one in found["figures"]} == {*BETTER}


def test_one_that_was_cut_off_ends_with_the_same_files(model: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(whole, out)
    for name in ("results.json", "results.json.sha256", "scores.jsonl"):
        (out / name).unlink()
    whole_lines = (out / ITEMS).read_bytes().splitlines(keepends=True)
    (out / ITEMS).write_bytes(b"".join(whole_lines[2:5]) + whole_lines[0][:40])
    (out / "items.rank1.jsonl").write_bytes(whole_lines[6])
    assert CliRunner().invoke(app, command(model, out, "--batch", "1")).exit_code == 0
    assert kept(out) == kept(whole)


def test_a_larger_limit_keeps_the_answers(model: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert CliRunner().invoke(app, command(model, out, "--limit", "1")).exit_code == 0
    assert [line.doc for line in read_scores(out)] == list(range(len(BANDS)))
    assert CliRunner().invoke(app, command(model, out)).exit_code == 0
    assert kept(out) == kept(whole)


def test_a_sweep_is_compared_by_what_is_solved(cli: Callable[..., Any], model: Path, tmp_path: Path) -> None:
    result = cli(*command(model, tmp_path / "out", "--sweep", "strategy=mdlm,low-confidence"))
    assert result.exit_code == 0
    compared = [line for line in result.stdout.splitlines() if line.startswith("strategy=low-confidence - ")]
    assert len(compared) == len(BANDS)
    assert all("clues, solved 0.000" in " ".join(line.split()) for line in compared)


def test_a_report_compares_what_is_solved_alone(cli: Callable[..., Any], model: Path, tmp_path: Path) -> None:
    assert cli(*command(model, tmp_path / "out", "--sweep", "strategy=mdlm,low-confidence")).exit_code == 0
    assert cli("report", str(tmp_path / "out"), "--out", str(tmp_path / "report")).exit_code == 0
    text = (tmp_path / "report" / "report.md").read_text()
    compared = text.partition("### Paired differences")[2].partition("\n#")[0]
    rows = [line for line in compared.splitlines() if line.startswith("| mdlm |")]
    assert len(rows) == len(BANDS)
    assert all("| solved " in row for row in rows)


def test_a_report_has_a_table_for_each_figure(
    cli: Callable[..., Any], model: Path, whole: Path, tmp_path: Path
) -> None:
    shutil.copytree(whole, tmp_path / "one")
    other = command(model, tmp_path / "two", "--strategy", "low-confidence", "--seed", "3")
    assert cli(*other).exit_code == 0
    result = cli("report", str(tmp_path), "--out", str(tmp_path / "report"))
    assert result.exit_code == 0
    assert "sudoku: solved" in result.stdout
    assert "lm-evaluation-harness" not in result.stdout
    text = (tmp_path / "report" / "report.md").read_text()
    bands = " | ".join(band.name for band in BANDS)
    assert text.count(f"| series | T | seed | {bands} |") == len(BETTER)
    row = next(line for line in text.splitlines() if line.startswith("| low-confidence"))
    assert "| 6 | 3 | 0.000 \\[0.000, 0.658\\] |" in row
    assert "Wilson" in text
    # each puzzle is an item of its own, whatever its range
    keys = {key for line in read_scores(whole) for key in line.keys}
    page = (tmp_path / "report" / "report.html").read_text()
    assert len(keys) == 2 * len(BANDS)
    assert all(f"--item {key}" in page for key in keys)


def test_a_puzzle_is_replayed_as_it_was_solved_and_judged(whole: Path) -> None:
    line = read_scores(whole)[0]
    key = line.keys[0]
    arguments, item = arguments_of_item(whole, key[:8], RunArguments())
    options = arguments.options(item=item)
    network = load_model(options.model.name, "cpu")
    settings, run = fit_to_model(options, network.info, ())
    session = Session(
        network, make_strategy(settings.strategy, **settings.knobs), steps=run.steps_after(0), length=run.length,
        seed=run.seed, prompt=network.prompt(run.prompt, run.chat, run.infill, run.special), first=run.first,
    )  # fmt: skip
    trace = Trace(RunStart(session.tokens.numpy().astype(np.int32), session.locked.numpy(), run.steps_after(0), 5))
    for frame in session:
        trace.append(frame)
    (answer,) = (one for _, one in lines(whole / ITEMS, AnswerLine) if one.key == key)
    assert tuple(trace.tokens(len(trace), 0).tolist()) == answer.ids
    assert answer_text(trace, len(trace), 0, item, network.info) == answer.text
    assert (item.tokens, item.name) == (0, "sudoku 0")
    judge = answer_judge(read_task_plan(whole), read_question(whole, key))
    assert judge(answer.text) == AnswerVerdict(answer.text, False, line.target)
    assert judge(line.target).right


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--length", "80"], "a Sudoku has 81 cells: leave out --length 80"),
        (["--block-length", "9"], "leave out --chat and --block-length"),
        (["--chat"], "leave out --chat and --block-length"),
        (["--num-fewshot", "0"], "--num-fewshot is about tasks of text"),
        (["--multiturn"], "--multiturn is about tasks of text"),
        (["--draws", "4"], "--draws is about tasks of text"),
        (["--count", "4"], "--count is about samples"),
        (["--tasks", "sudoku,gsm8k"], "sudoku cannot be combined with other tasks"),
        (["--model", "demo"], "demo fills no 9x9 grids with boxes, so it cannot solve a Sudoku"),
    ],
)
def test_what_puzzles_do_not_have_is_refused(
    more: list[str], sentence: str, cli: Callable[..., Any], model: Path, tmp_path: Path
) -> None:
    result = cli(*command(model, tmp_path / "out", *more))
    assert result.exit_code == 2
    assert sentence in " ".join(result.stderr.split())


def test_without_the_solver_one_sentence_names_it(
    cli: Callable[..., Any], model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pycryptosat", None)
    result = cli(*command(model, tmp_path / "out"))
    assert result.exit_code == 2
    assert "solving a Sudoku needs pycryptosat: pip install" in " ".join(result.stderr.split())
