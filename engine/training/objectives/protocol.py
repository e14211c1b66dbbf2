"""The protocol of an objective."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor, nn

from engine.training.losses import Chance


class Objective(Protocol):
    """A training loss and a validation bound, each with one value for each of B sequences.

    model: a network of `kind`, on any device.  tokens: long [B, L].  t: uniform times in EPS to 1, float32 [B].
    chance: the source of all further chance.  These three are on one device; on the CPU, no GPU is waited for.
    """

    @property
    def kind(self) -> str:
        """Return the kind of network, a key of engine.models.kinds.KINDS."""
        ...

    @property
    def by_row(self) -> nn.Module:
        """Return the module that computes the loss of each position's logits, which can be compiled."""
        ...

    def loss(self, model: Any, tokens: Tensor, t: Tensor, chance: Chance) -> Tensor:
        """Return the loss to minimise, [B]."""
        ...

    def bound(self, model: Any, tokens: Tensor, t: Tensor, chance: Chance) -> Tensor:
        """Return -log p(tokens), or a draw whose expectation bounds it from above, nats a token [B]."""
        ...


class Denoising(Protocol):
    """The network of a diffusion objective; see `engine.models.protocol`."""

    mask_id: int

    @property
    def device(self) -> torch.device: ...

    def encode(self, tokens: Tensor, t: Tensor) -> Tensor: ...

    def project(self, hidden: Tensor) -> Tensor: ...
