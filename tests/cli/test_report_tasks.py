"""`report` on answers to tasks: accuracy, costs, paired differences, and the items with overwritten ones first."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from engine.evaluation.results import ITEMS
from engine.files.json_lines import encode_line
from engine.tasks.items import AnswerLine
from engine.tasks.results import SCORES, ScoreLine
from remdm_tui.commands.report import run
from remdm_tui.reports import html, latex, markdown
from remdm_tui.reports.collect import collect, why_not_one_plot
from remdm_tui.reports.document import ReportDocument, document
from remdm_tui.reports.table import Table
from remdm_tui.reports.task_items import items
from tests.cli.evaluations import results, write
from tests.cli.task_evaluations import OVERWRITTEN, RIGHT, WRONG, write_answers

EVIL = "\x1b[31m<script>x</script> | `y` \u202eback"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two strategies, each with two numbers of steps, over four items."""
    for steps, calls in ((8, 6), (16, 12)):
        last = ((4, steps),)
        write_answers(tmp_path / f"a{steps}", [last, last, WRONG, OVERWRITTEN], "mdlm", calls, steps)
        write_answers(tmp_path / f"b{steps}", [WRONG, last, last, last], "remdm-cap", calls + 1, steps)
    return tmp_path


def made(root: Path) -> ReportDocument:
    return document(collect([root]))


def cells(table: Table) -> list[dict[str, str]]:
    """The rows of a table by its titles."""
    titles = [column.title for column in table.columns]
    return [{title: cell.whole for title, cell in zip(titles, row, strict=True)} for row in table.rows]


def shown(root: Path, width: int = 240) -> str:
    file = StringIO()
    run([root], root / "out", by=["calls"], console=Console(file=file, width=width))
    return file.getvalue()


def test_a_series_has_accuracy_with_its_interval_and_every_cost(root: Path) -> None:
    (section,) = made(root).sections
    row = cells(section.details[0])[0]
    assert row["exact_match"].startswith("0.500 [")
    assert row["ever right"].startswith("0.750 [")
    assert row["overwritten"] == "1"
    assert row["calls"] == "6.0"
    assert row["tokens/call"].startswith("0.50")
    assert (row["tokens/s"], row["items/s"]) == ("6", "2")
    assert row["length"].startswith("3.0")
    assert row["entropy"].startswith("1.100")
    assert row["end of text"].startswith("25.0%")
    assert "right at the end" not in row  # the metric says the same


def test_two_strategies_are_compared_at_the_same_steps(root: Path) -> None:
    (section,) = made(root).sections
    rows = cells(section.details[-1])
    assert section.details[-1].title == "Paired differences to mdlm"
    assert [(row["series"], row["T"]) for row in rows] == [("remdm-cap", "8"), ("remdm-cap", "16")]
    assert rows[0]["difference"].startswith("+0.250 [")
    assert (rows[0]["only first"], rows[0]["only this"]) == ("1", "2")
    assert rows[0]["documents"] == "first: 0; this: 2, 3"


def test_one_series_alone_has_no_differences(tmp_path: Path) -> None:
    write_answers(tmp_path / "a", [RIGHT, WRONG])
    (section,) = made(tmp_path).sections
    assert [table.title for table in section.details] == ["mdlm"]
    assert section.lists == ()


def test_accuracy_is_drawn_against_steps_calls_and_seconds(root: Path) -> None:
    (section,) = made(root).sections
    assert [plot.axis.key for plot in section.plots] == ["steps", "calls"]  # all took the same seconds
    (panel,) = section.plots[1].panels
    assert panel.quantity.title == "exact_match"
    assert [dot.x for dot in panel.lines[0].dots] == [6, 12]
    assert [table.title for table in section.overview] == ["exact_match"]
    assert "Pareto front of exact_match against network calls per item" in " ".join(shown(root).split())


def test_items_are_listed_with_overwritten_answers_first(root: Path) -> None:
    first = collect([root]).tasks[0].series[0].first
    listed = items(first)
    assert [item.outcome for item in listed] == ["overwritten", "wrong", "right", "right"]
    assert listed[0].steps == "3–5 of 8"
    assert listed[0].command.endswith(f"--item {listed[0].key}")
    (section,) = made(root).sections
    rows = cells(section.lists[0])
    assert [(row["series"], row["T"], row["document"]) for row in rows] == [("mdlm", "8", "3"), ("mdlm", "16", "3")]
    page = html.render(made(root), samples=2)
    assert page.count("overwritten, right after steps") == 2
    assert page.count("--item") == 4 * 2 + 1  # two items of each setting, and the note of the table


def test_an_item_without_an_answer_is_counted_and_says_why(tmp_path: Path) -> None:
    write_answers(tmp_path / "a", ["the prompt is too long", RIGHT])
    one = collect([tmp_path]).tasks[0].series[0].first
    (lost, _) = items(one)
    assert (lost.outcome, lost.text, lost.command) == ("unanswered", "the prompt is too long", "")
    (section,) = made(tmp_path).sections
    assert cells(section.details[0])[0]["unanswered"] == "1"


def test_choices_of_a_document_are_one_item(tmp_path: Path) -> None:
    home = write_answers(tmp_path / "a", [RIGHT])
    (home / ITEMS).write_bytes(b"".join(encode_line(AnswerLine(key, tokens=2, log_likelihood=-1.0)) for key in "xy"))
    (home / SCORES).write_bytes(encode_line(ScoreLine("sums", 0, "none", ("x", "y"), "(-1.0, True)", "1", {"acc": 1})))
    (item,) = items(collect([home]).tasks[0].series[0].first)
    assert (item.outcome, item.command) == ("right", "")


def test_other_questions_are_shown_apart(root: Path) -> None:
    write_answers(root / "limit", [RIGHT, WRONG], limit=2)
    found = collect([root])
    assert len(found.tasks) == 2
    assert "items (4 and 2)" in (why_not_one_plot(found.tasks) or "")


def test_samples_and_answers_are_sections_of_one_report(root: Path) -> None:
    write(root / "samples", results())
    report = made(root)
    assert [section.title for section in report.sections] == ["Results, part 1 of 2", "Results, part 2 of 2"]
    text = markdown.render(report, pictures=False)
    assert "Conventions reference" in text
    assert "Right answers that were overwritten" in text


def test_every_file_is_written_and_no_line_is_longer_than_the_terminal(root: Path) -> None:
    text = shown(root, 80)
    assert max(len(line) for line in text.splitlines() if not line.startswith(str(root))) <= 80
    assert {"report.html", "report.md", "report.tex", "report-calls.png"} <= {p.name for p in (root / "out").iterdir()}
    assert latex.render(made(root)).count(r"\begin{table}") == 4


def test_an_answer_is_text_in_every_file(tmp_path: Path) -> None:
    write_answers(tmp_path / "a", [OVERWRITTEN, RIGHT], text=EVIL)
    page = html.render(made(tmp_path))
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert not re.search("[\x1b\u202e]", page)


def test_results_of_tasks_that_lack_settings_are_a_sentence(root: Path) -> None:
    path = root / "a8" / "results.json"
    path.write_text(path.read_text().replace('"harness":"0.4.13",', ""))
    (remark,) = collect([root]).remarks
    assert "settings that no evaluation writes" in remark
