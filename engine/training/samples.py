"""Draw texts from the model of a run's last checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.models.readers.training_run import export_newest


def sample_texts(run: Path, count: int, device: str, seed: int = 0) -> list[str]:
    """Return `count` texts of the model's length in as many steps, drawn left to right by a causal model.

    Over the simplex they are as long as whole blocks allow, each in BLOCK_STEPS steps.

    Raises ValueError if the run has no checkpoint yet.
    """
    from engine.models import load_model
    from engine.models.protocol import has_simplex
    from engine.sampling.batch import sample
    from engine.strategies import make_strategy

    model = load_model(str(export_newest(run).home), device)
    length = model.max_length or LENGTH
    shape: dict[str, Any] = {"length": length, "steps": length}
    strategy = make_strategy("left-to-right" if model.info.causal else "mdlm")
    if has_simplex(model):
        size = min(BLOCK, length)
        shape = {"length": length - length % size, "steps": BLOCK_STEPS * (length // size), "block_length": size}
        shape |= {"top_p": 0.95, "nucleus": "inclusive"}
        strategy = make_strategy("ssd-lm")
    rows = sample(model, strategy, count=count, seed=seed, **shape)
    return [model.codec.decode(row.tolist()) for row in rows]


LENGTH = 256
"""The length of a text if the model has no maximum."""
BLOCK, BLOCK_STEPS = 25, 40
"""Tokens of a block over the simplex, and its steps."""
