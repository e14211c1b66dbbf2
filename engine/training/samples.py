"""Draw texts from the model of a run's last checkpoint."""

from __future__ import annotations

from pathlib import Path

from engine.models.readers.training_run import export_newest


def sample_texts(run: Path, count: int, device: str, seed: int = 0) -> list[str]:
    """Return `count` texts of the model's length in as many steps, drawn left to right by a causal model.

    Raises ValueError if the run has no checkpoint yet.
    """
    from engine.models import load_model
    from engine.sampling.batch import sample
    from engine.strategies import make_strategy

    model = load_model(str(export_newest(run).home), device)
    length = model.max_length or LENGTH
    strategy = make_strategy("left-to-right" if model.info.causal else "mdlm")
    rows = sample(model, strategy, steps=length, length=length, count=count, seed=seed)
    return [model.codec.decode(row.tolist()) for row in rows]


LENGTH = 256
"""The length of a text if the model has no maximum."""
