"""The files of an evaluation on tasks: a line for each answer as it is finished, and what is made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from engine.evaluation.results import ITEMS, RESULTS
from engine.evaluation.shards import Shards
from engine.files.atomic import replace, tidy, writable
from engine.files.checksums import replace_checked
from engine.files.json_lines import encode_line
from engine.files.jsonl import describe_unused_line, lines, repair
from engine.files.locks import acquire
from engine.system.callbacks import ignore
from engine.tasks.items import AnswerLine
from engine.tasks.questions import QUESTIONS
from engine.tasks.results import SCORES, ScoreLine, TaskResults


def _no_fault(line: AnswerLine) -> None:
    """Find no fault."""


class TaskStore:
    """The directory of one evaluation on tasks."""

    def __init__(self, home: Path) -> None:
        self.home, self.shards = home, Shards(home)
        self._lock: Any = None

    def take(self) -> None:
        """Create the directory and lock it.  Raises BusyError, or ValueError if it cannot be written."""
        writable(self.home)
        self._lock = acquire(self.home)
        tidy(self.home, ("settings.json", ITEMS, QUESTIONS, SCORES, RESULTS, f"{RESULTS}.sha256"))

    def close(self) -> None:
        if self._lock is not None:
            self._lock.release()

    def shard(self, rank: int, world: int) -> Path:
        """Return the file to which a process appends its answers."""
        return self.home / (ITEMS if world == 1 else f"items.rank{rank}.jsonl")

    def answers(
        self, fault: Callable[[AnswerLine], str | None] = _no_fault, notice: Callable[[str], None] = ignore
    ) -> dict[str, AnswerLine]:
        """Return the answers of all processes by key.

        fault: returns what is wrong with a line, None for nothing.  Lines at fault and damaged ones are left out, and
        `notice` is called with a sentence for each.
        """
        found: dict[str, AnswerLine] = {}
        for path in (*self._shards(), self.home / ITEMS):
            for place, line in lines(path, AnswerLine, notice):
                wrong = fault(line)
                if wrong is None:
                    found[line.key] = line
                else:
                    notice(describe_unused_line(path, place, wrong))
        return found

    def _shards(self) -> list[Path]:
        return sorted(self.home.glob("items.rank*.jsonl"))

    def gather(
        self, fault: Callable[[AnswerLine], str | None] = _no_fault, notice: Callable[[str], None] = ignore
    ) -> None:
        """Write the answers of all processes into one file, in the order of their keys, without those that failed.

        Lines at fault are dropped, see `answers`.
        """
        shards = self._shards()
        for path in (*shards, self.home / ITEMS):
            repair(path)
        found = self.answers(fault, notice)
        kept = [line for _, line in sorted(found.items()) if not line.problem]
        replace(self.home / ITEMS, b"".join(map(encode_line, kept)))
        for path in shards:
            path.unlink()

    def write(self, results: TaskResults, scores: Sequence[ScoreLine], answers: Mapping[str, AnswerLine]) -> None:
        """Write the final files; interrupted at any point and run again, this writes the same."""
        replace(self.home / ITEMS, b"".join(encode_line(line) for _, line in sorted(answers.items())))
        replace(self.home / SCORES, b"".join(map(encode_line, scores)))
        replace_checked(self.home / RESULTS, msgspec.json.format(msgspec.json.encode(results), indent=2) + b"\n")
        for path in self._shards():
            path.unlink()
