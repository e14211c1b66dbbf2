"""What the task files here name: the documents, and the judge of answers."""

from __future__ import annotations

from dataclasses import asdict
from importlib import import_module
from typing import Any

from engine.tasks.countdown.puzzles import is_solution, puzzle

EXAMPLES = 32
"""Puzzles for examples in prompts; no document is among them."""


def dataset(numbers: int, count: int, seed: int, **_: Any) -> dict[str, Any]:
    """Return the puzzles by split, as the harness takes them."""
    made = import_module("datasets").Dataset.from_list
    whole = [asdict(puzzle(number, numbers, seed)) for number in range(count + EXAMPLES)]
    return {"test": made(whole[:count]), "train": made(whole[count:])}


def process_results(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """Return whether an answer is a solution."""
    return {"acc": float(is_solution(results[0], doc["numbers"], doc["target"]))}
