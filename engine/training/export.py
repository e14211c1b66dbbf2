"""From a training run to a model that can be loaded: the averaged weights of its best validation."""

from __future__ import annotations

import torch

from engine.models import checkpoint
from engine.models.files import check_shapes
from engine.training.loop import Trainer
from engine.training.states import read_state

HOME = "model"
"""Where in the run's directory the model lies."""


def export_best(trainer: Trainer) -> int:
    """Write the model of the run's best.pt; returns the step it is from.

    Raises ValueError where there is none yet, or where it is another model's.
    """
    best = trainer.home / "best.pt"
    if not best.exists():
        raise ValueError(f"{best} does not exist: nothing has been validated yet")
    state = read_state(best, torch.device("cpu"))
    averages = {name: tensor for name, tensor in state["ema"].items() if name != "updates"}
    # averages are of the parameters; what else the model holds follows from its configuration
    kind = trainer.objective.kind
    model = checkpoint.NETWORKS[kind](trainer.model.config)
    expected = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    check_shapes(expected, {name: tuple(tensor.shape) for name, tensor in averages.items()})
    model.load_state_dict(averages, strict=False)
    checkpoint.export(model, trainer.corpus.tokenizer.to_str(), trainer.home / HOME, kind=kind)
    return int(state["step"])
