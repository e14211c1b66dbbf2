"""What a training run is made of, as read from a TOML file; every default is declared here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from engine.files.configs import configs
from engine.models.dit import DITConfig
from engine.models.loading import Discrete
from engine.training.noise import NOISES
from engine.training.objectives import OBJECTIVES
from engine.training.objectives.mdlm import Times
from engine.training.precision import Precision

SMALLEST, LARGEST = 513, 1 << 16
"""Tokens of a vocabulary that is trained here, which has every byte, an end of text and a mask."""


class ModelSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The network's shape; a file may give `size`, a name in configs/models, in place of the fields set there."""

    vocab_size: int = 8192
    hidden_size: int = 384
    n_blocks: int = 6
    n_heads: int = 6
    cond_dim: int = 128
    length: int = 256
    dropout: float = 0.1
    time_conditioning: bool | None = None
    """Whether the network hears the noise level; None: as is usual for the objective."""


class DataSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    rows: Literal["windows", "wrapped"] = "windows"
    """Windows begin anywhere in the text; wrapped ones are its pieces one after the other, an end of text at both ends
    of each, as MDLM's code has them."""
    tokenizer: str | None = None
    """One that exists, by name or path, a mask put behind its last token; None: trained on the text."""


class NoiseSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much is masked at time t, a schedule of engine.training.noise."""

    name: str = "loglinear"
    eps: float = 1e-3
    """Of loglinear and the cosines: the share that is visible at t = 1."""
    sigma_min: float = 1e-3
    """Of linear and geometric: -log of the share that is visible at t = 0."""
    sigma_max: float = 10.0
    """Of linear and geometric: the same at t = 1."""

    def __post_init__(self) -> None:
        if self.name not in NOISES:
            raise ValueError(f"unknown noise.name {self.name!r}: choose {', '.join(NOISES)}")
        if not 0 < self.eps < 1:
            raise ValueError(f"noise.eps must lie between 0 and 1, not {self.eps}")
        if not 0 < self.sigma_min < self.sigma_max:
            raise ValueError(f"0 < noise.sigma_min < noise.sigma_max, not {self.sigma_min} and {self.sigma_max}")


class MDLMSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    times: Times = "uniform"
    """Or importance, or change-of-variables, which do without weights: see engine.training.objectives.mdlm."""


class D3PMSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    steps: int = 1000
    subs_masking: bool = False
    """Whether the network is kept from giving the mask a share."""


class OptimSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`muon` orthogonalises the updates of the blocks' matrices and leaves the rest to AdamW."""

    name: Literal["adamw", "muon"] = "adamw"
    lr: float = 3e-4
    matrix_lr: float = 3e-4
    """Learning rate of the matrices under `muon`, scaled so that their updates are as large as AdamW's."""
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    clip: float = 1.0
    warmup: int = 2500
    cooldown: int = 0
    """Steps at the end over which the learning rate falls linearly to zero."""


class RunSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    init: str | None = None
    """A model to begin with the weights of, as --model takes it; its shape and tokenizer need not be said."""
    steps: int = 100_000
    batch: int = 512
    rows_together: int = 0
    """Rows of a batch that go through the network at a time, their gradients added up; 0: all."""
    max_weight: float = 1000.0
    """Cap on the bound's weight 1/t in training: below 1/eps it trades bias at small t for less noise."""
    curriculum: int = 0
    """Steps over which the largest time trained on grows from 0.3 to 1."""
    ema: float = 0.9999
    seed: int = 1
    spike: float = 0.0
    """A run stops where the loss exceeds its average so many times; 0: it never does."""
    checkpoint_every: int = 500
    keep: int = 0
    """How many of the last checkpoints stay under names of their own, beside the last and the best; 0: none."""
    validate_every: int = 500
    validation_windows: int = 256
    sample_every: int = 0
    """A text is written by the averaged weights every so many steps, which are saved for it; 0: none."""
    precision: Precision = "auto"
    """Of the matrix products; auto: bfloat16 where the device has instructions for it, else float32."""
    compile: bool | None = None
    """Whether the network's blocks are compiled; None: on CUDA."""
    recompute: bool = False
    """Whether activations are computed again for the gradients in place of being kept."""
    strategy: Literal["ddp", "fsdp"] = "ddp"
    """Whether each of several processes holds the whole network, or a share of each tensor."""


class TrainConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One run; `objective` names the loss, one of engine.training.objectives."""

    objective: str = "mdlm"
    data: DataSection = msgspec.field(default_factory=DataSection)
    noise: NoiseSection = msgspec.field(default_factory=NoiseSection)
    mdlm: MDLMSection = msgspec.field(default_factory=MDLMSection)
    d3pm: D3PMSection = msgspec.field(default_factory=D3PMSection)
    model: ModelSection = msgspec.field(default_factory=ModelSection)
    optim: OptimSection = msgspec.field(default_factory=OptimSection)
    run: RunSection = msgspec.field(default_factory=RunSection)

    def __post_init__(self) -> None:
        if self.objective not in OBJECTIVES:
            raise ValueError(f"unknown objective {self.objective!r}: choose {', '.join(OBJECTIVES)}")
        for name, value in (
            ("run.steps", self.run.steps),
            ("run.batch", self.run.batch),
            ("run.checkpoint_every", self.run.checkpoint_every),
            ("run.validate_every", self.run.validate_every),
            ("run.validation_windows", self.run.validation_windows),
            ("optim.lr", self.optim.lr),
            ("optim.clip", self.optim.clip),
            ("d3pm.steps", self.d3pm.steps),
            ("model.length", self.model.length - (2 if self.data.rows == "wrapped" else 0)),
        ):
            if value <= 0:
                raise ValueError(f"{name} is too small")
        for name in ("rows_together", "keep", "spike", "sample_every"):
            if getattr(self.run, name) < 0:
                raise ValueError(f"run.{name} must be 0 or more")
        if self.run.strategy == "fsdp" and self.optim.name == "muon":
            raise ValueError("optim.name = 'muon' takes whole matrices, which run.strategy = 'fsdp' divides: use ddp")
        if self.data.tokenizer is None and not SMALLEST <= self.model.vocab_size <= LARGEST:
            raise ValueError(
                f"model.vocab_size must be {SMALLEST} to {LARGEST} for a tokenizer that is trained on the text, not "
                f"{self.model.vocab_size}; data.tokenizer names one that exists, of any size"
            )
        if not 0 <= self.run.seed < 1 << 63:
            raise ValueError(f"run.seed must be a whole number from 0 to {(1 << 63) - 1}, not {self.run.seed}")

    @property
    def discrete(self) -> Discrete | None:
        """How D3PM is trained; None for another objective."""
        return Discrete(self.d3pm.steps, self.d3pm.subs_masking) if self.objective == "d3pm" else None

    def network(self, mask_id: int) -> DITConfig:
        shape = msgspec.structs.asdict(self.model)
        if shape["time_conditioning"] is None:
            shape["time_conditioning"] = OBJECTIVES[self.objective].timed
        return DITConfig(mask_id=mask_id, **shape)


def read_config(text: str) -> TrainConfig:
    """Parse TOML; raises ValueError that names the key at fault."""
    try:
        return msgspec.convert(_spoken(_begun(_sized(msgspec.toml.decode(text)))), TrainConfig)
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def sizes() -> dict[str, dict[str, object]]:
    """Return the shapes in configs/models by name: what `size` in a configuration's [model] stands for."""
    return {name: msgspec.toml.decode(file.read_bytes()) for name, file in configs("engine", "models").items()}


def _sized(told: dict[str, Any]) -> dict[str, Any]:
    """With the fields of the named size where [model] names one; its own come first."""
    model = told.get("model")
    if not isinstance(model, dict) or "size" not in model:
        return told
    known, name = sizes(), model["size"]
    if not isinstance(name, str) or name not in known:
        raise ValueError(f"unknown model.size {name!r}: choose {', '.join(known)}")
    return {**told, "model": known[name] | {key: value for key, value in model.items() if key != "size"}}


def _begun(told: dict[str, Any]) -> dict[str, Any]:
    """With the shape and the tokenizer of the model that [run] begins with; what the file says itself comes first."""
    run, model, data = told.get("run"), told.get("model", {}), told.get("data", {})
    init = run.get("init") if isinstance(run, dict) else None
    if not (isinstance(init, str) and isinstance(model, dict) and isinstance(data, dict)):
        return told
    from engine.training import init_from

    return {**told, "model": init_from.shape(init) | model, "data": {"tokenizer": init_from.tokenizer(init)} | data}


def _spoken(told: dict[str, Any]) -> dict[str, Any]:
    """With the size of the vocabulary that a tokenizer on this machine has, where [data] names one."""
    model, data = told.get("model", {}), told.get("data")
    name = data.get("tokenizer") if isinstance(data, dict) else None
    if not (isinstance(name, str) and isinstance(model, dict)):
        return told
    from engine.training.tokenizers import given_size, tokenizer_file

    asked = model.get("vocab_size")
    if tokenizer_file(name) is None or not (asked is None or isinstance(asked, int)):
        return told
    return {**told, "model": {**model, "vocab_size": given_size(name, asked)}}


@dataclass(frozen=True)
class Progress:
    """One training step, as reported; `validation` only where it was measured."""

    step: int
    steps: int
    loss: float
    grad_norm: float
    lr: float
    tokens_per_second: float
    validation: float | None
    best: float | None
    saved: bool
