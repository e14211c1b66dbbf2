"""Semi-autoregressive generation: the canvas from the first mask on in blocks, filled one after the other.

While a block is generated the earlier ones are fixed.  Either the network sees the whole canvas, later blocks as
masks (LLaDA, arXiv 2502.09992, semi-autoregressive remasking), or a window of it that slides on by a stride, so that
a text becomes longer than the model (MDLM, arXiv 2406.07524, section 3.4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.text.infill import leading_fixed

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Blocks:
    """Where the blocks lie and how many steps each has."""

    edges: tuple[int, ...]
    """first position of every block, then the length of the canvas"""
    steps: tuple[int, ...]
    window: int | None = None
    """positions that the network sees at a time; None: all"""
    ends: tuple[int, ...] = ()
    """where the window of each block ends"""

    def __len__(self) -> int:
        return len(self.steps)

    def active(self, numbers: Sequence[int], device: str) -> Tensor | None:
        """Return bool [B, L]: where the block of each row lies; None where one block is all there is."""
        if len(self) == 1:
            return None
        import torch

        position = torch.arange(self.edges[-1], device=device)
        first, end = (torch.tensor([self.edges[n + i] for n in numbers], device=device)[:, None] for i in (0, 1))
        return (position >= first) & (position < end)

    def seen(self, numbers: Sequence[int], device: str) -> Tensor | None:
        """Return long [B, window]: the positions that the network sees with the block of each row; None for all."""
        if self.window is None:
            return None
        import torch

        end = torch.tensor([self.ends[n] for n in numbers], device=device)[:, None]
        return end - self.window + torch.arange(self.window, device=device)


Prompt = int | Sequence[bool]
"""How many tokens a prompt without masks has, or whether each token of one stays (`engine.text.infill.fixed`)."""


def split(steps: int, length: int, prompt: Prompt, block_length: int | None) -> Blocks:
    """Cut what is behind the prompt's first tokens into blocks of `block_length`, the last perhaps shorter.

    None or 0: one block.  What follows a mask of the prompt counts as part of its block; a block with nothing to
    fill belongs to the one before.  The steps are shared out evenly, what is over going to the first blocks, one each.
    Raises ValueError where a block would have none.
    """
    stays = _stays(prompt)
    first = leading_fixed(stays)
    size = block_length or max(length - first, 1)
    if size < 0:
        raise ValueError(f"block_length must be at least 1, or 0 for one block, not {block_length}")
    starts = tuple(range(first, length, size))
    starts = tuple(at for at in starts if _fills(stays, at, min(at + size, length))) or (first,)
    if steps < len(starts):
        raise ValueError(
            f"{steps} steps cannot be shared out over {len(starts)} blocks of {size} tokens: "
            f"take at least {len(starts)} steps or longer blocks"
        )
    each, over = divmod(steps, len(starts))
    return Blocks((*starts, length), tuple(each + (i < over) for i in range(len(starts))))


def _fills(stays: Sequence[bool], first: int, end: int) -> bool:
    """Return whether there is anything to fill from `first` up to `end`."""
    return end > len(stays) or not all(stays[first:end])


def slide(
    steps: int, window: int, prompt: Prompt, stride: int, strides: int, block_length: int | None = None
) -> Blocks:
    """Return a window of `window` positions that slides on `strides` times by `stride`, each time in `steps` steps.

    The canvas has window + stride * strides positions, and what lies in two windows is generated in the first.
    block_length: cuts what each window generates, as in `split`; a block of a later window has as many steps as the
    last one of the first.  Raises ValueError for a stride that leaves no overlap.
    """
    if strides < 1:
        raise ValueError(f"strides must be at least 1, not {strides}")
    if not 1 <= stride < window:
        raise ValueError(f"a stride must lie in 1 to {window - 1}, so that windows of {window} overlap, not {stride}")
    ends = range(window, window + stride * strides + 1, stride)
    first = split(steps, window, prompt, block_length)
    starts, of_windows, counts = list(first.edges[:-1]), [window] * len(first), list(first.steps)
    for end in ends[1:]:
        inside = range(end - stride, end, block_length or stride)
        starts += inside
        of_windows += [end] * len(inside)
        counts += [first.steps[-1]] * len(inside)
    return Blocks((*starts, ends[-1]), tuple(counts), window, tuple(of_windows))


def _stays(prompt: Prompt) -> Sequence[bool]:
    return [True] * prompt if isinstance(prompt, int) else prompt


def plan_blocks(
    steps: int,
    length: int,
    prompt: Prompt,
    block_length: int | None = None,
    stride: int | None = None,
    strides: int = 0,
) -> Blocks:
    """Return the blocks of a run of `steps` on `length` positions, of windows if it has strides."""
    if stride is None and not strides:
        return split(steps, length, prompt, block_length)
    if stride is None:
        raise ValueError("strides take a stride: by how many positions the window slides")
    return slide(steps, length, prompt, stride, strides, block_length)
