"""Ship a trained Sudoku model: copy the export of a run into the package and write its card from evaluations.

remdm-tui train --config sudoku --export-only --out runs/sudoku
remdm-tui eval --tasks sudoku --model runs/sudoku/model --sweep strategy=... steps=... --limit 1000 --out runs/solved
python scripts/sudoku_card.py --run runs/sudoku --solved runs/solved --cost "an hour of two cores"
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import engine
from engine.files.run_layout import MODEL_FILES
from engine.tasks.sudoku import BANDS
from engine.training.config_file import read_config
from remdm_tui.reports.records import Series, TaskEvaluation
from scripts.model_card import ROOT, best_validation
from scripts.sudoku_results import read, share, value

HOME = ROOT / "engine" / "models" / "demo_sudoku"
CARD = """# The Sudoku model of remdm-tui

A masked diffusion model (MDLM, SUBS objective, Sahoo et al. 2024, arXiv 2406.07524) that fills 9x9 Sudokus. It is for
looking at samplers where an answer is right or wrong, not for solving Sudokus: a solver does that at once.

| | |
|---|---|
| architecture | network for grids: {n_blocks} blocks of {hidden_size}, {n_heads} heads, applied {loops} times |
| positions | embeddings of row, column and box; a bias of the attention towards cells that share one |
| parameters | {parameters:,}, stored in bfloat16 |
| tokenizer | the digits 1 to 9 and the mask |
| data | {grids:,} full grids made by number, each shown in copies that differ by its symmetries; no puzzles |
| licence | the grids are made here; the weights are under the licence of this repository |
| training | {steps:,} steps of {batch} grids, {cost} |
| weights | exponential moving average, at the best validation (step {best:,}, {loss:.4f} nats a cell) |

## How much it solves

Held-out puzzles with one solution, {count} for each range of clues; the best strategy for each number of steps T, with
Wilson's 95 % interval:

    remdm-tui eval --tasks sudoku --model demo-sudoku --sweep strategy=NAME,... steps=T,... --limit {limit} --out DIR

{table}

The grids of training, validation and test have seeds of their own. All strategies are in
[docs/results.md](../../../docs/results.md#sudokus).

## Train it again

    remdm-tui train --config sudoku --out runs/sudoku
    remdm-tui eval --tasks sudoku --model runs/sudoku/model --sweep strategy=NAME,... --limit {limit} --out DIR
    python scripts/sudoku_card.py --run runs/sudoku --solved DIR --cost "{cost}"
"""


def table(every: Sequence[Series[TaskEvaluation]]) -> str:
    """Return the share solved by the best series for each number of steps and range of clues, as Markdown."""
    steps = sorted({point.steps for one in every for point in one.points})
    rows = [
        "| solved, % | " + " | ".join(f"T = {number:,}" for number in steps) + " |",
        "|---" * (len(steps) + 1) + "|",
    ]
    for band in BANDS:
        cells = []
        for number in steps:
            solved = {
                one.name: found
                for one in every
                for point in one.points
                if point.steps == number and (found := value(band.name, "solved", point.evaluations[0]))
            }
            name = max(solved, key=lambda each: solved[each].value)
            cells.append(f"{share(solved[name])} {name}")
        rows.append(f"| {band.name} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--solved", type=Path, nargs="+", required=True, help="Evaluations on --tasks sudoku.")
    parser.add_argument("--cost", required=True, help="What the training took, on what.")
    parser.add_argument("--out", type=Path, default=HOME)
    options = parser.parse_args()
    config = read_config((ROOT / "configs" / "train" / "sudoku.toml").read_text())
    every = read(options.solved)
    options.out.mkdir(exist_ok=True)
    for name in MODEL_FILES:
        shutil.copyfile(options.run / "model" / name, options.out / name)
    model, grid = engine.load_model(str(options.out), "cpu", "float32"), config.model.grid
    assert grid is not None
    step, loss = best_validation(options.run)
    limits = sorted({one.results.figures[0].documents for series in every for one in series.evaluations})
    shape = {name: getattr(config.model, name) for name in ("n_blocks", "hidden_size", "n_heads")}
    card = CARD.format(
        **shape, loops=grid.loops, parameters=model.info.parameters, grids=config.data.grids, steps=config.run.steps,
        batch=config.run.batch, cost=options.cost, best=step, loss=loss, limit=limits[-1],
        count=" or ".join(f"{limit:,}" for limit in limits), table=table(every),
    )  # fmt: skip
    (options.out / "README.md").write_text(card, encoding="utf-8")


if __name__ == "__main__":
    main()
