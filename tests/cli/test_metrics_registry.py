"""A metric is one line in METRICS: results, summary, tables, plots and reports follow."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from engine.evaluation.metrics import METRICS, Metric, figure_of
from engine.evaluation.plan import EvalPlan
from engine.evaluation.results import Figure, read_results, read_samples
from engine.evaluation.summary import results
from remdm_tui.commands.eval_results import print_results
from remdm_tui.reports import html, latex, markdown
from remdm_tui.reports.collect import collect
from remdm_tui.reports.document import document
from remdm_tui.reports.panels import AXES, panels
from remdm_tui.reports.tables import measured, overview
from tests.cli import evaluations

OLDER = Path(__file__).parents[1] / "fixtures" / "older-eval"
WORDS = Metric("words", "in a text", "higher", 1, measure=lambda lines: [float(len(x.text.split())) for x in lines])


@pytest.fixture(autouse=True)
def words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METRICS, "words", WORDS)


def test_a_new_metric_is_in_the_results_and_their_summary(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [msgspec.structs.replace(line, judged=None) for line in read_samples(OLDER)]
    plan = msgspec.convert(read_results(OLDER).settings, EvalPlan)

    found = results(plan, 4, lines, None, None, (), (), ())

    counts = [len(line.text.split()) for line in lines]
    figure = figure_of("words", found, "standard")
    assert figure is not None
    assert figure.value == sum(counts) / len(counts)
    assert figure.low is not None
    assert min(counts) <= figure.low <= figure.value
    assert msgspec.json.decode(msgspec.json.encode(found))["measured"]["words"]["value"] == figure.value
    print_results(found, tmp_path, as_json=False)
    printed = capsys.readouterr().out
    assert "MAUVE" in printed
    assert "words" in printed
    assert f"{figure.value:.1f} [" in printed


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ([1.0], r"metric words has 1 value for 2 samples: its measure must return one for each"),
        ([1.0, float("nan")], r"metric words is nan for sample 1: its measure must return numbers"),
        ([float("inf"), 1.0], r"metric words is inf for sample 0"),
    ],
)
def test_a_metric_without_a_number_for_each_sample_is_named(
    monkeypatch: pytest.MonkeyPatch, values: list[float], sentence: str
) -> None:
    monkeypatch.setitem(METRICS, "words", replace(WORDS, measure=lambda _: values))
    lines = [msgspec.structs.replace(line, judged=None) for line in read_samples(OLDER)]
    with pytest.raises(ValueError, match=sentence):
        results(msgspec.convert(read_results(OLDER).settings, EvalPlan), 4, lines, None, None, (), (), ())


def test_a_new_metric_is_in_every_report(tmp_path: Path) -> None:
    for steps in (128, 256):
        made = evaluations.results("mdlm", steps, measured={"words": Figure(steps / 10, steps / 11, steps / 9)})
        evaluations.write(tmp_path / str(steps), made)
    report = collect([tmp_path])
    group = report.groups[0]

    assert [panel.quantity.key for panel in panels(group, AXES["steps"])] == ["gen_ppl", "entropy", "mauve", "words"]
    assert "words" in [table.title for table in overview(group)]
    column = next(one for one in measured(group.evaluations[0]) if one.title == "words")
    assert column.core
    assert column.form(12.8) == "12.800"
    made = document(report)
    for text in (markdown.render(made, pictures=False), latex.render(made), html.render(made, 1)):
        assert "words" in text


def test_results_of_an_earlier_version_lack_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(OLDER, tmp_path / "eval")
    found = read_results(tmp_path / "eval")
    assert figure_of("words", found, "standard") is None
    print_results(found, tmp_path, as_json=False)
    assert " -" in capsys.readouterr().out


def test_the_name_of_conventions_is_no_markup(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "[b]x[/b]"
    found = read_results(OLDER)
    (measured_by, *_) = found.metrics.values()
    print_results(msgspec.structs.replace(found, primary=name, metrics={name: measured_by}), tmp_path, as_json=False)
    assert name in capsys.readouterr().out
