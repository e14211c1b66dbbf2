"""Hidden vectors of a state where they are read: of the whole text, cut off, or with a token masked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple, cast

import torch
from torch import Tensor

from engine.models.chunking import portion
from engine.models.protocol import Denoiser, ShadowDenoiser, device_of, encode_rows, has_shadows
from engine.sampling.memory import ShownState
from engine.sampling.state import SamplerState
from engine.strategies import Strategy, View

ROW_POSITIONS = 1 << 12
"""Positions of the network's input computed at once on a processor, where each revealed one takes a row of its own."""


class ReadPositions(NamedTuple):
    """Positions at which the network is read: N in all, by sequence."""

    rows: Tensor
    """[R]: sequences with any"""
    where: Tensor
    """bool [R, L]"""
    sequence: Tensor
    """[N]: of the batch"""
    position: Tensor
    """[N]"""

    @classmethod
    def of(cls, where: Tensor) -> ReadPositions:
        """Return the positions where bool [B, L] holds."""
        rows = where.any(-1).nonzero()[:, 0]
        return cls(rows, where[rows], *where.nonzero(as_tuple=True))


class Encoder:
    """Puts states through one network."""

    def __init__(self, model: Denoiser) -> None:
        self.model, self.device = model, device_of(model)
        self._kept: dict[int, _Kept] = {}
        """by sample number: what a strategy that reads `divergence` compares with next"""

    def in_portions(self, state: SamplerState, *columns: Tensor) -> Iterator[tuple[Tensor, ...]]:
        """Yield N rows of the network's input, [N] each, as many at a time as are computed at once."""
        width = state.tokens.shape[1] if state.seen is None else state.seen.shape[1]
        at_once = max(1, portion(ROW_POSITIONS, self.device) // width)
        yield from zip(*(torch.split(column, at_once) for column in columns), strict=True)

    def encode(self, state: SamplerState, chosen: ReadPositions, noise: Tensor, keep: bool = False) -> Tensor:
        """Return hidden [N, D] at the chosen positions; noise [B].

        keep: keep all that the network gave for the step after, which compares with it.
        """
        shown, tokens, noise = _shown(state, chosen), state.tokens[chosen.rows], noise[chosen.rows]
        if not keep:
            return encode_rows(self.model, shown(tokens), noise, shown(chosen.where))
        hidden = self.model.encode(shown(tokens), noise)
        numbers = [state.numbers[row] for row in chosen.rows.tolist()]
        self._kept = {number: _Kept(tokens[i], noise[i], hidden[i]) for i, number in enumerate(numbers)}
        return hidden[shown(chosen.where)]

    def encode_cut(self, state: SamplerState, chosen: ReadPositions, noise: Tensor, ends: Tensor) -> Tensor:
        """Return hidden [N, D] at the chosen positions, of texts that are cut off at `ends`, long [B]."""
        position = torch.arange(state.tokens.shape[1], device=self.device).expand_as(state.tokens)
        seen = position[chosen.rows] if state.seen is None else state.seen[chosen.rows]
        left = (seen < ends[chosen.rows, None]).sum(-1)
        row = chosen.where.nonzero()[:, 0]
        parts, order = [], []
        for width in sorted(set(left.tolist())):
            some = left == width
            at = seen[some, :width]
            tokens, where = (values[some].gather(1, at) for values in (state.tokens[chosen.rows], chosen.where))
            parts.append(encode_rows(self.model, tokens, noise[chosen.rows][some], where))
            order.append(some[row].nonzero()[:, 0])
        return torch.cat(parts)[torch.cat(order).argsort()]

    def encode_verified(
        self, state: SamplerState, where: Tensor, view: View, noise: Tensor, shadows: bool, keep: bool
    ) -> Tensor:
        """Return `encode` at the masks of `where`, bool [B, L], and at its other positions as if each were masked."""
        if shadows:
            chosen, model = ReadPositions.of(where), cast(ShadowDenoiser, self.model)
            shown, rows = _shown(state, chosen), chosen.rows
            places = shown(chosen.where), shown(state.open[rows])
            return model.encode_shadow(shown(state.tokens[rows]), noise[rows], *places)
        masks, committed = ReadPositions.of(where & view.masked), where & ~view.masked
        parts = [(view.masked[where], self.encode(state, masks, noise, keep))] if len(masks.rows) else []
        if bool(committed.any()):
            parts.append((~view.masked[where], self._left_out(state, committed, view.alpha_t)))
        hidden = parts[0][1].new_empty((int(where.sum()), parts[0][1].shape[-1]))
        for at, values in parts:
            hidden[at] = values
        return hidden

    def _left_out(self, state: SamplerState, where: Tensor, alpha_t: Tensor) -> Tensor:
        """Return hidden [N, D] at the positions `where`, bool [B, L], each as if its token were masked."""
        mask_id, plain = self.model.mask_id, replace(state, memory=None)
        sequence, position = where.nonzero(as_tuple=True)
        alpha = alpha_t.expand(len(where), 1)
        hidden = []
        for rows, places in self.in_portions(state, sequence, position):
            part = plain.rows(rows.tolist())
            own = torch.zeros_like(part.locked).scatter_(1, places[:, None], True)
            part = replace(part, tokens=part.tokens.masked_fill(own, mask_id))
            noise = part.noise(alpha[rows], mask_id)
            hidden.append(encode_rows(self.model, part.shown(part.tokens), noise, part.shown(own)))
        return torch.cat(hidden)

    def last_hidden(self, state: SamplerState, chosen: ReadPositions, last: ShownState) -> Tensor:
        """Return hidden [N, D] of the last step at the chosen positions, of no meaning for sequences without one.

        It follows from what the network was shown, so that a state holds no more; while a run goes on it is kept.
        """
        shown, tokens, noise = _shown(state, chosen), last.tokens[chosen.rows], last.noise[chosen.rows]
        if not bool((tokens >= 0).any()):
            return torch.empty(int(chosen.where.sum()), 0)
        kept = [self._kept.get(state.numbers[row]) for row in chosen.rows.tolist()]
        if all(one is not None and one.holds(tokens[i], noise[i]) for i, one in enumerate(kept)):
            hidden = torch.stack([one.hidden for one in kept if one is not None])
        else:
            # a sequence without a last step is shown masks, whose answer is not used
            hidden = self.model.encode(shown(tokens.where(tokens >= 0, self.model.mask_id)), noise)
        return hidden[shown(chosen.where)]


def by_shadows(model: Denoiser, strategy: Strategy) -> bool:
    """Return whether `verified` takes one call with a shadow block, rather than a call for each revealed token."""
    return strategy.verification() != "exact" and has_shadows(model)


class _Kept(NamedTuple):
    """What the network gave for one sequence in the last step: hidden [W, D] of its tokens [L] and noise."""

    tokens: Tensor
    noise: Tensor
    hidden: Tensor

    def holds(self, tokens: Tensor, noise: Tensor) -> bool:
        return torch.equal(self.tokens, tokens) and bool(self.noise == noise)


def _shown(state: SamplerState, chosen: ReadPositions) -> Callable[[Tensor], Tensor]:
    """Return what takes values [R, L] of the chosen rows to the positions that the network sees, [R, W]."""
    return replace(state, seen=None if state.seen is None else state.seen[chosen.rows]).shown
