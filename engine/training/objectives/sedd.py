"""Score entropy discrete diffusion with absorbing noise (SEDD, arXiv 2310.16834)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from engine.training.losses import Chance, mask_tokens, score_entropy, to_device
from engine.training.noise import LogLinear, Noise, NoiseSection, encoder_time, make_noise, masked, weight
from engine.training.objectives.protocol import Denoising
from engine.training.sections import RunSection
from engine.training.token_losses import ByRow, score_rows


class SEDDConfig(Protocol):
    """The part of a run's configuration that this objective takes."""

    @property
    def noise(self) -> NoiseSection: ...

    @property
    def run(self) -> RunSection: ...


@dataclass(frozen=True)
class SEDD:
    """max_weight caps the bound's weight in training.  The network's scores are as `ScoreDIT` scales them."""

    noise: Noise = field(default_factory=LogLinear)
    max_weight: float = math.inf
    kind: str = "sedd"
    by_row: ByRow = field(default_factory=lambda: ByRow(score_rows), compare=False)

    def loss(self, model: Denoising, tokens: Tensor, t: Tensor, chance: Chance) -> Tensor:
        return self._bound(model, tokens, t, chance, self.max_weight)

    def bound(self, model: Denoising, tokens: Tensor, t: Tensor, chance: Chance) -> Tensor:
        return self._bound(model, tokens, t, chance, math.inf)

    def _bound(self, model: Denoising, tokens: Tensor, t: Tensor, chance: Chance, cap: float) -> Tensor:
        fraction, share = masked(self.noise, t.double()), 1 / weight(self.noise, t.double())
        noised, where = mask_tokens(tokens, fraction.float(), model.mask_id, chance)
        hidden = model.encode(to_device(noised, model.device), to_device(encoder_time(fraction), model.device))
        return score_entropy(model.project, hidden, tokens, where, share.float(), model.mask_id, cap, self.by_row)


def make(config: SEDDConfig, end: int | None) -> SEDD:
    return SEDD(make_noise(config.noise), config.run.max_weight)
