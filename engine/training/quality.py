"""Train a head that scores tokens on a frozen model: PRISM's adapter loss (arXiv 2510.01384, section 4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.models.protocol import Denoiser, device_of, never_drawn
from engine.models.quality import QualityHead, hidden_size
from engine.sampling import kernel
from engine.system.callbacks import ignore

HELD_OUT = 0.1
"""Share of the rows, the last ones, that the head is judged on."""
CHUNK = 256
"""Positions drawn at a time."""


@dataclass(frozen=True)
class HeadConfig:
    """How a head is trained."""

    steps: int = 300
    batch: int = 8
    """rows a step"""
    share: float = 0.25
    """of the masked positions, what the model fills in for the head to judge"""
    lr: float = 2e-3
    seed: int = 0


@dataclass(frozen=True)
class HeadReport:
    """What a head has learnt, on rows that it was not trained on."""

    loss: float
    """cross-entropy in nats"""
    blind: float
    """that of knowing the share of right tokens alone"""
    right: float
    """share of tokens that were right"""
    auc: float
    """chance that a right token scores above a wrong one"""


OnStep = Callable[[int, int, float], None]
"""A callback with (steps done, steps in all, the loss of the step)."""


def train_head(
    model: Denoiser, rows: NDArray[np.integer], config: HeadConfig, done: OnStep = ignore
) -> tuple[QualityHead, HeadReport]:
    """Return a head trained on rows of text [N, L], and what it has learnt.

    Raises ValueError for fewer than 20 rows or a setting out of range.
    """
    if config.steps < 1 or config.batch < 1 or not 0 < config.share <= 1:
        raise ValueError("a head needs steps and batch of at least 1, and a share in 0 to 1")
    if len(rows) < 20:
        raise ValueError(f"a head needs at least 20 rows of text, and the data fill {len(rows)}: give more")
    device, noise = device_of(model), torch.Generator().manual_seed(config.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        head = QualityHead(hidden_size(model)).to(device)
    text, kept = torch.as_tensor(rows).long(), len(rows) - max(2, round(len(rows) * HELD_OUT))
    optimizer = torch.optim.AdamW(head.parameters(), config.lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.steps)
    for step in range(config.steps):
        some = text[torch.randint(kept, (config.batch,), generator=noise)]
        hidden, right = refilled(model, some, config.share, noise)
        loss = quality_loss(head, hidden, right)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        done(step + 1, config.steps, float(loss.detach()))
    found = [refilled(model, part, config.share, noise) for part in torch.split(text[kept:], config.batch)]
    return head.eval().requires_grad_(False), _report(head, *(torch.cat(part) for part in zip(*found, strict=True)))


def quality_loss(head: QualityHead, hidden: Tensor, right: Tensor) -> Tensor:
    """Return the cross-entropy of the head's log-odds at hidden [N, D] with whether each token is right, bool [N]."""
    return torch.nn.functional.binary_cross_entropy_with_logits(head(hidden), right.float())


@torch.no_grad()
def refilled(model: Denoiser, text: Tensor, share: float, noise: torch.Generator) -> tuple[Tensor, Tensor]:
    """Mask a text [B, L], let the model fill in a share of the masks, and show the result to the model again.

    Returns what it gives of the positions filled in, hidden [N, D], and whether the text's token is there, bool [N].
    """
    device = device_of(model)
    level = torch.rand(len(text), 1, generator=noise)
    u = torch.rand(text.shape, generator=noise)
    masked = u < level.clamp(min=1 / text.shape[1])
    # one position of every row at least
    masked |= u == u.amin(-1, keepdim=True)
    filled = masked & ((torch.rand(text.shape, generator=noise) < share) | (u == u.amin(-1, keepdim=True)))
    shown = text.masked_fill(masked, model.mask_id).to(device)
    where, t = filled.to(device), level[:, 0].to(device)
    drawn = []
    for some in torch.split(model.encode(shown, t)[where], CHUNK):
        p = kernel.probabilities(model.project(some), model.mask_id, never=never_drawn(model))
        drawn.append(torch.multinomial(p.cpu(), 1, generator=noise)[:, 0])
    shown[where] = torch.cat(drawn).to(device)
    hidden = model.encode(shown, (shown == model.mask_id).float().mean(-1))
    # what inference mode made takes no part in a gradient
    return hidden[where].float().clone(), shown[where] == text.to(device)[where]


@torch.no_grad()
def _report(head: QualityHead, hidden: Tensor, right: Tensor) -> HeadReport:
    share = float(right.double().mean())
    blind = float(torch.special.entr(torch.tensor([share, 1 - share], dtype=torch.float64)).sum())
    score = head(hidden)
    rank = torch.empty_like(score, dtype=torch.float64)
    rank[score.argsort(stable=True)] = torch.arange(1, len(score) + 1, dtype=torch.float64, device=score.device)
    good, bad = int(right.sum()), int((~right).sum())
    auc = (float(rank[right].sum()) - good * (good + 1) / 2) / max(1, good * bad)
    return HeadReport(float(quality_loss(head, hidden, right)), blind, share, auc)
