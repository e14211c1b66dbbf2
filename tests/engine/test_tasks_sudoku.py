"""Sudokus as a task: which puzzles are asked, answers that depend on nothing else, and what is counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.evaluation.plan import Sampling
from engine.metrics.wilson import wilson
from engine.models import TextModel, checkpoint, load_model
from engine.models.grid import GridConfig, GridDIT
from engine.records import SHARED_KNOBS
from engine.sampling.session import Session
from engine.strategies import REGISTRY, make_strategy
from engine.sudoku.puzzles import TEST, TRAINING, VALIDATION, make_puzzles
from engine.sudoku.rules import CELLS, EMPTY, text_of
from engine.sudoku.solver import unique_solution
from engine.tasks.items import AnswerLine
from engine.tasks.sudoku import BANDS, PosedPuzzle, SudokuResponder, pose, sudoku_figures, sudoku_scores
from engine.training.tokenizers import alphabet_tokenizer

pytest.importorskip("pycryptosat", reason="the extra tasks is not installed")

STEPS, SEED = 6, 5


@pytest.fixture(scope="module")
def posed() -> list[PosedPuzzle]:
    return pose(2)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> TextModel:
    home = tmp_path_factory.mktemp("model")
    noise = torch.Generator().manual_seed(1)
    network = GridDIT(GridConfig(vocab_size=10, hidden_size=16, n_heads=2, n_blocks=1, length=CELLS, mask_id=9))
    for p in network.parameters():
        p.data = torch.randn(p.shape, generator=noise) * 0.5
    checkpoint.export_model(network, alphabet_tokenizer("123456789").to_str(), home, torch.float32, kind="grid")
    return load_model(str(home), "cpu", "float32")


def sampling(strategy: str, steps: int = STEPS) -> Sampling:
    shared: dict[str, Any] = {info.name: info.default for info in SHARED_KNOBS}
    return Sampling(strategy=strategy, knobs={}, steps=steps, length=CELLS, seed=SEED, count=1, **shared)


def answered(model: TextModel, posed: list[PosedPuzzle], strategy: str, width: int) -> dict[str, AnswerLine]:
    puzzles = {one.item.key: one.puzzle for one in posed}
    responder = SudokuResponder(model, sampling(strategy), width, puzzles)
    return {line.key: line for line in responder.answers([one.item for one in posed])}


def test_every_band_has_puzzles_of_its_clues_with_one_solution(posed: list[PosedPuzzle]) -> None:
    assert [(one.band, one.number) for one in posed] == [(band.name, number) for band in BANDS for number in range(2)]
    bands = {band.name: band for band in BANDS}
    for one in posed:
        assert bands[one.band].low <= one.puzzle.count <= bands[one.band].high
        assert np.array_equal(unique_solution(one.puzzle.clues), one.puzzle.solution)
    assert len({TRAINING, VALIDATION, TEST}) == 3


def test_a_smaller_limit_is_the_beginning_and_clues_take_turns(posed: list[PosedPuzzle]) -> None:
    few = [text_of(one.puzzle.clues) for one in pose(1)]
    assert few == [text_of(one.puzzle.clues) for one in posed if one.number == 0]
    assert [puzzle.count for puzzle in BANDS[1].puzzles(4)] == [27, 28, 29, 27]
    (third,) = make_puzzles(TEST, range(2, 3), 29)
    assert np.array_equal(BANDS[1].puzzles(3)[2].clues, third.clues)


@pytest.mark.parametrize("name", [name for name, made in REGISTRY.items() if "quality" not in made.reads])
def test_an_answer_depends_on_its_puzzle_alone(name: str, model: TextModel, posed: list[PosedPuzzle]) -> None:
    some = posed[::3]
    together = answered(model, some, name, 8)
    assert answered(model, some[::-1], name, 1) == together
    for one in some:
        line, clues = together[one.item.key], one.puzzle.clues
        assert len(line.ids) == CELLS
        assert model.mask_id not in line.ids
        assert [int(c) for c, clue in zip(line.text, clues, strict=True) if clue] == clues[clues != EMPTY].tolist()
        assert line.tokens == CELLS - one.puzzle.count


@pytest.mark.parametrize("name", ["mdlm", "remdm-loop", "dfm", "low-confidence"])
def test_an_answer_is_that_of_a_session(name: str, model: TextModel, posed: list[PosedPuzzle]) -> None:
    one = posed[3]
    prompt = [model.mask_id if digit == EMPTY else digit - 1 for digit in one.puzzle.clues.tolist()]
    session = Session(
        model, make_strategy(name), steps=STEPS, length=CELLS, seed=SEED, prompt=prompt, first=one.item.number
    )
    frames = list(session)
    last = frames[-1]
    line = answered(model, posed, name, 3)[one.item.key]
    assert line.ids == tuple(last.tokens[0].tolist())
    assert line.network_calls == last.network_calls
    right = np.stack([frame.tokens[0] == one.puzzle.solution - 1 for frame in frames])
    assert line.broken == (right.any(0) & ~right[-1]).sum()
    assert (line.broken > 0) == (name == "dfm")


def test_what_is_counted(posed: list[PosedPuzzle]) -> None:
    first, second = posed[:2]
    solution, clues = text_of(first.puzzle.solution), text_of(first.puzzle.clues)
    hole = clues.index(".")
    wrong = solution[:hole] + str(int(solution[hole]) % 9 + 1) + solution[hole + 1 :]
    answers = {
        first.item.key: AnswerLine(first.item.key, wrong, network_calls=7, right=((3, 4),), steps=6, broken=1),
        second.item.key: AnswerLine(second.item.key, problem="no numbers"),
    }
    (line,) = sudoku_scores([first, second], answers)
    asked = clues.count(".")
    assert line.metrics["solved"] == 0
    assert line.metrics["ever solved"] == 1
    assert line.metrics["cells right"] == pytest.approx((asked - 1) / asked)
    assert line.metrics["conflicts"] >= 2
    assert (line.metrics["calls"], line.metrics["broken"]) == (7, 1)
    assert (line.filter, line.target) == (BANDS[0].name, solution)

    answers[second.item.key] = AnswerLine(
        second.item.key, text_of(second.puzzle.solution), network_calls=9, right=((5, 6),), steps=6
    )
    figures = {one.metric: one for one in sudoku_figures(sudoku_scores([first, second], answers))}
    assert {one.filter for one in figures.values()} == {BANDS[0].name}
    solved = figures["solved"].figure
    bounds = wilson(1, 2)
    assert (solved.value, solved.low, solved.high) == (0.5, bounds.low, bounds.high)
    assert (figures["calls"].figure.value, figures["calls"].documents) == (8, 2)


def test_a_share_has_the_score_interval() -> None:
    # by R: prop.test(8, 10, correct = FALSE)
    found = wilson(8, 10)
    assert (found.value, found.low, found.high) == (0.8, pytest.approx(0.4901625), pytest.approx(0.9433178))
    none = wilson(0, 100)
    assert (none.low, none.high) == (0, pytest.approx(0.0369935))
    assert wilson(100, 100).low == pytest.approx(1 - none.high)
    for count in (0, 3):
        with pytest.raises(ValueError, match="is not a share"):
            wilson(4, count)


def test_a_model_of_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="demo fills no 9x9 grids with boxes"):
        SudokuResponder(load_model("demo", "cpu"), sampling("mdlm"), 1, {})
