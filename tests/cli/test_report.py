"""`report` in a terminal and in a pipe."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from remdm_tui.commands.report import run, shared_directory
from remdm_tui.reports.collect import collect
from remdm_tui.reports.document import document
from remdm_tui.reports.terminal import show_report
from tests.cli.evaluations import SENTENCES, UNJUDGED, results, sweep, write

COLOUR = re.compile(r"\x1b\[[0-9;]*\b(?:3[0-7]|9[0-7]|38;[25])[0-9;]*m")


def shown(root: Path, width: int = 80, axes: tuple[str, ...] = ("steps",), **more: Any) -> str:
    file = StringIO()
    show_report(document(collect([root])), Console(file=file, width=width, **more), axes)
    return file.getvalue()


@pytest.mark.parametrize("width", [80, 120, 240])
def test_no_line_is_longer_than_the_terminal(tmp_path: Path, width: int) -> None:
    sweep(tmp_path, ("mdlm", "remdm-cap", "forward-backward"))
    assert max(map(len, shown(tmp_path, width, ("steps", "calls", "seconds")).splitlines())) <= width


def test_at_80_columns_a_setting_is_one_line_with_entropy_beside_gen_ppl(tmp_path: Path) -> None:
    write(tmp_path / "a", results("mdlm", 128))
    assert re.search(
        r"^ ?128 +1 +59\.1 \[58\.5–59\.8\] +5\.510 \[5\.506–5\.514\] +0\.016 ±0\.012 +128 +1\.6", shown(tmp_path), re.M
    )


def test_a_wide_terminal_has_every_column(tmp_path: Path) -> None:
    sweep(tmp_path)
    wide, narrow = shown(tmp_path, 240), shown(tmp_path, 80)
    for title in ("distinct-2", "repeated-4", "tokens/s", "Pareto front"):
        assert title in wide
        assert title not in narrow


def test_a_pipe_gets_no_escape_sequences(tmp_path: Path) -> None:
    sweep(tmp_path)
    assert "\x1b" not in shown(tmp_path)


def test_without_colour_letters_and_the_front_are_still_there(tmp_path: Path) -> None:
    sweep(tmp_path)
    text = shown(tmp_path, axes=("calls",), force_terminal=True, no_color=True)
    assert not COLOUR.search(text)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert "  A  mdlm" in plain
    assert "  B  remdm-cap" in plain
    assert "Pareto front of gen PPL against network calls per sequence, set off above:" in plain
    coloured = shown(tmp_path, axes=("calls",), force_terminal=True, color_system="truecolor")
    assert COLOUR.search(coloured)


def test_a_terminal_without_utf8_gets_ascii_alone(tmp_path: Path) -> None:
    sweep(tmp_path)
    raw = BytesIO()
    file = TextIOWrapper(raw, encoding="ascii", errors="strict")
    show_report(document(collect([tmp_path])), Console(file=file, width=100), ("calls",))
    file.flush()
    assert b"+-0.012" in raw.getvalue()


def test_conventions_and_warnings_are_reported(tmp_path: Path) -> None:
    write(tmp_path / "a", results(count=100))
    text = shown(tmp_path)
    assert all(f"- {sentence}" in text for sentence in SENTENCES)
    assert "! MAUVE of 100 texts is not comparable" in text


def test_names_from_files_cannot_do_anything_to_the_terminal(tmp_path: Path) -> None:
    write(tmp_path / "a", results("\x1b]0;title\x07[bold]x"))
    text = shown(tmp_path)
    assert "\x1b" not in text
    assert "[bold]x" in text


def test_groups_that_cannot_be_compared_have_tables_of_their_own(tmp_path: Path) -> None:
    write(tmp_path / "1", results())
    write(tmp_path / "2", results(count=100))
    text = shown(tmp_path)
    assert "! These evaluations differ in samples (5,000 and 100)" in text
    assert text.count("\nmdlm\n") == 2


def test_files_lie_in_the_directory_or_where_out_says(tmp_path: Path) -> None:
    home = write(tmp_path / "a", results())
    for out, place in ((None, home), (tmp_path / "new" / "place", tmp_path / "new" / "place")):
        file = StringIO()
        run([home], out, console=Console(file=file, width=100))
        assert {path.name for path in place.iterdir()} >= {"report.html", "report.md", "report.tex"}
        assert f"{place / 'report.html'}\n" in file.getvalue()
    assert [path.name for path in home.iterdir() if path.name.endswith(".part")] == []


def test_of_several_directories_the_files_lie_in_the_one_that_holds_them(tmp_path: Path) -> None:
    assert shared_directory([tmp_path / "a" / "x", tmp_path / "a" / "y"]) == (tmp_path / "a").resolve()


def test_a_report_beside_an_evaluation_is_not_taken_for_one(tmp_path: Path) -> None:
    write(tmp_path / "a", results())
    for _ in range(2):
        run([tmp_path], console=Console(file=StringIO()))
    assert len(collect([tmp_path]).groups[0].evaluations) == 1


def test_a_place_where_nothing_can_be_written_is_refused_before_anything_is_shown(tmp_path: Path) -> None:
    home = write(tmp_path / "a", results())
    file = StringIO()
    with pytest.raises(FileExistsError):
        run([home], home / "results.json", console=Console(file=file))
    assert file.getvalue() == ""


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [({"by": ("time",)}, "by steps, calls, seconds, not by time"), ({"samples": -1}, "0 or more, not -1")],
)
def test_bad_options_are_a_sentence(tmp_path: Path, arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        run([write(tmp_path / "a", results())], **arguments)


def test_a_report_loads_neither_torch_nor_textual(tmp_path: Path) -> None:
    for n in (128, 256):
        write(tmp_path / str(n), results(steps=n, metrics=UNJUDGED))
    code = (
        "import sys; from pathlib import Path; from remdm_tui.commands.report import run; "
        f"run([Path({str(tmp_path)!r})]); print(sorted({{'torch', 'textual', 'transformers'}} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "80"}
    )
    assert done.stdout.splitlines()[-1] == "[]"
    assert done.stderr == ""
