"""Sudokus as a task that needs no harness: held-out puzzles by their clues, and how far they are solved."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
import torch
from torch import Tensor

from engine.evaluation.drawing import draw_samples
from engine.evaluation.plan import Sampling
from engine.evaluation.results import figure
from engine.metrics.bootstrap import interval
from engine.metrics.wilson import wilson
from engine.models import TextModel
from engine.sampling.batch import AbandonedSample
from engine.sudoku.puzzles import FEWEST, MOST, TEST, Puzzle, hard_puzzles, make_puzzles
from engine.sudoku.rules import CELLS, EMPTY, LAYOUT, conflicts, no_sudoku, parse, text_of
from engine.sudoku.solver import unique_solution
from engine.system.callbacks import ignore
from engine.system.version import __version__
from engine.tasks.asking import problem_notes
from engine.tasks.items import AnswerLine, Item
from engine.tasks.job import AnswerJob
from engine.tasks.plan import SUDOKU
from engine.tasks.questions import AnswerVerdict, Question, add_questions
from engine.tasks.results import ScoreLine, TaskFigure, TaskResults, is_right_at_end, task_results
from engine.tasks.trajectory import RightSteps

USUAL = 100
"""Puzzles of each band unless another limit is given."""
DIGITS = "123456789"


@dataclass(frozen=True)
class Band:
    """Puzzles of `low` to `high` clues, as many of each number."""

    low: int
    high: int
    is_hard: bool = False
    """whether no clue is redundant; then the numbers of clues are as they come"""

    @property
    def name(self) -> str:
        return f"{self.low}-{self.high} clues"

    def puzzles(self, count: int) -> list[Puzzle]:
        """Return the first puzzles of the band.  Raises ValueError where the solver is not installed."""
        if self.is_hard:
            return list(hard_puzzles(TEST, range(count)))
        found: dict[int, Puzzle] = {}
        for clues in range(self.low, self.high + 1):
            numbers = range(clues - self.low, count, self.high - self.low + 1)
            found |= zip(numbers, make_puzzles(TEST, numbers, clues), strict=True)
        return [puzzle for _, puzzle in sorted(found.items())]


BANDS = (Band(FEWEST, MOST, is_hard=True), Band(27, 29), Band(30, 35), Band(36, 45))


@dataclass(frozen=True)
class PosedPuzzle:
    """A puzzle as an item of the task."""

    band: str
    number: int
    """in its band"""
    puzzle: Puzzle

    @property
    def item(self) -> Item:
        return Item("generate", text_of(self.puzzle.clues))

    @property
    def doc(self) -> int:
        """Return its number among the puzzles of all bands, which does not depend on how many are posed."""
        return self.number * len(BANDS) + [band.name for band in BANDS].index(self.band)


def pose(limit: int | None) -> list[PosedPuzzle]:
    """Return the puzzles of all bands.  limit: of each; None: USUAL."""
    count = USUAL if limit is None else limit
    return [
        PosedPuzzle(band.name, number, puzzle) for band in BANDS for number, puzzle in enumerate(band.puzzles(count))
    ]


def puzzles_digest() -> str:
    """Return a digest of what decides the puzzles besides their number."""
    return hashlib.sha256(repr((TEST, BANDS)).encode()).hexdigest()[:16]


@dataclass
class SudokuResponder:
    """Fills puzzles; an answer depends on its puzzle, the seed and the settings alone."""

    model: TextModel
    sampling: Sampling
    width: int
    """puzzles that share the network"""
    puzzles: Mapping[str, Puzzle]
    """by the key of their item"""
    notice: Callable[[str], None] = ignore

    def __post_init__(self) -> None:
        """Raise ValueError for a model that fills no such grids."""
        codec = self.model.codec
        self._tokens = codec.encode(DIGITS) if codec.layout == LAYOUT else []
        if len(set(self._tokens)) != len(DIGITS):
            raise ValueError(no_sudoku(self.model.name))
        self._texts = {token: str(digit) for digit, token in enumerate(self._tokens, 1)}

    def answers(self, items: Sequence[Item]) -> Iterator[AnswerLine]:
        """Yield the answers to different items, each as it is finished, in any order."""
        if not items:
            return
        by_number = {item.number: item for item in items}
        trails = {number: self._trail(item) for number, item in by_number.items()}
        lost: list[AbandonedSample] = []
        prompts = {number: self._prompt(self.puzzles[item.key]) for number, item in by_number.items()}

        truths = {number: self._truth(self.puzzles[item.key]) for number, item in by_number.items()}
        was_right = {number: torch.zeros(CELLS, dtype=torch.bool) for number in by_number}

        def step(number: int, tokens: Tensor) -> None:
            trails[number].add(self.text(tokens))
            was_right[number] |= tokens == truths[number]

        found = draw_samples(
            self.model, msgspec.structs.replace(self.sampling, length=CELLS), (), list(by_number), self.width,
            lost.append, self.notice, prompts=prompts, on_step=step,
        )  # fmt: skip
        for sample in found:
            item, trail = by_number[sample.number], trails[sample.number]
            broken = was_right[sample.number] & (sample.tokens != truths[sample.number])
            yield AnswerLine(
                item.key, self.text(sample.tokens), tuple(sample.tokens.tolist()), sample.network_calls,
                tokens=CELLS - self.puzzles[item.key].count, right=trail.spans, steps=trail.steps,
                broken=int(broken.sum()),
            )  # fmt: skip
        for one in lost:
            problem = f"the network's logits at step {one.step}, position {one.position} are not finite"
            yield AnswerLine(by_number[one.number].key, problem=problem)

    def _trail(self, item: Item) -> RightSteps:
        solution = text_of(self.puzzles[item.key].solution)
        return RightSteps(lambda text: text == solution)

    def _prompt(self, puzzle: Puzzle) -> list[int]:
        return [self.model.mask_id if digit == EMPTY else self._tokens[digit - 1] for digit in puzzle.clues.tolist()]

    def _truth(self, puzzle: Puzzle) -> Tensor:
        return torch.tensor([self._tokens[digit - 1] for digit in puzzle.solution.tolist()])

    def text(self, tokens: Tensor) -> str:
        """Return a grid [81] of tokens as text, with dots for empty cells."""
        return "".join(self._texts.get(token, ".") for token in tokens.tolist())


def sudoku_scores(posed: Sequence[PosedPuzzle], answers: Mapping[str, AnswerLine]) -> list[ScoreLine]:
    """Return a line for each puzzle that has an answer: whether it is solved, cells right, and cells in conflict."""
    lines = []
    for one in posed:
        answer = answers[one.item.key]
        if answer.problem:
            continue
        filled = np.array([int(c) if c in DIGITS else EMPTY for c in answer.text], np.uint8)
        asked, right = one.puzzle.clues == EMPTY, filled == one.puzzle.solution
        metrics = {
            "solved": float(is_right_at_end(answer)),
            "ever solved": float(bool(answer.right)),
            "cells right": float(right[asked].mean()) if asked.any() else 1.0,
            "conflicts": float(conflicts(filled).sum()),
            "broken": float(answer.broken),
            "calls": float(answer.network_calls),
        }
        key = (one.item.key,)
        lines.append(ScoreLine(SUDOKU, one.doc, one.band, key, answer.text, text_of(one.puzzle.solution), metrics))
    return lines


BETTER = {
    "solved": "higher", "ever solved": "higher", "cells right": "higher", "conflicts": "lower", "broken": "lower",
    "calls": "lower",
}  # fmt: skip
"""The metrics of a band, and which values of theirs are better."""


def sudoku_figures(scores: Sequence[ScoreLine]) -> tuple[TaskFigure, ...]:
    """Return the figures of each band: shares of puzzles with Wilson's interval, means with a bootstrap's."""
    found = []
    for band in BANDS:
        lines = [line for line in scores if line.filter == band.name]
        for metric, better in BETTER.items() if lines else ():
            values = [line.metrics[metric] for line in lines]
            is_share = metric in ("solved", "ever solved")
            bounds = wilson(round(sum(values)), len(values)) if is_share else interval(values)
            found.append(TaskFigure(SUDOKU, band.name, metric, figure(bounds), len(values), better))
    return tuple(found)


def sudoku_judge(puzzle: str) -> Callable[[str], AnswerVerdict]:
    """Return what judges texts as answers to a puzzle.  Raises ValueError unless the puzzle has one solution."""
    solution = text_of(unique_solution(parse(puzzle)))
    return lambda text: AnswerVerdict(text, text == solution, solution)


@dataclass
class SudokuJob(AnswerJob):
    """An evaluation on Sudokus."""

    posed: Sequence[PosedPuzzle] = field(kw_only=True)

    def run(self) -> TaskResults | None:
        """Return the results on rank 0, None on others."""
        puzzles = {one.item: one.puzzle for one in self.posed}
        by_key = {item.key: puzzle for item, puzzle in puzzles.items()}
        responder = SudokuResponder(self.model, self.plan.sampling, self.width, by_key, self.note)
        with self.measured() as stopwatch:
            if self.is_first:
                # the clues are cells of the answer, which therefore begins with the first token
                questions = (Question(one.item.key, SUDOKU, one.doc, one.item.context, tokens=0) for one in self.posed)
                add_questions(self.store.home, questions)
            answers = self.ask(list(puzzles), responder.answers, stopwatch)
        if not self.is_first:
            return None
        scores = sudoku_scores(self.posed, answers)
        results = task_results(
            self.plan, __version__, sudoku_figures(scores), answers, self.store.shards.spent(),
            [*self.notes, *problem_notes(answers, {one.item.key: f"{SUDOKU} {one.doc}" for one in self.posed})],
        )  # fmt: skip
        # the entropy of digits, and how many texts end, say nothing of a puzzle
        results = msgspec.structs.replace(results, entropy=None, ends=None)
        self.write(results, scores, answers)
        return results
