"""Muon that orthogonalises in the parameters' own type, unlike torch's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class WholeMuon(torch.optim.Muon):
    """`torch.optim.Muon` with "match_rms_adamw" (arXiv 2502.16982), except for the type of Newton-Schulz.

    torch's runs in bfloat16 whatever the parameters are; a processor without such instructions takes eight times as
    long for it as for float32, and most of a small model's step.  States of either can be loaded by the other.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        assert closure is None
        for group in self.param_groups:
            momentum = group["momentum"]
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros_like(parameter.grad)
                average = state["momentum_buffer"].lerp_(parameter.grad, 1 - momentum)
                update = orthogonal(
                    parameter.grad.lerp(average, momentum), group["ns_coefficients"], group["ns_steps"], group["eps"]
                )
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(update, alpha=-0.2 * group["lr"] * max(parameter.shape) ** 0.5)


def orthogonal(matrix: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float) -> Tensor:
    """Return nearly the orthogonal polar factor of a matrix [N, M], by a quintic Newton-Schulz iteration."""
    a, b, c = coefficients
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / x.norm().clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if tall else x
