"""Masked diffusion in continuous time (MDLM, arXiv 2406.07524): cross-entropy at the masks, weighted by time."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, Protocol

import msgspec
import torch
from torch import Tensor

from engine.training.losses import EPS, Chance, mask_tokens, subs_nll, to_device
from engine.training.noise import LogLinear, Noise, NoiseSection, encoder_time, make_noise, masked, weight
from engine.training.objectives.protocol import Denoising
from engine.training.sections import ModelSection, RunSection
from engine.training.token_losses import ByRow, cross_entropy

Times = Literal["uniform", "importance", "change-of-variables"]


class MDLMSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    times: Times = "uniform"
    """uniform, importance or change-of-variables; the latter two need no weights, see `MDLM`."""


class MDLMConfig(Protocol):
    """The part of a run's configuration that this objective takes."""

    @property
    def noise(self) -> NoiseSection: ...

    @property
    def mdlm(self) -> MDLMSection: ...

    @property
    def model(self) -> ModelSection: ...

    @property
    def run(self) -> RunSection: ...


@dataclass(frozen=True)
class MDLM:
    """max_weight caps the bound's weight in training.

    times: importance draws them as often as the bound weighs them, so that log(1 - alpha) is uniform and every masked
    token counts the same; a change of variables draws log(1 - alpha) itself, whatever the schedule between its ends.
    Either has the expectation of uniform times, and no weight to cap.
    """

    noise: Noise = field(default_factory=LogLinear)
    max_weight: float = math.inf
    times: Times = "uniform"
    kind: str = "dit"
    by_row: ByRow = field(default_factory=lambda: ByRow(cross_entropy), compare=False)

    def loss(self, model: Denoising, tokens: Tensor, t: Tensor, chance: Chance) -> Tensor:
        fraction, share = self.drawn(t)
        cap = self.max_weight if self.times == "uniform" else math.inf
        return self._bound(model, tokens, fraction, share, chance, cap)

    def bound(self, model: Denoising, tokens: Tensor, t: Tensor, chance: Chance) -> Tensor:
        return self._bound(model, tokens, *_uniform(self.noise, t), chance)

    def drawn(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Return (fraction to mask, one over the weight of a masked token), [B] each, of uniform times [B]."""
        if self.times == "uniform":
            return _uniform(self.noise, t)
        low, high = masked(self.noise, torch.tensor([EPS, 1.0], dtype=torch.float64)).log()
        fraction = torch.exp(low + (high - low) * (t.double() - EPS) / (1 - EPS))
        share = torch.full_like(fraction, (1 - EPS) / float(high - low))
        if self.times == "importance":
            fraction = masked(self.noise, self.noise.time(-torch.log1p(-fraction)))
        return fraction, share

    def _bound(
        self, model: Denoising, tokens: Tensor, fraction: Tensor, share: Tensor, chance: Chance, cap: float = math.inf
    ) -> Tensor:
        noised, where = mask_tokens(tokens, fraction.float(), model.mask_id, chance)
        hidden = model.encode(to_device(noised, model.device), to_device(encoder_time(fraction), model.device))
        return subs_nll(model.project, hidden, tokens, where, share.float(), model.mask_id, cap, self.by_row)


def _uniform(noise: Noise, t: Tensor) -> tuple[Tensor, Tensor]:
    return masked(noise, t.double()), 1 / weight(noise, t.double())


def make(config: MDLMConfig, end: int | None) -> MDLM:
    if config.mdlm.times != "uniform" and config.run.curriculum:
        raise ValueError(f"run.curriculum takes uniform times: leave it out, or mdlm.times = {config.mdlm.times!r}")
    kind = "dit" if config.model.grid is None else "grid"
    return MDLM(make_noise(config.noise), config.run.max_weight, config.mdlm.times, kind)
