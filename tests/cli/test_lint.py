"""`lint` on files and directories, in `report`, and its one line at the end of `eval`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.evaluation.results import SAMPLES, SampleLine
from engine.lint import DRAWN_CHECKS, RUN_CHECKS
from remdm_tui.reports import html, markdown
from remdm_tui.reports.collect import collect
from remdm_tui.reports.document import document
from remdm_tui.reports.lint import lint_table
from tests.cli.evaluations import results, write
from tests.engine.lint_runs import frames_of, reveal_in, written
from tests.engine.recordings import recorded

GOOD = [0, 1, 2, 3, 4, 0, 1, 2]


def faulty(path: Path) -> Path:
    """A recording of a sampler that says that it remasks and does not."""
    return written(path, *frames_of(reveal_in(range(8), GOOD), knobs={"remasks": True}))


def evaluation(home: Path, strategy: str, ids: tuple[int, ...], **changes: Any) -> Path:
    write(home, results(strategy, **changes))
    lines = [SampleLine(n, 1, "text", (*ids, n), 96, 5.31, 0.02) for n in range(3)]
    (home / SAMPLES).write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    return home


def test_a_recording_with_a_fault_exits_with_1_and_says_what_to_do(cli: Callable[..., Any], tmp_path: Path) -> None:
    done = cli("lint", str(faulty(tmp_path / "x.remdm")))
    assert done.exit_code == 1
    assert "! never-remasks" in done.stdout
    assert "remasks, at least 1: 0" in done.stdout
    assert RUN_CHECKS["never-remasks"].advice in done.stdout
    assert done.stdout.rstrip().endswith("1 finding in 4 checks")


def test_a_clean_recording_exits_with_0(cli: Callable[..., Any], tmp_path: Path) -> None:
    recorded(tmp_path / "x.remdm", "remdm-cap", steps=64, length=32, batch=4)
    done = cli("lint", str(tmp_path / "x.remdm"))
    assert done.exit_code == 0
    assert "!" not in done.stdout


def test_json_has_every_check(cli: Callable[..., Any], tmp_path: Path) -> None:
    done = cli("lint", "--json", str(faulty(tmp_path / "x.remdm")))
    found = json.loads(done.stdout)
    assert done.exit_code == 1
    assert found["findings"] == 1
    by_name = {one["check"]: one for one in found["checks"]}
    assert by_name["never-remasks"]["found"] is True
    assert by_name["flip-flop"] == {
        "check": "flip-flop", "subject": str(tmp_path / "x.remdm"), "figure": 0, "threshold": 4.0, "found": False,
        "message": "no position lost its token", "advice": RUN_CHECKS["flip-flop"].advice, "positions": [],
    }  # fmt: skip


def test_two_recordings_of_one_run_under_two_strategies_are_compared(cli: Callable[..., Any], tmp_path: Path) -> None:
    for name, strategy in (("a", "one"), ("b", "other"), ("c", "one")):
        written(tmp_path / f"{name}.remdm", *frames_of(reveal_in(range(8), GOOD), strategy))
    same = cli("lint", str(tmp_path / "a.remdm"), str(tmp_path / "b.remdm"))
    assert same.exit_code == 1
    assert "! identical" in same.stdout
    again = cli("lint", str(tmp_path / "a.remdm"), str(tmp_path / "c.remdm"))
    assert again.exit_code == 0


def test_a_sweep_of_two_strategies_with_the_same_ids_is_found(cli: Callable[..., Any], tmp_path: Path) -> None:
    evaluation(tmp_path / "a", "mdlm", (1, 2, 3, 4))
    evaluation(tmp_path / "b", "remdm-cap", (1, 2, 3, 4))
    done = cli("lint", str(tmp_path))
    assert done.exit_code == 1
    assert done.stdout.count("! identical") == 1
    assert f"100% of 3 texts have the ids of {tmp_path / 'a'} (mdlm)" in done.stdout


@pytest.mark.parametrize(
    ("strategy", "ids", "changes"),
    [
        ("remdm-cap", (4, 3, 2, 1), {}),
        ("remdm-cap", (1, 2, 3, 4), {"steps": 256}),
        ("mdlm", (1, 2, 3, 4), {"sampling": {"seed": 2}}),
    ],
)
def test_other_ids_and_other_terms_are_none(
    cli: Callable[..., Any], tmp_path: Path, strategy: str, ids: tuple[int, ...], changes: dict[str, Any]
) -> None:
    evaluation(tmp_path / "a", "mdlm", (1, 2, 3, 4))
    evaluation(tmp_path / "b", strategy, ids, **changes)
    assert cli("lint", str(tmp_path)).exit_code == 0


def test_texts_that_end_in_one_token_are_found(cli: Callable[..., Any], tmp_path: Path) -> None:
    evaluation(tmp_path / "flood", "mdlm", (1, 2, 7, 7, 7, 7, 7))
    done = cli("lint", str(tmp_path))
    assert done.exit_code == 1
    assert "! flood" in done.stdout
    assert "most of token 7" in done.stdout


def test_a_recording_beside_an_evaluation_is_linted_too(cli: Callable[..., Any], tmp_path: Path) -> None:
    home = evaluation(tmp_path / "a", "mdlm", (1, 2, 3, 4))
    faulty(home / "first.remdm")
    assert "! never-remasks" in cli("lint", str(tmp_path)).stdout


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("missing.remdm", "No such file"),
        ("notes.txt", "is not a recording"),
        ("empty", "no evaluation to lint"),
        ("half", "has no samples.jsonl yet"),
        ("torn", "line 1:"),
        ("deep", "line 1:"),
        ("foreign", "has settings that no evaluation writes: Expected `object`, got `array` - at `$.model`"),
    ],
)
def test_what_cannot_be_linted_is_refused(cli: Callable[..., Any], tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    (tmp_path / "empty").mkdir()
    (evaluation(tmp_path / "half", "mdlm", (1,)) / SAMPLES).unlink()
    (evaluation(tmp_path / "torn", "mdlm", (1,)) / SAMPLES).write_text("{")
    deep = '{"number": 0, "ids": [], "more": ' + "[" * 9999
    (evaluation(tmp_path / "deep", "mdlm", (1,)) / SAMPLES).write_text(deep)
    foreign = results("mdlm", settings={"model": [1], "sampling": {"knobs": 3}})
    write(tmp_path / "foreign", foreign, ("a",))
    done = cli("lint", str(tmp_path / name))
    assert done.exit_code == 2
    assert says in done.stderr
    assert done.stdout == ""


def test_a_report_has_the_findings(cli: Callable[..., Any], tmp_path: Path) -> None:
    evaluation(tmp_path / "a", "mdlm", (1, 2, 3, 4))
    evaluation(tmp_path / "b", "remdm-cap", (1, 2, 3, 4))
    shown = cli("report", str(tmp_path)).stdout
    assert "Lint: 1 finding in 3 checks" in shown
    assert "! identical (1; threshold 0.9)" in shown
    page = (tmp_path / "report.html").read_text()
    assert '<h3 id="s1-lint">Lint</h3>' in page
    assert DRAWN_CHECKS["identical"].advice in page
    assert "**identical**" in (tmp_path / "report.md").read_text()


def test_a_report_without_findings_says_so(tmp_path: Path) -> None:
    evaluation(tmp_path / "a", "mdlm", (1, 2, 3, 4))
    found = collect([tmp_path])
    made = document(found, [lint_table(group) for group in found.groups])
    assert "No finding in 1 check" in html.render(made)
    assert "No finding in 1 check" in markdown.render(made, pictures=False)


def test_eval_says_once_what_lint_finds(cli: Callable[..., Any], tmp_path: Path) -> None:
    arguments = ["eval", "--strategy", "remdm-cap", "--sweep", "eta=0,1e-12", "--steps", "3", "--length", "6"]
    out = str(tmp_path / "sweep")
    done = cli(*arguments, "--count", "2", "--judge", "none", "--out", out)
    assert done.exit_code == 0
    assert done.stderr.count("lint:") == 1
    assert f"(remdm-tui lint {out})" in done.stderr
    assert "lint:" not in cli(*arguments, "--count", "2", "--judge", "none", "--out", out, "--quiet").stderr


def test_eval_without_a_finding_says_nothing(cli: Callable[..., Any], tmp_path: Path) -> None:
    out = str(tmp_path / "one")
    done = cli("eval", "--steps", "3", "--length", "6", "--count", "2", "--judge", "none", "--out", out)
    assert "lint" not in done.stderr
