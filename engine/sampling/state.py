"""The state of many trajectories, and what decides their next step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from engine.models.protocol import Denoiser, device_of
from engine.records import Settings
from engine.sampling.memory import StrategyMemory
from engine.strategies import Strategy


@dataclass(frozen=True)
class StepConfig:
    """What decides a step: the strategy and the settings that name it."""

    strategy: Strategy
    settings: Settings


@dataclass
class SamplerState:
    """B trajectories of L positions, on the model's device.

    tokens long [B, L]; held float64 [B, L], the probability each token had when it was revealed; locked
    bool [B, L], the tokens of the prompt, wherever they are; numbers, the sample number of each row; active bool
    [B, L], the block that is being generated, outside which nothing is revealed or remasked (None: all but the prompt
    is one block); seen long [B, W], the positions in order that the network is shown, the active ones among them
    (None: all); memory, what the strategy remembers of its last steps (None: nothing).
    """

    tokens: Tensor
    held: Tensor
    locked: Tensor
    numbers: list[int]
    active: Tensor | None = None
    seen: Tensor | None = None
    memory: StrategyMemory | None = None

    @classmethod
    def blank(cls, model: Denoiser, length: int, numbers: Sequence[int], prompt: Sequence[int] = ()) -> SamplerState:
        """Return all masked but for the prompt at the start; masks in it are masked like the rest."""
        shape, device = (len(numbers), length), device_of(model)
        tokens = torch.full(shape, model.mask_id, dtype=torch.long, device=device)
        held = torch.full(shape, torch.nan, dtype=torch.float64, device=device)
        locked = torch.zeros(shape, dtype=torch.bool, device=device)
        if prompt:
            tokens[:, : len(prompt)] = torch.tensor(list(prompt), device=device)
            locked = tokens != model.mask_id
            held[locked] = 1.0
        return cls(tokens, held, locked, list(numbers))

    def rows(self, rows: Sequence[int]) -> SamplerState:
        """Return some of the trajectories, in this order."""
        at = list(rows)
        active, seen = (None if part is None else part[at] for part in (self.active, self.seen))
        memory, numbers = self.memory and self.memory.rows(at), [self.numbers[i] for i in at]
        return SamplerState(self.tokens[at], self.held[at], self.locked[at], numbers, active, seen, memory)

    def join(self, other: SamplerState) -> SamplerState:
        """Return these trajectories and then those of `other`, in no block."""
        return SamplerState(
            torch.cat((self.tokens, other.tokens)), torch.cat((self.held, other.held)),
            torch.cat((self.locked, other.locked)), self.numbers + other.numbers,
            memory=self.memory and other.memory and self.memory.join(other.memory),
        )  # fmt: skip

    def copy(self) -> SamplerState:
        """Return a copy whose tokens can change independently."""
        return replace(self, tokens=self.tokens.clone(), held=self.held.clone())

    @property
    def open(self) -> Tensor:
        """Return bool [B, L]: the positions that a sampler may touch now."""
        return ~self.locked if self.active is None else self.active & ~self.locked

    @property
    def prompt_in_sight(self) -> Tensor:
        """Return bool [B, L]: the tokens of the prompt that the network is shown."""
        if self.seen is None:
            return self.locked
        return torch.zeros_like(self.locked).scatter(1, self.seen, True) & self.locked

    def masked(self, mask_id: int) -> Tensor:
        """Return bool [B, L]: the masks that a sampler may reveal now."""
        return (self.tokens == mask_id) & self.open

    def noise(self, alpha_t: Tensor, mask_id: int) -> Tensor:
        """Return the noise level that the network is given, float64 [B]: 1 - alpha_t, alpha_t [B, 1].

        In blocks, where alpha_t is one block's, it is the masked fraction of all that is seen, prompt included.
        """
        if self.active is None:
            return (1 - alpha_t).expand(len(self.numbers), 1)[:, 0]
        return (self.shown(self.tokens) == mask_id).double().mean(-1)

    def shown(self, values: Tensor) -> Tensor:
        """Return values [B, L] at the positions that the network sees, [B, W]."""
        return values if self.seen is None else values.gather(1, self.seen)


class NextStep(NamedTuple):
    """What a step starts from, and where it leads to; s is t for a clean-up and at the end."""

    state: SamplerState
    config: StepConfig
    t: float
    s: float
    step: int
    """number of its noise"""
    block: int
