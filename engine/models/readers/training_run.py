"""The model of a training run's newest checkpoint, which says its kind and shape itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from filelock import FileLock
from tokenizers import Tokenizer
from torch import Tensor

from engine.data.special_tokens import MASK
from engine.files.atomic import tidy
from engine.files.checksums import is_whole, replace_checked
from engine.files.recovery import recover
from engine.files.run_layout import (
    CHECKPOINT,
    MODEL_FILES,
    NEWEST,
    STEP,
    TOKENIZER,
    WITH_CHECKSUMS,
    ExportNote,
    holds_checkpoint,
    read_exported,
    stamp,
)
from engine.models import checkpoint
from engine.models.checkpoint import Description
from engine.models.dit import DITConfig
from engine.models.files import check_shapes
from engine.models.files.tokenizer_file import read_tokenizer
from engine.models.kinds import KINDS, TrainableNetwork
from engine.models.loading import Discrete
from engine.models.progress import LoadProgress
from engine.system.callbacks import ignore

NETWORK = "network"
"""Where a checkpoint says the kind and shape of its network."""
EARLIER = {"mdlm": ("dit", False), "sedd": ("sedd", True), "d3pm": ("d3pm", True), "ar": ("causal", False)}
"""For checkpoints that do not say it, by objective: (kind, time conditioning where the configuration has none)."""


@dataclass(frozen=True)
class Newest:
    """A directory that `--model` takes, and the step of the run that it is from."""

    home: Path
    step: int


def export_newest(run: Path, progress: LoadProgress = ignore) -> Newest:
    """Write the model of a run's newest whole checkpoint, unless it is there already.  The run may still be training.

    progress: called where that is not the last one.  Raises ValueError where the directory holds no run, or one that
    has not saved anything yet.
    """
    home = run / NEWEST
    if not holds_checkpoint(run):
        raise ValueError(f"{run} holds no checkpoint of a training run: there is no {CHECKPOINT} in it")
    home.mkdir(exist_ok=True)
    # the run itself does this for its sample texts, while somebody watches it
    with FileLock(home / "lock"):
        tidy(home, WITH_CHECKSUMS)
        made = _newest(run, home)
    if made.note:
        progress(made.note, 0, 0)
    return Newest(home, made.step or 0)


def training_tokenizer(run: Path) -> Tokenizer:
    """Return the tokenizer of a run.  Raises ValueError if its file is missing, damaged or not regular."""
    file = run / TOKENIZER
    if not file.exists():
        raise ValueError(f"{run} has no {TOKENIZER}: continue the run once to have it written")
    try:
        return read_tokenizer(file)
    except ValueError as error:
        raise ValueError(f"{error}; continuing the run once writes it again") from error


def averaged(kind: str, config: DITConfig, ema: Mapping[str, Tensor]) -> TrainableNetwork:
    """Return the network with averages as `EMA.state_dict` has them.  Raises ValueError where they do not fit."""
    averages = {name: tensor for name, tensor in ema.items() if name != "updates"}
    # averages are of the parameters; what else the model holds follows from its configuration
    model = KINDS[kind].network(config)
    expected = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    check_shapes(expected, {name: tuple(tensor.shape) for name, tensor in averages.items()})
    model.load_state_dict(averages, strict=False)
    return model


def _newest(run: Path, home: Path) -> ExportNote:
    at, size = stamp(run) or (0, 0)
    made = read_exported(home)
    whole = all(is_whole(home / name) for name in MODEL_FILES)
    if made.step is not None and (made.at, made.bytes) == (at, size) and whole:
        return made
    found = recover(run, lambda state: describe_checkpoint(state, run), lazily=True)
    if found is None:
        raise ValueError(f"{run} holds no checkpoint of a training run any more")
    kind, shape, discrete = found.config
    model = averaged(kind, shape, found.state["ema"])
    checkpoint.export_model(model, training_tokenizer(run).to_str(), home, kind=kind, discrete=discrete)
    made = ExportNote(int(found.state["step"]), at, size, found.note)
    replace_checked(home / STEP, msgspec.json.encode(made))
    return made


def describe_checkpoint(state: Mapping[str, Any], run: Path) -> Description:
    """Return what the network of a checkpoint is.  Raises ValueError where that is unknown."""
    fields = state.get(NETWORK)
    if isinstance(fields, dict):
        return checkpoint.parse_config(fields, f"its {NETWORK!r}")
    return _described_by_config(state, run)


def _described_by_config(state: Mapping[str, Any], run: Path) -> Description:
    """Return the description of an earlier version's checkpoint, from the run's configuration in it."""
    config = msgspec.json.decode(state["config"], type=_Config)
    if config.objective not in EARLIER:
        raise ValueError(f"unknown objective {config.objective!r}")
    kind, timed = EARLIER[config.objective]
    shape = dict(config.model)
    if shape.get("time_conditioning") is None:
        shape["time_conditioning"] = timed
    mask = int(training_tokenizer(run).token_to_id(MASK) or 0)
    try:
        return kind, DITConfig(mask_id=mask, **shape), config.d3pm if KINDS[kind].discrete else None
    except TypeError as error:
        raise ValueError(str(error)) from error


class _Config(msgspec.Struct, frozen=True):
    """What decides the network, of a run's configuration."""

    objective: str
    model: dict[str, Any]
    d3pm: Discrete | None = None
