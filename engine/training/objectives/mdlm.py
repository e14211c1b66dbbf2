"""Masked diffusion in continuous time (MDLM, arXiv 2406.07524): cross-entropy at the masks, weighted by time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from engine.models.dit import DIT
from engine.training.losses import mask_tokens, subs_nll

if TYPE_CHECKING:
    from engine.training.config import TrainConfig


@dataclass(frozen=True)
class MDLM:
    """max_weight caps the bound's weight in training."""

    max_weight: float = math.inf
    kind: str = "dit"

    def loss(self, model: DIT, tokens: Tensor, t: Tensor, noise: torch.Generator) -> Tensor:
        return self._bound(model, tokens, t, noise, self.max_weight)

    def bound(self, model: DIT, tokens: Tensor, t: Tensor, noise: torch.Generator) -> Tensor:
        return self._bound(model, tokens, t, noise, math.inf)

    def _bound(self, model: DIT, tokens: Tensor, t: Tensor, noise: torch.Generator, max_weight: float) -> Tensor:
        noised, masked = mask_tokens(tokens, t, model.mask_id, noise)
        there = t.to(tokens.device)
        hidden = model.encode(noised, there)
        return subs_nll(model.project, hidden, tokens, masked, there, model.mask_id, max_weight)


def make(config: TrainConfig, end: int) -> MDLM:
    return MDLM(config.run.max_weight)
