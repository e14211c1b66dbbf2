"""Muon that orthogonalises in a chosen type, matrices of equal shape together; torch's does neither."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor


class GroupedMuon(torch.optim.Muon):
    """`torch.optim.Muon` with "match_rms_adamw" (arXiv 2502.16982), except for how Newton-Schulz is computed.

    torch's runs in bfloat16 whatever the parameters are; a processor without such instructions takes eight times as
    long for it as for float32, and most of a small model's step.  It also takes one matrix after the other, which
    leaves a GPU waiting for launches.  States of either can be loaded by the other.
    """

    def __init__(self, parameters: Sequence[Tensor], dtype: torch.dtype | None = None, **settings: Any) -> None:
        """dtype: that of Newton-Schulz; None: the parameters' own."""
        super().__init__(parameters, **settings)
        self._dtype = dtype

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        assert closure is None
        for group in self.param_groups:
            for alike in stacks([p for p in group["params"] if p.grad is not None]):
                updates = [self._momentum(parameter, group["momentum"]) for parameter in alike]
                how = group["ns_coefficients"], group["ns_steps"], group["eps"]
                for parameter, update in zip(alike, self._orthogonal(updates, *how), strict=True):
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.add_(update, alpha=-0.2 * group["lr"] * max(parameter.shape) ** 0.5)

    def _momentum(self, parameter: Tensor, momentum: float) -> Tensor:
        """Return Nesterov's mean of a parameter's gradients."""
        assert parameter.grad is not None
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter.grad)
        average = state["momentum_buffer"].lerp_(parameter.grad, 1 - momentum)
        return parameter.grad.lerp(average, momentum)

    def _orthogonal(self, updates: list[Tensor], *how: Any) -> Sequence[Tensor]:
        given = updates if self._dtype is None else [update.to(self._dtype) for update in updates]
        return [orthogonal(given[0], *how)] if len(given) == 1 else orthogonal(torch.stack(given), *how).unbind()


def stacks(parameters: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Yield the parameters that are stepped together: those of one shape, alone on a processor, which is as fast so,
    and where they are divided among processes.
    """
    alike: dict[object, list[Tensor]] = {}
    for i, parameter in enumerate(parameters):
        alone = parameter.device.type == "cpu" or isinstance(parameter, DTensor)
        alike.setdefault(i if alone else (parameter.shape, parameter.device), []).append(parameter)
    yield from alike.values()


def orthogonal(matrix: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float) -> Tensor:
    """Return nearly the orthogonal polar factor of a matrix [N, M], or of each of [K, N, M], by a quintic
    Newton-Schulz iteration.
    """
    a, b, c = coefficients
    tall = matrix.shape[-2] > matrix.shape[-1]
    x = matrix.mT if tall else matrix
    one = x.ndim == 2
    x = x / (x.norm() if one else x.norm(dim=(-2, -1), keepdim=True)).clamp(min=eps)
    multiply = torch.addmm if one else torch.baddbmm
    for _ in range(steps):
        gram = x @ x.mT
        x = multiply(x, multiply(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x
