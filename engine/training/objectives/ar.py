"""Left to right: the cross-entropy of every token given those before it, the first given the end of a text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.models.causal_dit import CausalDIT
from engine.training.losses import Chance

if TYPE_CHECKING:
    from engine.training.config import TrainConfig


@dataclass(frozen=True)
class AR:
    """The network reads (bos, token 0, ..., token L - 2) and predicts all L tokens, as it is sampled from."""

    bos: int
    kind: str = "causal"

    def loss(self, model: CausalDIT, tokens: Tensor, t: Tensor, chance: Chance) -> Tensor:
        logits = model(F.pad(tokens[:, :-1], (1, 0), value=self.bos)).float()
        logits[:, :, model.config.mask_id] = -torch.inf
        return F.cross_entropy(logits.transpose(1, 2), tokens, reduction="none").mean(1)

    def bound(self, model: CausalDIT, tokens: Tensor, t: Tensor, chance: Chance) -> Tensor:
        return self.loss(model, tokens, t, chance)


def make(config: TrainConfig, end: int) -> AR:
    return AR(end)
