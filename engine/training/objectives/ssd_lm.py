"""SSD-LM (arXiv 2210.17432): the tokens of a block from points on the simplex of the vocabulary and what is before."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import msgspec
import torch
from torch import Tensor

from engine.models.simplex_roberta import SimplexRoberta
from engine.sampling import rng
from engine.strategies.schedules import simplex
from engine.training.losses import EPS, Chance, to_device
from engine.training.sections import ModelSection
from engine.training.token_losses import ByRow, cross_entropy

TOGETHER, WIDER = 16, 64
"""Rows in the network at a time on a processor and elsewhere, of contexts about as long: it sees no further than the
longest of them.
"""
DIGITS = 24
"""Random bits of a float32 uniform."""


class SSDLMSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    block: int = 25
    """Tokens that are predicted together."""
    steps: int = 1000
    """T: times are t / T, t = 1 ... T."""
    k: float = 5.0
    """K: a token stands as +K at itself and -K elsewhere."""


class SSDLMConfig(Protocol):
    """The part of a run's configuration that this objective takes."""

    @property
    def model(self) -> ModelSection: ...

    @property
    def ssd_lm(self) -> SSDLMSection: ...


@dataclass(frozen=True)
class SSDLM:
    """A context of 1 ... L - block tokens, the block behind it at a time in 1 ... T, and the cross-entropy there.

    Both are uniform, each row's own.  The loss is no bound on the likelihood, and stands for one in the validation.
    """

    block: int = 25
    steps: int = 1000
    k: float = 5.0
    kind: str = "ssd-lm"
    by_row: ByRow = field(default_factory=lambda: ByRow(cross_entropy), compare=False)

    def loss(self, model: SimplexRoberta, tokens: Tensor, t: Tensor, chance: Chance) -> Tensor:
        drawn = chance if isinstance(chance, Tensor) else torch.rand(tokens.shape, generator=chance)
        first, keys, times = self.contexts(drawn), noise_keys(drawn), self.times(t)
        order = first.argsort()
        at_once = TOGETHER if model.device.type == "cpu" else WIDER
        found = [
            self._loss(model, tokens[rows], first[rows], times[rows], keys[rows])
            for rows in torch.split(order, at_once)
        ]
        return torch.cat(found)[to_device(order.argsort(), model.device)]

    def bound(self, model: SimplexRoberta, tokens: Tensor, t: Tensor, chance: Chance) -> Tensor:
        return self.loss(model, tokens, t, chance)

    def contexts(self, drawn: Tensor) -> Tensor:
        """Return the number of tokens before the block of each row, long [B], of uniforms [B, L]."""
        return 1 + (drawn[:, 0].double() * (drawn.shape[1] - self.block)).long()

    def times(self, t: Tensor) -> Tensor:
        """Return t / T, t = 1 ... T, float64 [B], of uniform times [B]."""
        share = ((t.double() - EPS) / (1 - EPS)).clamp(0, 1)
        return ((share * self.steps).floor().clamp(max=self.steps - 1) + 1) / self.steps

    @torch.no_grad()
    def noised(self, tokens: Tensor, level: Tensor, z: Tensor) -> Tensor:
        """Return softmax(sqrt(level) x_0 + sqrt(1 - level) K z), x_0 = 2K onehot - K, [N, V], of tokens [N]."""
        signal, spread = (part.sqrt()[:, None] * self.k for part in (level, 1 - level))
        x = (z * spread).sub_(signal)
        return x.scatter_add_(1, tokens[:, None], 2 * signal.to(x.dtype)).softmax(-1)

    def _loss(self, model: SimplexRoberta, tokens: Tensor, first: Tensor, times: Tensor, keys: Tensor) -> Tensor:
        """Return the mean cross-entropy of each row's block, [B]; all but the model is where chance was drawn."""
        count, size = len(tokens), self.block
        columns = first[:, None] + torch.arange(size, device=first.device)
        block, end = tokens.gather(1, columns), int(first.max()) + size
        # float64, in which the noise is addressed, is unknown on MPS
        place = torch.device("cpu") if model.device.type == "mps" else model.device
        each = torch.arange(size, device=place).repeat(count)
        z = rng.normals(to_device(keys, place).repeat_interleave(size), each, 0, model.vocab_size)
        level = to_device(simplex(times).clamp(0, 1).float(), model.device).repeat_interleave(size)
        targets = to_device(block.flatten(), model.device)
        shares = self.noised(targets, level, to_device(z, model.device)).view(count, size, -1)
        hidden = model.encode(
            to_device(tokens[:, :end], model.device), to_device(first, model.device), shares,
            to_device(times.float(), model.device),
        )  # fmt: skip
        losses = self.by_row(model.project, hidden.flatten(0, 1), targets, model.mask_id)
        return losses.view(count, size).mean(1)


def noise_keys(drawn: Tensor) -> Tensor:
    """Return a key of the noise of each row, int64 [B], of uniforms float32 [B, L] that decide nothing else."""
    high, low = ((drawn[:, column].double() * 2**DIGITS).long() for column in (1, -1))
    return (high << DIGITS) + low


def computed_shares(config: SSDLMConfig) -> tuple[float, float]:
    """Return the shares of a row that the network sees and that it predicts: a mean context with its block, a block."""
    length, block = config.model.length, config.ssd_lm.block
    return (1 + length + block) / 2 / length, block / length


def make(config: SSDLMConfig, end: int | None) -> SSDLM:
    section = config.ssd_lm
    if section.block >= config.model.length:
        raise ValueError(f"ssd_lm.block of {section.block} leaves no context in {config.model.length} tokens")
    return SSDLM(section.block, section.steps, section.k)
