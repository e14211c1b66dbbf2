"""Directories as `eval --tasks` leaves them, with answers that the test chooses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from engine.evaluation.results import ITEMS, RESULTS
from engine.evaluation.shards import Spent
from engine.files.json_lines import encode_line
from engine.tasks.items import AnswerLine, Item
from engine.tasks.results import SCORES, ScoreLine, figures_of, score_lines, task_results

STEPS = 8
RIGHT, WRONG, OVERWRITTEN = ((4, STEPS),), (), ((2, 5),)
"""The steps after which an answer was right."""


def write_answers(
    home: Path, outcomes: Sequence[tuple[tuple[int, int], ...] | str], strategy: str = "mdlm", calls: int = 6,
    steps: int = STEPS, **changes: Any,
) -> Path:  # fmt: skip
    """The directory of an evaluation whose items had these outcomes; a text is why there is no answer.

    changes: settings of what was asked, or `text`, which every answer says.
    """
    text = changes.pop("text", "4 and more")
    keys = [Item("generate", f"What is {i} + 1?").key for i in range(len(outcomes))]
    answers = [
        AnswerLine(key, problem=outcome) if isinstance(outcome, str)
        else AnswerLine(key, text, (1, 2, 3), calls, 3, 0.25, 1.1, right=outcome, steps=steps)
        for key, outcome in zip(keys, outcomes, strict=True)
    ]  # fmt: skip
    right = [float(bool(line.right) and line.right is not None and line.right[-1][1] == steps) for line in answers]
    settings = {
        "model": {"name": "demo", "fingerprint": "abc", "device": "cpu", "dtype": "float32"},
        "sampling": {"strategy": strategy, "knobs": {}, "steps": steps, "length": 16, "seed": 0, "count": 1},
        "tasks": {
            "names": ["sums"],
            "digests": {"sums": "f00d"},
            "data": {"sums": "abcd"},
            "harness": "0.4.13",
            "draws": 128,
            **changes,
        },
    }
    samples = [
        {
            "doc_id": i, "filter": "first", "metrics": ["exact_match"], "exact_match": value, "target": str(i + 1),
            "filtered_resps": ["4"],
        }
        for i, value in enumerate(right)
    ]  # fmt: skip
    found = {
        "samples": {"sums": samples},
        "results": {"sums": {"exact_match,first": sum(right) / len(right)}},
        "higher_is_better": {"sums": {"exact_match": True}},
    }
    scores: list[ScoreLine] = score_lines(found, {("sums", i): (key,) for i, key in enumerate(keys)})
    spent = [Spent("start", 0, len(keys), 2.0, 0.0, "cpu")]
    made = task_results(settings, "0.1.0", figures_of(found, scores), {line.key: line for line in answers}, spent, ())
    home.mkdir(parents=True)
    (home / RESULTS).write_bytes(msgspec.json.encode(made))
    (home / ITEMS).write_bytes(b"".join(map(encode_line, answers)))
    (home / SCORES).write_bytes(b"".join(map(encode_line, scores)))
    return home
