"""What an objective is."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor, nn

from engine.training.losses import Chance


class Objective(Protocol):
    """A training loss and a figure to validate by, each one value for each of B sequences.

    model: a network of `kind`, on any device.  tokens: long [B, L].  t: uniform times in EPS to 1, float32 [B], for
    those that need one.  chance: where all further chance comes from.  These three lie on one device; on the CPU they
    keep no GPU waiting.
    """

    @property
    def kind(self) -> str:
        """of network, a key of engine.models.kinds.KINDS"""
        ...

    @property
    def by_row(self) -> nn.Module:
        """what it computes of the logits at each position, which can be compiled"""
        ...

    def loss(self, model: Any, tokens: Tensor, t: Tensor, chance: Chance) -> Tensor:
        """What is minimised, [B]."""
        ...

    def bound(self, model: Any, tokens: Tensor, t: Tensor, chance: Chance) -> Tensor:
        """-log p(tokens), or a draw whose expectation bounds it from above, nats a token [B]."""
        ...


class Denoising(Protocol):
    """What diffusion objectives ask of a network; see `engine.models.protocol`."""

    mask_id: int

    @property
    def device(self) -> torch.device: ...

    def encode(self, tokens: Tensor, t: Tensor) -> Tensor: ...

    def project(self, hidden: Tensor) -> Tensor: ...
