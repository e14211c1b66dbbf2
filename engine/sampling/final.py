"""How much of a sample's beginning no later step can change."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from engine.sampling.blocks import Blocks
from engine.strategies import Strategy


def keeps_revealed(strategy: Strategy) -> bool:
    """Return whether a strategy declares that it never masks or edits a token that it has revealed."""
    return strategy.remask_limit == 0 and not strategy.edits


def final_lengths(strategy: Strategy, blocks: Blocks, block: Sequence[int], masked: Tensor) -> list[int]:
    """Return how many positions at the beginning of each row are final.

    These are the blocks before its own, and all up to the first mask where the strategy keeps what it has revealed.
    block: that of each row.  masked: bool [B, L].
    """
    before = [blocks.edges[number] for number in block]
    if not keeps_revealed(strategy):
        return before
    length = masked.shape[1]
    firsts = [at if there else length for at, there in zip(masked.int().argmax(-1).tolist(), masked.any(-1).tolist())]
    return list(map(max, before, firsts))
