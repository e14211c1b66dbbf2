"""The configuration of a training run, validated as a whole; its sections and objectives declare the defaults."""

from __future__ import annotations

from dataclasses import dataclass, fields

import msgspec

from engine.models.dit import DITConfig
from engine.models.kinds import KINDS
from engine.models.loading import Discrete
from engine.training.noise import NoiseSection
from engine.training.objectives import OBJECTIVES, make_objective
from engine.training.objectives.d3pm import D3PMSection
from engine.training.objectives.mdlm import MDLMSection
from engine.training.objectives.ssd_lm import SSDLMSection
from engine.training.sections import DataSection, ModelSection, OptimSection, RunSection

SMALLEST, LARGEST = 513, 1 << 16
"""The sizes of a vocabulary that is trained here, which has every byte, an end of text and a mask."""


class TrainConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One run; `objective` names the loss, one of engine.training.objectives."""

    objective: str = "mdlm"
    data: DataSection = msgspec.field(default_factory=DataSection)
    noise: NoiseSection = msgspec.field(default_factory=NoiseSection)
    mdlm: MDLMSection = msgspec.field(default_factory=MDLMSection)
    d3pm: D3PMSection = msgspec.field(default_factory=D3PMSection)
    ssd_lm: SSDLMSection = msgspec.field(default_factory=SSDLMSection)
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
            ("ssd_lm.block", self.ssd_lm.block),
            ("ssd_lm.steps", self.ssd_lm.steps),
            ("ssd_lm.k", self.ssd_lm.k),
            ("data.grids", self.data.grids),
            ("model.length", self.model.length - (2 if self.data.rows == "wrapped" else 0)),
        ):
            if value <= 0:
                raise ValueError(f"{name} is too small")
        for name in ("rows_together", "keep", "spike", "sample_every"):
            if getattr(self.run, name) < 0:
                raise ValueError(f"run.{name} must be 0 or more")
        if self.run.strategy == "fsdp" and self.optim.name == "muon":
            raise ValueError("optim.name = 'muon' takes whole matrices, which run.strategy = 'fsdp' divides: use ddp")
        if self.model.grid is not None and not OBJECTIVES[self.objective].grids:
            fitting = " or ".join(repr(name) for name, entry in OBJECTIVES.items() if entry.grids)
            raise ValueError(f"model.grid is trained by objective = {fitting}, not {self.objective!r}")
        if self.run.init is not None and not OBJECTIVES[self.objective].begins:
            raise ValueError(f"objective = {self.objective!r} begins with no existing model: leave out run.init")
        if self.model.grid is not None and self.run.init is not None:
            raise ValueError("run.init is a network for text, model.grid one for grids: leave out one of them")
        if self.data.generated is not None and self.data.tokenizer is not None:
            raise ValueError("data.generated comes with its tokenizer: leave out data.tokenizer")
        if (
            self.data.tokenizer is None
            and self.data.generated is None
            and not SMALLEST <= self.model.vocab_size <= LARGEST
        ):
            raise ValueError(
                f"model.vocab_size must be {SMALLEST} to {LARGEST} for a tokenizer that is trained on the text, not "
                f"{self.model.vocab_size}; data.tokenizer names one that exists, of any size"
            )
        if not 0 <= self.run.seed < 1 << 63:
            raise ValueError(f"run.seed must be a whole number from 0 to {(1 << 63) - 1}, not {self.run.seed}")

    @property
    def kind(self) -> str:
        """Return the kind of network, a key of KINDS."""
        return make_objective(self, 0).kind

    @property
    def discrete(self) -> Discrete | None:
        """Return the settings of an objective in steps, such as D3PM's; None for another one."""
        return OBJECTIVES[self.objective].discrete(self)

    def network(self, mask_id: int) -> DITConfig:
        """Return the network's configuration."""
        given = msgspec.structs.asdict(self.model)
        for section in self.model.__struct_fields__:
            if isinstance(given[section], msgspec.Struct):
                given |= msgspec.structs.asdict(given[section])
        if given["time_conditioning"] is None:
            given["time_conditioning"] = OBJECTIVES[self.objective].timed
        shape = KINDS[self.kind].shape
        return shape(mask_id=mask_id, **{one.name: given[one.name] for one in fields(shape) if one.name in given})


@dataclass(frozen=True)
class TrainProgress:
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
