"""`train-head`: a head that scores tokens, trained on a model that does not change, for the strategy `prism`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.files.run_layout import MODEL, holds_checkpoint
from engine.models.catalogue import BUILT_IN, resolve
from engine.records import ModelChoice
from engine.text.counts import counted
from remdm_tui.commands.perplexity import load_text_model, read_texts
from remdm_tui.commands.progress import Status, on_stderr

ROWS = 2000
"""Rows of text at most, unless another number is given."""


def run(
    choice: ModelChoice,
    data: Sequence[str],
    *,
    out: Path | None = None,
    split: str | None = None,
    steps: int | None = None,
    batch: int | None = None,
    rows: int | None = None,
    seed: int | None = None,
    quiet: bool = False,
) -> str:
    """Train a head and write it; return what it has learnt, a sentence.

    out: directory of the file; None: the model's own.  Raises ValueError for bad input.
    """
    home = out or _home(choice.name)
    reporter = on_stderr(quiet=quiet, waits=False)
    with reporter:
        texts = read_texts(data, split, home, reporter)
        model = load_text_model(choice, reporter)
        from engine.evaluation.model_rows import model_rows
        from engine.models.quality import write_head
        from engine.training.quality import HeadConfig, train_head

        if model.causal:
            raise ValueError(f"{choice.name} predicts from the left alone, where no strategy reads a head")
        given = {"steps": steps, "batch": batch, "seed": seed}
        config = HeadConfig(**{name: value for name, value in given.items() if value is not None})
        with reporter.waiting("cutting rows"):
            found = model_rows(model, texts, layout="windows", windows=ROWS if rows is None else rows)

        def report(done: int, total: int, loss: float) -> None:
            reporter.progress(Status("training", done, total, f"step {done:,} of {total:,}", f"loss {loss:.4f}"))

        head, learnt = train_head(model, found.tokens, config, report)
        path = write_head(head, home)
    after = counted(config.steps, "step", form=",")
    return (
        f"{path}: a right token scores above a wrong one in {learnt.auc:.1%} of pairs, cross-entropy "
        f"{learnt.loss:.4f} nats ({learnt.blind:.4f} without the head), after {after} "
        f"on {counted(len(found.tokens), 'row', form=',')}"
    )


def _home(name: str) -> Path:
    """Return the directory of a model.  Raises ValueError for one whose directory is not the user's."""
    home = resolve(name)
    if name in BUILT_IN or home is None:
        raise ValueError(
            f"the files of {name} cannot be added to: copy the model to a directory and give that "
            "as --model, or give --out DIR to write the head alone"
        )
    if not home.is_dir():
        raise ValueError(f"{name} is a single file, and a head is stored in a directory: give the directory of a model")
    if holds_checkpoint(home) and not (home / "config.json").exists():
        raise ValueError(f"{name} is a training run, and a head is trained for one model: give {home / MODEL}")
    return home
