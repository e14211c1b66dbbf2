"""Left to right: the cross-entropy of every token given those before it, the first given the end of a text."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch.nn.functional as F
from torch import Tensor

from engine.models.causal_dit import CausalDIT
from engine.training.losses import Chance, to_device
from engine.training.token_losses import ByRow, cross_entropy


@dataclass(frozen=True)
class AR:
    """The network reads (bos, token 0, ..., token L - 2) and predicts all L tokens, as it is sampled from."""

    bos: int
    kind: str = "causal"
    by_row: ByRow = field(default_factory=lambda: ByRow(cross_entropy), compare=False)

    def loss(self, model: CausalDIT, tokens: Tensor, t: Tensor, chance: Chance) -> Tensor:
        tokens = to_device(tokens, model.device)
        hidden = model.encode(F.pad(tokens[:, :-1], (1, 0), value=self.bos))
        losses = self.by_row(model.project, hidden.flatten(0, 1), tokens.flatten(), model.config.mask_id)
        return losses.view(tokens.shape).mean(1)

    def bound(self, model: CausalDIT, tokens: Tensor, t: Tensor, chance: Chance) -> Tensor:
        return self.loss(model, tokens, t, chance)


def make(config: object, end: int | None) -> AR:
    if end is None:
        raise ValueError("objective = 'ar' begins with the token that ends a text, which these data lack")
    return AR(end)
