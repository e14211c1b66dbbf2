"""Semi-autoregressive generation: the canvas behind the prompt in blocks, filled one after the other.

While a block is generated the later ones are masks that the network sees and the earlier ones stand fixed
(LLaDA, arXiv 2502.09992, semi-autoregressive remasking).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Blocks:
    """Where the blocks lie and how many steps each has."""

    edges: tuple[int, ...]
    """first position of every block, then the length of the canvas"""
    steps: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.steps)

    def active(self, numbers: Sequence[int], device: str) -> Tensor | None:
        """bool [B, L]: where the block of each row lies; None where one block is all there is."""
        if len(self) == 1:
            return None
        position = torch.arange(self.edges[-1], device=device)
        first, end = (torch.tensor([self.edges[n + i] for n in numbers], device=device)[:, None] for i in (0, 1))
        return (position >= first) & (position < end)


def split(steps: int, length: int, prompt: int, block_length: int | None) -> Blocks:
    """Cut the `length - prompt` positions into blocks of `block_length`, the last perhaps shorter; None or 0: one.

    The steps are shared out evenly, what is over going to the first blocks, one each.  Raises ValueError where a
    block would have none.
    """
    size = block_length or max(length - prompt, 1)
    if size < 0:
        raise ValueError(f"block_length must be at least 1, or 0 for one block, not {block_length}")
    starts = tuple(range(prompt, length, size)) or (prompt,)
    if steps < len(starts):
        raise ValueError(
            f"{steps} steps cannot be shared out over {len(starts)} blocks of {size} tokens: "
            f"take at least {len(starts)} steps or longer blocks"
        )
    each, over = divmod(steps, len(starts))
    return Blocks((*starts, length), tuple(each + (i < over) for i in range(len(starts))))
