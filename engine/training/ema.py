"""The exponential moving average of a model's parameters, which samples are drawn from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from engine.training.sharding import shard_like


class EMA:
    """shadow <- decay' * shadow + (1 - decay') * parameter, decay' = min(decay, (1 + n) / (10 + n)) at update n."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"EMA decay must lie in 0 to 1 (excluded), not {decay}")
        self.decay = decay
        self.updates = 0
        self.shadow = {name: p.detach().clone() for name, p in model.named_parameters()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        params = dict(model.named_parameters())
        torch._foreach_lerp_(list(self.shadow.values()), [params[k] for k in self.shadow], 1 - decay)

    @contextmanager
    def applied(self, model: nn.Module) -> Iterator[None]:
        """Give the model the averages inside the context, and its own weights back afterwards."""
        params = dict(model.named_parameters())
        own = {name: params[name].detach().clone() for name in self.shadow}
        try:
            _fill(params, self.shadow)
            yield
        finally:
            _fill(params, own)

    def state_dict(self) -> dict[str, Tensor]:
        return {"updates": torch.tensor(self.updates), **self.shadow}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.updates = int(state["updates"])
        for name in self.shadow:
            self.shadow[name].copy_(shard_like(state[name], self.shadow[name]))


@torch.no_grad()
def _fill(params: dict[str, nn.Parameter], values: dict[str, Tensor]) -> None:
    """Copy values into parameters in place, as compiled and divided networks keep references to their tensors."""
    for name, value in values.items():
        params[name].copy_(value)
