"""`eval --tasks`: right answers of a sampler, resumed, swept and shared among processes."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from engine.evaluation.results import ITEMS, Figure, Timing
from engine.files.json_lines import decode_line, encode_line
from engine.tasks.items import AnswerLine
from engine.tasks.results import TaskFigure, TaskResults, differences, read_scores
from remdm_tui.cli import app
from remdm_tui.commands.eval_tasks import figures_table, print_task_results
from tests.engine import task_files

pytest.importorskip("lm_eval", reason="the extra tasks is not installed")


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return task_files.vowels(tmp_path_factory.mktemp("task"))


def command(task: Path, out: Path, *more: str) -> list[str]:
    return [
        "eval", "--tasks", str(task), "--model", "demo", "--strategy", "remdm-cap", "--eta", ".3", "--steps", "12",
        "--length", "16", "--seed", "5", "--device", "cpu", "--out", str(out), *more,
    ]  # fmt: skip


def kept(home: Path) -> dict[str, Any]:
    """The files but for clocks."""
    results = json.loads((home / "results.json").read_text())
    del results["seconds"], results["timing"]
    return {"results": results, **{name: (home / name).read_bytes() for name in (ITEMS, "scores.jsonl")}}


def test_the_names_of_a_task_are_no_markup(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = "[b]task[/b]", "[i]filter[/i]", "[u]metric[/u]"
    sampling = {"strategy": "mdlm", "knobs": {}, "predictor": "lazy", "steps": 4, "length": 8, "seed": 0}
    number = Figure(1.0)
    found = TaskResults(
        1, "0", {"model": {"name": "demo"}, "sampling": sampling}, (TaskFigure(*names, number, 1, None),), 1, number,
        None, number, None, None, None, None, (), {}, 0, 1.0, Timing(1.0, 1.0, 8.0, 0.0, 1, 1, "cpu"),
    )  # fmt: skip
    print_task_results(found, tmp_path, figures_table(found.figures))
    printed = capsys.readouterr().out
    assert all(name in printed for name in names)


def refusal(result: Any) -> str:
    """What a command that is refused says."""
    assert result.exit_code != 0
    return " ".join(result.stderr.split())


@pytest.fixture(scope="module")
def whole(task: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "out"
    assert CliRunner().invoke(app, command(task, out, "--batch", "3")).exit_code == 0
    return out


def test_the_results_have_accuracy_costs_and_what_was_overwritten(
    cli: Callable[..., Any], task: Path, whole: Path
) -> None:
    result = cli(*command(task, whole, "--batch", "3"))
    assert result.exit_code == 0
    found = kept(whole)["results"]
    (figure,) = [one for one in found["figures"] if one["metric"] == "exact_match"]
    assert figure["figure"]["value"] == found["right"]["value"]
    assert figure["figure"]["low"] <= figure["figure"]["value"] <= figure["figure"]["high"]
    assert found["ever_right"]["value"] - found["right"]["value"] == pytest.approx(len(found["overwritten"]) / 10)
    assert found["ever_right"]["value"] > found["right"]["value"]
    assert found["tokens_per_call"]["value"] == pytest.approx(
        found["length"]["value"] / found["network_calls"]["value"]
    )
    timing = json.loads((whole / "results.json").read_text())["timing"]
    assert timing["starts"] == 2
    assert timing["sampling_seconds"] == pytest.approx(10 * timing["seconds_per_sequence"])
    assert timing["tokens_per_second"] * timing["seconds_per_sequence"] == pytest.approx(found["length"]["value"])
    assert "tokens/s" in result.stdout
    assert "right answers overwritten" in result.stdout
    assert "answering 10 of 10" in result.stderr
    assert "% right" in result.stderr


def test_one_that_was_cut_off_ends_with_the_same_files(task: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(whole, out)
    for name in ("results.json", "results.json.sha256", "scores.jsonl"):
        (out / name).unlink()
    lines = (out / ITEMS).read_bytes().splitlines(keepends=True)
    (out / ITEMS).write_bytes(b"".join(lines[2:6]) + lines[0][:40])
    (out / "items.rank1.jsonl").write_bytes(lines[8])
    assert CliRunner().invoke(app, command(task, out, "--batch", "1")).exit_code == 0
    assert kept(out) == kept(whole)


def test_answers_that_this_plan_cannot_have_made_are_named_and_made_again(
    cli: Callable[..., Any], task: Path, whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(whole, out)
    lines = [decode_line(line, AnswerLine) for line in (out / ITEMS).read_bytes().splitlines()]
    faults: dict[str, dict[str, Any]] = {
        "it is of seed 6, not 5": {"seed": 6},
        "it has 17 tokens, more than 16": {"ids": (1,) * 17},
        "it holds a token that the model does not have": {"ids": (1 << 20,)},
    }
    for number, changes in enumerate(faults.values()):
        lines[number] = msgspec.structs.replace(lines[number], **changes)
    (out / ITEMS).write_bytes(b"".join(map(encode_line, lines)))
    said = " ".join(cli(*command(task, out, "--batch", "3")).stderr.split())
    for place, fault in enumerate(faults, 1):
        assert f"{ITEMS}, line {place} is left out and made again where need be: {fault}" in said
    assert kept(out) == kept(whole)


def test_a_smaller_limit_is_the_beginning_and_a_larger_one_goes_on(task: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert CliRunner().invoke(app, command(task, out, "--batch", "8", "--limit", "4")).exit_code == 0
    assert read_scores(out) == read_scores(whole)[:4]
    assert CliRunner().invoke(app, command(task, out, "--batch", "8")).exit_code == 0
    assert kept(out) == kept(whole)


def test_a_sweep_is_compared_document_by_document(cli: Callable[..., Any], task: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = [each for each in command(task, out, "--sweep", "eta=0,0.3") if each not in ("--eta", ".3")]
    result = cli(*arguments)
    assert result.exit_code == 0
    first, second = (read_scores(out / f"eta={eta}") for eta in ("0", "0.3"))
    (found,) = differences(first, second)
    values = [[line.metrics["exact_match"] for line in lines] for lines in (first, second)]
    assert found.figure.value == pytest.approx(sum(values[1]) / 10 - sum(values[0]) / 10)
    assert len(found.only_second) - len(found.only_first) == sum(values[1]) - sum(values[0])
    assert "eta=0.3 - eta=0: vowels, first, exact_match" in result.stdout


def test_other_settings_are_refused_with_a_list_of_changes(cli: Callable[..., Any], task: Path, whole: Path) -> None:
    assert "sampling.seed: 5 -> 6" in refusal(cli(*command(task, whole, "--seed", "6")))


def test_a_document_that_changed_is_refused_even_if_the_file_has_moved(cli: Callable[..., Any], tmp_path: Path) -> None:
    path = task_files.vowels(tmp_path / "here", count=3)
    assert cli(*command(path, tmp_path / "out")).exit_code == 0
    data = tmp_path / "here" / "vowels.json"
    data.write_text(data.read_text().replace('"answer": "i"', '"answer": "o"'))
    assert "tasks.data.vowels" in refusal(cli(*command(path, tmp_path / "out")))


def test_countdown_is_in_the_package(cli: Callable[..., Any], tmp_path: Path) -> None:
    arguments = command(tmp_path, tmp_path / "out", "--limit", "2", "--num-fewshot", "0")
    result = cli(*["countdown" if each == str(tmp_path) else each for each in arguments])
    assert result.exit_code == 0
    assert "custom_dataset" not in result.stderr
    assert "Custom kwargs" not in result.stderr
    found = kept(tmp_path / "out")["results"]
    assert [(one["task"], one["metric"]) for one in found["figures"]] == [
        (f"countdown_{n}", "acc") for n in (3, 4, 5)
    ]  # fmt: skip
    assert found["items"] == 6


def test_items_without_an_answer_are_counted(cli: Callable[..., Any], tmp_path: Path) -> None:
    path = task_files.vowels(tmp_path / "long", count=3, doc_to_text="{{question}} " + "and on " * 400)
    short = task_files.vowels(tmp_path / "short", "short", count=2)
    arguments = command(path, tmp_path / "out")
    arguments[2] = f"{path},{short}"
    result = cli(*arguments)
    assert result.exit_code == 1
    said = " ".join(result.stdout.split())
    assert re.search(r"note: 1 of 5 items \(vowels 0\): prompt of \d+ tokens and answer of 16 are longer than", said)
    assert re.search(r"note: 2 of 5 items \(vowels 1, vowels 2\): prompt of", said)
    assert len(kept(tmp_path / "out")["results"]["problems"]) == 3


def test_a_stop_sequence_that_never_comes_leaves_the_answer_whole_and_is_told(
    cli: Callable[..., Any], tmp_path: Path
) -> None:
    path = task_files.vowels(tmp_path, count=3, generation_kwargs={"until": ["\0never\0"], "do_sample": False})
    result = cli(*command(path, tmp_path / "out"))
    assert result.exit_code == 0
    said = "3 of 3 answers hold neither a stop sequence nor an end of text: they are cut off at --length"
    assert f"note: {said}" in " ".join(result.stdout.split())
    assert kept(tmp_path / "out")["results"]["length"]["value"] == 16


def test_an_unknown_task_has_its_nearest_names(
    cli: Callable[..., Any], task: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import lm_eval.tasks

    # to list the harness' own takes seconds
    few = partial(lm_eval.tasks.TaskManager, include_path=str(task.parent))
    monkeypatch.setattr(lm_eval.tasks, "TaskManager", lambda include_defaults: few(include_defaults=False))
    for name, near in (("vowles", "vowels"), ("cuontdown_4", "countdown_4")):
        said = refusal(cli("eval", "--tasks", name, "--model", "demo", "--out", str(tmp_path / "out")))
        assert f"unknown task '{name}': the nearest are {near}" in said


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["--tasks", "gone.yaml"], "there is no such file of a task"),
        (["--tasks", " , "], "needs the name of a task"),
        (["--judge", "demo-judge"], "--judge is about samples"),
        (["--chat"], "demo has no chat template"),
        (["--limit", "0"], "limit must be at least 1"),
        (["--prompt", "hi"], "bring their own prompts"),
    ],
)
def test_bad_input_is_a_sentence(
    cli: Callable[..., Any], task: Path, tmp_path: Path, change: list[str], words: str
) -> None:
    assert words in refusal(cli(*command(task, tmp_path / "out", *change)))


def test_a_task_whose_data_is_gone_or_that_runs_code_is_refused(cli: Callable[..., Any], tmp_path: Path) -> None:
    path = task_files.vowels(tmp_path / "gone")
    (tmp_path / "gone" / "vowels.json").unlink()
    assert "vowels.yaml or its data cannot be read" in refusal(cli(*command(path, tmp_path / "out")))
    path = task_files.vowels(tmp_path / "code", count=2, unsafe_code=True)
    said = refusal(cli(*command(path, tmp_path / "out")))
    assert "runs code that the model has written: add --allow-code-execution" in said


def test_code_that_the_model_has_written_is_run_in_a_process_of_its_own(
    cli: Callable[..., Any], tmp_path: Path
) -> None:
    path = task_files.vowels(tmp_path, count=2, unsafe_code=True)
    path.write_text(path.read_text() + "process_results: !function mine.check\n")
    (tmp_path / "mine.py").write_text(
        f"import os\ndef check(doc, results):\n    open({str(tmp_path / 'ran')!r}, 'a').write(f'{{os.getpid()}} ')\n"
        "    return {'exact_match': len(os.environ) == 4}\n"
    )
    consent = ("--allow-code-execution", "--trust-remote-code")
    result = cli(*command(path, tmp_path / "out", *consent))
    assert result.exit_code == 0
    ran = set((tmp_path / "ran").read_text().split())
    assert len(ran) > 2
    assert str(os.getpid()) not in ran
    assert kept(tmp_path / "out")["results"]["right"]["value"] == 1


@pytest.mark.parametrize("where", ["itself", "included", "class"])
def test_code_that_a_file_names_runs_with_consent_alone(cli: Callable[..., Any], tmp_path: Path, where: str) -> None:
    path = task_files.vowels(tmp_path, count=2)
    (tmp_path / "mine.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\ndef words(doc): return 'It was'\n")
    entry = "class: !function mine.words\n" if where == "class" else "doc_to_text: !function mine.words\n"
    if where == "included":
        (tmp_path / "more.yaml").write_text(entry)
        path.write_text(path.read_text().replace("doc_to_text: '{{question}}'\n", "include: more.yaml\n"))
    else:
        path.write_text(path.read_text().replace("doc_to_text: '{{question}}'\n", entry))
    message = refusal(cli(*command(path, tmp_path / "out")))
    assert "names Python code, mine.words: add --trust-remote-code" in message
    assert not (tmp_path / "ran").exists()
    if where != "class":
        assert cli(*command(path, tmp_path / "out", "--trust-remote-code")).exit_code == 0
        assert (tmp_path / "ran").exists()


def test_pickled_data_is_read_with_consent_alone(cli: Callable[..., Any], tmp_path: Path) -> None:
    path = task_files.vowels(tmp_path, count=2)
    path.write_text(path.read_text().replace("dataset_path: json", "dataset_path: pandas"))
    assert "data of the kind pandas, which may run code" in refusal(cli(*command(path, tmp_path / "out")))


@pytest.mark.parametrize("entry", [{}, {"hf_evaluate": True}])
def test_a_metric_that_is_a_script_runs_with_consent_alone(
    cli: Callable[..., Any], tmp_path: Path, entry: dict[str, bool]
) -> None:
    script = tmp_path / "mine" / "mine.py"
    script.parent.mkdir()
    script.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    metric = {"metric": str(script.parent), "aggregation": "mean", "higher_is_better": True, **entry}
    path = task_files.vowels(tmp_path, count=2, metric_list=[metric])
    message = refusal(cli(*command(path, tmp_path / "out")))
    assert f"the metric {script.parent} of a task is Python code: add --trust-remote-code" in message
    assert not (tmp_path / "ran").exists()


def test_a_file_does_not_consent_to_the_code_of_its_data(cli: Callable[..., Any], tmp_path: Path) -> None:
    path = task_files.vowels(tmp_path, count=2)
    path.write_text(path.read_text().replace("dataset_kwargs:\n", "dataset_kwargs:\n  trust_remote_code: true\n"))
    assert "wants the code of its data to be run" in refusal(cli(*command(path, tmp_path / "out")))


def test_a_template_is_rendered_in_a_sandbox(cli: Callable[..., Any], tmp_path: Path) -> None:
    escape = "{{ cycler.__init__.__globals__.os.mkdir('" + str(tmp_path / "ran") + "') }}"
    path = task_files.vowels(tmp_path, count=2, doc_to_text=escape)
    assert cli(*command(path, tmp_path / "out")).exit_code != 0
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("words", [("lint",), ("eval", "--model", "demo", "--judge", "none", "--out")])
def test_commands_for_samples_say_what_a_directory_of_answers_is(
    cli: Callable[..., Any], whole: Path, words: tuple[str, ...]
) -> None:
    assert "holds answers to tasks, not samples: `remdm-tui report`" in refusal(cli(*words, str(whole)))


def test_without_the_harness_the_extra_is_named(
    cli: Callable[..., Any], task: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    assert "pip install 'remdm-tui[tasks]'" in refusal(cli(*command(task, tmp_path / "out")))
