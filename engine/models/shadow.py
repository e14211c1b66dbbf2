"""A shadow block: masks behind the text, at the positions of a block, by which its tokens are judged in the same call.

WINO, arXiv 2507.18578.  A shadow sees every token but the one at its own position, and all shadows; no token sees a
shadow.  Tokens see each other, so in a network of several layers a shadow's own token reaches it through the others.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Shadowed(NamedTuple):
    """A text of L positions with S shadows behind it."""

    tokens: Tensor
    """long [B, L + S]"""
    positions: Tensor
    """long [B, L + S]: of each, for the rotary embedding"""
    sees: Tensor
    """bool [B, L + S, L + S]: whether the row looks at the column"""
    sequence: Tensor
    """[N]: of each position that is read"""
    place: Tensor
    """[N]: in 0 to L + S: of the position itself if it is masked, else of its shadow"""


def shadowed(tokens: Tensor, where: Tensor, block: Tensor, mask_id: int) -> Shadowed:
    """Return tokens [B, L] with shadows of the positions `block`, to be read at the N positions `where`, bool [B, L].

    Where positions are committed, `where` must lie in the block.
    """
    batch, length = tokens.shape
    counts = block.sum(-1, keepdim=True)
    most = int(counts.max())
    order = block.long().sort(dim=-1, descending=True, stable=True).indices[:, :most]
    used = torch.arange(most, device=tokens.device) < counts
    own = torch.arange(length, device=tokens.device)
    sees = torch.ones((batch, length + most, length + most), dtype=torch.bool, device=tokens.device)
    sees[:, :, length:] = False
    sees[:, length:, :length] = order[:, :, None] != own
    sees[:, length:, length:] = used[:, None]
    rank = length + block.long().cumsum(-1) - 1
    place = torch.where(tokens == mask_id, own, rank)
    return Shadowed(
        torch.cat((tokens, torch.full_like(order, mask_id)), -1),
        torch.cat((own.expand(batch, -1), order), -1),
        sees,
        where.nonzero(as_tuple=True)[0],
        place[where],
    )
