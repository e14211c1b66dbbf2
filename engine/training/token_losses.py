"""The part of losses that is computed from the logits of N positions: most of a step's memory, if not compiled.

Compiled, each is one pass forward and one backward over the logits without intermediate tensors; not compiled, each
uses the operators that take the least memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Project = Callable[[Tensor], Tensor]
"""Hidden [N, D] -> logits [N, V]."""
RowLoss = Callable[..., Tensor]
"""(project, hidden rows [N, D], their tokens [N], mask id, ...) -> the values of each row, [N, ...]."""


class ByRow(nn.Module):
    """A `RowLoss` as a module, so that it can be compiled."""

    def __init__(self, loss: RowLoss) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, project: Project, rows: Tensor, tokens: Tensor, *more: Any) -> Tensor:
        return self.loss(project, rows, tokens, *more)


def cross_entropy(project: Project, rows: Tensor, tokens: Tensor, mask_id: int) -> Tensor:
    """Return -log p(token) of each row, [N]; the mask has probability 0."""
    logits = _without(project(rows).float(), mask_id)
    if torch.compiler.is_compiling():
        return logits.logsumexp(-1) - _at(logits, tokens)
    return F.cross_entropy(logits, tokens, reduction="none")


def score_rows(project: Project, rows: Tensor, tokens: Tensor, mask_id: int) -> Tensor:
    """Return sum of q - log q(token) - 1 of each row, [N], q(y) = exp(logit y) / (V - 1), see `score_entropy`."""
    logits = project(rows).float()
    log_q = _without(logits - math.log(logits.shape[-1] - 1), mask_id)
    return log_q.exp().sum(-1) - _at(log_q, tokens) - 1


def token_and_mask(project: Project, rows: Tensor, tokens: Tensor, mask_id: int, subs_masking: bool) -> Tensor:
    """Return (log p(token), p(mask)) of each row, [N, 2].  subs_masking: give the mask probability 0."""
    logits = project(rows).float()
    if subs_masking:
        logits = _without(logits, mask_id)
    level = logits.logsumexp(-1)
    return torch.stack((_at(logits, tokens) - level, (logits[:, mask_id] - level).exp()), -1)


def _without(logits: Tensor, mask_id: int) -> Tensor:
    """Return logits [N, V] with the mask's at -inf, in place if that saves a copy."""
    if torch.compiler.is_compiling():
        return torch.where(torch.arange(logits.shape[-1], device=logits.device) == mask_id, -torch.inf, logits)
    logits[:, mask_id] = -torch.inf
    return logits


def _at(logits: Tensor, tokens: Tensor) -> Tensor:
    """Return logits [N, V] at one token of each row, [N]."""
    if torch.compiler.is_compiling():
        # gathered, their gradient would be scattered into a tensor of zeros
        here = torch.arange(logits.shape[-1], device=logits.device) == tokens[:, None]
        return torch.where(here, logits, 0.0).sum(-1)
    return logits.gather(1, tokens[:, None])[:, 0]
