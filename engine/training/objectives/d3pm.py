"""Absorbing diffusion in T steps (D3PM, arXiv 2107.03006)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Protocol

import msgspec
from torch import Tensor

from engine.models.loading import Discrete
from engine.training.losses import EPS, Chance, d3pm_kl, mask_tokens, to_device
from engine.training.noise import LogLinear, Noise, NoiseSection, encoder_time, make_noise, masked
from engine.training.objectives.protocol import Denoising
from engine.training.sections import RunSection
from engine.training.token_losses import ByRow, token_and_mask


class D3PMSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    steps: int = 1000
    subs_masking: bool = False
    """Whether the mask has probability 0 in the network's prediction."""


class D3PMConfig(Protocol):
    """The part of a run's configuration that this objective takes."""

    @property
    def noise(self) -> NoiseSection: ...

    @property
    def d3pm(self) -> D3PMSection: ...

    @property
    def run(self) -> RunSection: ...


@dataclass(frozen=True)
class D3PM:
    """steps: T.  subs_masking: the mask has probability 0.  max_weight caps the bound's weight in training."""

    noise: Noise = field(default_factory=LogLinear)
    steps: int = 1000
    subs_masking: bool = False
    max_weight: float = math.inf
    kind: str = "d3pm"
    by_row: ByRow = field(default_factory=lambda: ByRow(token_and_mask), compare=False)

    def loss(self, model: Denoising, tokens: Tensor, t: Tensor, chance: Chance) -> Tensor:
        return self._bound(model, tokens, t, chance, self.max_weight)

    def bound(self, model: Denoising, tokens: Tensor, t: Tensor, chance: Chance) -> Tensor:
        return self._bound(model, tokens, t, chance, math.inf)

    def ends(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Return 1 - alpha at both ends, the later one first, of the step that each uniform time [B] falls in."""
        step = (((t.double() - EPS) / (1 - EPS)).clamp(0, 1) * self.steps).floor().clamp(max=self.steps - 1)
        return masked(self.noise, (step + 1) / self.steps), masked(self.noise, step / self.steps)

    def _bound(self, model: Denoising, tokens: Tensor, t: Tensor, chance: Chance, cap: float) -> Tensor:
        now, then = self.ends(t)
        noised, where = mask_tokens(tokens, now.float(), model.mask_id, chance)
        hidden = model.encode(to_device(noised, model.device), to_device(encoder_time(now), model.device))
        return d3pm_kl(
            model.project, hidden, tokens, where, now.float(), then.float(), self.steps, model.mask_id,
            self.subs_masking, cap, self.by_row,
        )  # fmt: skip


def discrete(config: D3PMConfig) -> Discrete:
    """Return the settings that a checkpoint of this objective says."""
    return Discrete(config.d3pm.steps, config.d3pm.subs_masking)


def make(config: D3PMConfig, end: int | None) -> D3PM:
    return D3PM(make_noise(config.noise), config.d3pm.steps, config.d3pm.subs_masking, config.run.max_weight)
