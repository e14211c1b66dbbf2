"""Countdown: puzzles by number and seed, an exact judge, and the tasks of the package."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.tasks.countdown.functions import process_results
from engine.tasks.countdown.puzzles import TARGETS, is_solution, puzzle
from engine.tasks.loading import SHIPPED


@pytest.mark.parametrize("count", [3, 4, 5])
def test_a_puzzle_has_a_solution_and_follows_from_its_number(count: int) -> None:
    found = [puzzle(number, count, 0) for number in range(100)]
    assert found == [puzzle(number, count, 0) for number in range(100)]
    assert len(set(found)) > 95
    assert puzzle(0, count, 0) != puzzle(0, count, 1)
    for one in found:
        assert len(one.numbers) == count
        assert TARGETS[0] <= one.target <= TARGETS[1]
        assert is_solution(one.solution, one.numbers, one.target), one


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("(3 + 5) * 2", True), (" 2*(5+3) ", True), ("3 + 5 + 2", False), ("8 * 2", False), ("3 + 5 * 2 * 1", False),
        ("(3 + 5) * 2 = 16", False), ("16", False), ("", False), ("(3 + 5) ** 2", False), ("3 + 5 * 2.0", False),
        ("(True + 3 + 5) * 2", False), ("-(3 + 5) * -2", False), ("__import__('os').getcwd()", False),
        ("(" * 90 + "3" + ")" * 90 + "+ 5", False), ("(3 + 5) * 2" + " " * 300, True), ("1" * 300, False),
        ("3 / (5 - 5)", False), ("(3 + 5)\x00 * 2", False),
    ],
)  # fmt: skip
def test_the_judge_is_exact_and_runs_nothing(text: str, right: bool) -> None:
    assert is_solution(text, (2, 3, 5), 16) is right


def test_the_judge_counts_in_fractions() -> None:
    assert is_solution("8 / (3 - 8 / 3)", (3, 3, 8, 8), 24)
    assert not is_solution("1 / 3 * 3", (1, 3, 4), 1)


def test_the_tasks_of_the_package_are_read_without_consent_and_judge_their_own_solutions() -> None:
    pytest.importorskip("lm_eval", reason="the extra tasks is not installed")
    from lm_eval.api.instance import Instance

    from engine.tasks.judging import judged
    from engine.tasks.loading import load_tasks

    tasks = load_tasks(["countdown"])
    assert list(tasks) == ["countdown_3", "countdown_4", "countdown_5"]
    for name, task in tasks.items():
        docs = list(task.eval_docs)
        assert len(docs) == 256
        assert not {doc["solution"] for doc in docs} & {doc["solution"] for doc in task.fewshot_docs()}, name
        for doc in docs[:20]:
            request = Instance("generate_until", doc, (task.doc_to_text(doc), {}), 0)
            assert judged(task, request, f" {doc['solution']} = {doc['target']}") == (doc["solution"], True)
            assert judged(task, request, "I do not know")[1] is False
    assert all(Path(file).exists() for files in SHIPPED.values() for file in files)
    assert process_results({"numbers": [1, 2], "target": 3}, ["1 + 2"]) == {"acc": 1.0}
