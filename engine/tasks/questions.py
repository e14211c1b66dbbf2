"""The file of the questions, by which an item can be drawn and judged again."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from engine.files.atomic import replace
from engine.files.json_lines import encode_line
from engine.files.jsonl import lines

QUESTIONS = "questions.jsonl"


class Question(msgspec.Struct, frozen=True, omit_defaults=True):
    """One item that asks for an answer."""

    key: str
    task: str
    doc: int
    context: str
    tokens: int
    """of the context"""
    until: tuple[str, ...] = ()
    """sequences before which an answer ends"""
    ends: tuple[int, ...] = ()
    """tokens before which it ends"""
    special: bool = False
    """whether special tokens are read out of the context"""


class AnswerVerdict(msgspec.Struct, frozen=True):
    """What a task says of an answer."""

    answer: str
    """as it is extracted"""
    right: bool | None
    """None if that is unknown"""
    target: str


def add_questions(home: Path, questions: Iterable[Question]) -> None:
    """Write the questions, and those that are there already, in the order of their keys."""
    found = {one.key: one for _, one in lines(home / QUESTIONS, Question)}
    found |= {one.key: one for one in questions}
    replace(home / QUESTIONS, b"".join(encode_line(one) for _, one in sorted(found.items())))


def read_question(home: Path, key: str) -> Question:
    """Return a question by its key, or by the beginning of it.  Raises ValueError unless exactly one has it."""
    found = [one for _, one in lines(home / QUESTIONS, Question) if one.key.startswith(key)]
    if len(found) != 1 or not key:
        what = f"{len(found)} items that begin with" if found else "no item"
        raise ValueError(f"{home} has {what} {key!r}: `remdm-tui report {home}` lists them, and so does {QUESTIONS}")
    return found[0]
