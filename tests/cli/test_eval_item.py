"""`watch --from DIR --item KEY`: an item is drawn as in the evaluation, and judged at every step."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from engine.evaluation.results import ITEMS
from engine.files.jsonl import lines
from engine.models import TextModel, load_model
from engine.sampling.session import Session
from engine.sampling.trace import RunStart, Trace
from engine.strategies import make_strategy
from engine.tasks.items import AnswerLine
from engine.tasks.judge_answers import answer_judge
from engine.tasks.plan import read_task_plan
from engine.tasks.questions import AnswerVerdict, read_question
from remdm_tui.cli import app
from remdm_tui.commands.eval_item import arguments_of_item
from remdm_tui.link.answers import AnswerProcess
from remdm_tui.settings.run_arguments import RunArguments
from remdm_tui.settings.watch_options import fit_to_model
from remdm_tui.settings.watched_item import WatchedItem
from remdm_tui.watch.answers import answer_line, answer_text
from tests.engine import task_files

pytest.importorskip("lm_eval", reason="the extra tasks is not installed")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("item")
    arguments = [
        "eval", "--tasks", str(task_files.vowels(root, count=4)), "--model", "demo", "--strategy", "remdm-cap", "--eta",
        ".3", "--steps", "12", "--length", "16", "--seed", "5", "--device", "cpu", "--quiet", "--out",
        str(root / "out"),
    ]  # fmt: skip
    assert CliRunner().invoke(app, arguments).exit_code == 0
    return root / "out"


@pytest.fixture(scope="module")
def model() -> TextModel:
    return load_model("demo", device="cpu")


def answered(home: Path) -> list[AnswerLine]:
    return [line for _, line in lines(home / ITEMS, AnswerLine)]


def drawn(home: Path, key: str, model: TextModel) -> tuple[Trace, WatchedItem]:
    """The run that `watch` would show."""
    arguments, item = arguments_of_item(home, key, RunArguments())
    options = arguments.options(item=item)
    settings, run = fit_to_model(options, model.info, ())
    session = Session(
        model, make_strategy(settings.strategy, **settings.knobs), steps=run.steps_after(0), length=run.length,
        seed=run.seed, prompt=model.prompt(run.prompt, run.chat, run.infill, run.special), first=run.first,
        top_p=settings.top_p,
    )  # fmt: skip
    trace = Trace(RunStart(session.tokens.numpy().astype(np.int32), session.locked.numpy(), run.steps_after(0), 5))
    for frame in session:
        trace.append(frame)
    return trace, item


def test_an_item_ends_as_in_the_evaluation_and_is_right_after_the_same_steps(home: Path, model: TextModel) -> None:
    for line in answered(home):
        trace, item = drawn(home, line.key[:8], model)
        assert tuple(trace.tokens(len(trace), 0)[item.tokens :].tolist()) == line.ids
        judge = answer_judge(read_task_plan(home), read_question(home, line.key))
        texts = [answer_text(trace, position, 0, item, model.info) for position in range(1, len(trace) + 1)]
        assert texts[-1] == line.text
        assert line.right is not None
        found = [judge(text).right for text in texts]
        assert found == [any(a <= i < b for a, b in line.right) for i in range(len(texts))]


@pytest.mark.parametrize(
    ("change", "problem"),
    [({"doc": 10**6}, "the data of vowels has no document 1000000"), ({"task": "other"}, "no task 'other'")],
)
def test_a_question_that_the_task_does_not_have_is_named(home: Path, change: dict[str, Any], problem: str) -> None:
    question = msgspec.structs.replace(read_question(home, answered(home)[0].key), **change)
    with pytest.raises(ValueError, match=problem):
        answer_judge(read_task_plan(home), question)


def test_a_process_judges_answers_one_at_a_time(home: Path) -> None:
    key = answered(home)[0].key
    process = AnswerProcess(WatchedItem(home, key, "vowels 0", 3, ()))
    try:
        end = time.monotonic() + 120
        while (found := process.judged("b a c")) is None and not process.problem and time.monotonic() < end:
            assert process.judged("another") is None
            time.sleep(0.05)
        judge = answer_judge(read_task_plan(home), read_question(home, key))
        assert found == AnswerVerdict(**msgspec.structs.asdict(judge("b a c")))
    finally:
        process.close()


@pytest.mark.parametrize(
    ("code", "problem"),
    [("import sys; sys.exit('the task is gone')", "the task is gone"), ("print('{}', flush=True)", "it was ended")],
)
def test_a_process_that_fails_says_why(tmp_path: Path, code: str, problem: str) -> None:
    process = AnswerProcess(WatchedItem(tmp_path, "0", "vowels 0", 3, ()), (sys.executable, "-c", code))
    end = time.monotonic() + 60
    while not process.problem and time.monotonic() < end:
        process.judged("text")
        time.sleep(0.02)
    assert process.problem == problem
    assert not process.waiting
    process.close()


def test_a_line_says_right_or_wrong_in_words() -> None:
    assert answer_line(AnswerVerdict("4", True, "4"), "", False) == "✓ right: 4"
    assert answer_line(AnswerVerdict("4\n\x1b", False, "5"), "", True).startswith("wrong: 4")
    assert answer_line(AnswerVerdict("4", None, "5"), "", True) == "not judged: 4, not 5"
    assert answer_line(None, "", True) == "Judging ..."
    assert answer_line(None, "gone", True) == "Not judged: gone"


@pytest.mark.parametrize(
    ("key", "given", "words"),
    [
        ("zz", {}, "has no item 'zz'"),
        ("", {}, "4 items that begin with ''"),
        (None, {"prompt": "hi"}, "an item brings its own prompt"),
    ],
)
def test_bad_input_is_a_sentence(home: Path, key: str | None, given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        arguments_of_item(home, answered(home)[0].key if key is None else key, RunArguments(**given))


def test_a_directory_of_samples_has_no_items(tmp_path: Path, home: Path) -> None:
    with pytest.raises(ValueError, match="holds no answers to tasks"):
        arguments_of_item(tmp_path, "0", RunArguments())


@pytest.mark.parametrize("words", [("--item", "ab"), ("--from", "here", "--item", "ab", "--sample", "1")])
def test_options_that_contradict_each_other_are_refused(
    cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setenv("TEXTUAL_DRIVER", "textual.drivers.web_driver:WebDriver")
    result = cli("watch", *words)
    assert result.exit_code != 0
    assert "--item" in result.stderr
