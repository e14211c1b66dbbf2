"""Export the averaged weights of a training run's best validation as models that can be loaded."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer

from engine.data.special_tokens import END_OF_TEXT, MASK
from engine.files.atomic import tidy
from engine.files.checkpoint_files import read_state
from engine.files.checksums import replace_checked, replacing_checked
from engine.files.run_layout import BEST, HUB, MODEL, WITH_CHECKSUMS
from engine.models import checkpoint
from engine.models.dit import DITConfig
from engine.models.kinds import KINDS, TrainableNetwork
from engine.models.loading import Discrete
from engine.models.readers.training_run import averaged, training_tokenizer
from engine.training.config import TrainConfig
from engine.training.recovery import recover_run


class Run(Protocol):
    """The part of a training run that an export needs."""

    @property
    def home(self) -> Path: ...

    @property
    def kind(self) -> str:
        """Return the kind of network, a key of KINDS."""
        ...

    @property
    def shape(self) -> DITConfig: ...

    @property
    def tokenizer(self) -> Tokenizer: ...

    @property
    def discrete(self) -> Discrete | None:
        """Return the settings of D3PM; None for another objective."""
        ...


@dataclass(frozen=True)
class SavedRun:
    """A run that is only read, which needs neither its data nor the memory of training."""

    home: Path
    kind: str
    shape: DITConfig
    tokenizer: Tokenizer
    discrete: Discrete | None


def saved_run(home: Path, config: TrainConfig) -> SavedRun:
    """Return the run in a directory.  Raises ValueError if it has no best.pt or if it is of another network.

    config: the configuration it was started with; an undamaged checkpoint's configuration has precedence.
    """
    _best(home)
    tokenizer = training_tokenizer(home)
    mask = int(tokenizer.token_to_id(MASK) or 0)
    try:
        found = recover_run(home, lazily=True)
    except ValueError:  # best.pt has a checksum of its own
        found = None
    before = found.config if found is not None else config
    if (before.objective, before.network(mask)) != (config.objective, config.network(mask)):
        raise ValueError(f"{home} holds a run of another model than the configuration's: choose another --out")
    return SavedRun(home, config.kind, config.network(mask), tokenizer, config.discrete)


def export_best(run: Run) -> int:
    """Write the model of the run's best.pt and return the step it is from.

    Raises ValueError if the file does not exist yet, or if it is another model's.
    """
    model, step = best_model(run)
    checkpoint.export_model(model, run.tokenizer.to_str(), run.home / MODEL, kind=run.kind, discrete=run.discrete)
    return step


def export_hub(run: Run) -> Path:
    """Write the same model in the layout of kuleshov-group/mdlm-owt, or of its kind's own there, float32.

    Raises ValueError as `export_best`, and for a kind that the hub has no layout for.
    """
    kind = KINDS[run.kind]
    if kind.model_type is None and kind.write_hub is None:
        raise ValueError(f"a network of kind {run.kind!r} has no layout on the hub: leave out --hub")
    model, _ = best_model(run)
    home = run.home / HUB
    if kind.write_hub is not None:
        kind.write_hub(model, run.tokenizer, home)
    else:
        publish(model, run.tokenizer, home, run.kind, run.discrete)
    return home


def best_model(run: Run) -> tuple[TrainableNetwork, int]:
    """Return (the network with the averages of best.pt, the step they are from).  Raises ValueError if damaged."""
    best = _best(run.home)
    state = read_state(best, torch.device("cpu"))
    if not (isinstance(state.get("ema"), dict) and isinstance(state.get("step"), int)):
        raise ValueError(f"{best} is not an average of a training run: it has no 'ema' and 'step'")
    return averaged(run.kind, run.shape, state["ema"]), int(state["step"])


def _best(home: Path) -> Path:
    best = home / BEST
    if not best.exists():
        raise ValueError(f"{best} does not exist: nothing has been validated yet")
    return best


def publish(model: TrainableNetwork, tokenizer: Tokenizer, home: Path, kind: str, trained: Discrete | None) -> None:
    """Write a directory in the layout of MDLM on the hub: float32 tensors named backbone.*, a flat config.json.

    Files are written atomically, each with its checksum, the weights last.
    """
    home.mkdir(parents=True, exist_ok=True)
    tidy(home, WITH_CHECKSUMS)
    shape = model.config
    config = {
        "model_type": KINDS[kind].model_type, "parameterization": KINDS[kind].parameterization,
        "vocab_size": shape.vocab_size, "hidden_dim": shape.hidden_size, "cond_dim": shape.cond_dim,
        "n_blocks": shape.n_blocks, "n_heads": shape.n_heads, "model_length": shape.length, "dropout": shape.dropout,
        "time_conditioning": shape.time_conditioning, "mask_token_id": shape.mask_id,
        "bos_token_id": tokenizer.token_to_id(END_OF_TEXT), "eos_token_id": tokenizer.token_to_id(END_OF_TEXT),
        "torch_dtype": "float32", **checkpoint.discrete_fields(trained),
    }  # fmt: skip
    replace_checked(home / "config.json", json.dumps(config, indent=2).encode() + b"\n")
    replace_checked(home / "tokenizer.json", tokenizer.to_str().encode())
    weights = {f"backbone.{name}": tensor.float().contiguous() for name, tensor in model.state_dict().items()}
    with replacing_checked(home / "model.safetensors") as part:
        save_file(weights, part, metadata={"format": "pt"})
        part.chmod(0o644)
