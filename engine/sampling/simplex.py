"""SSD-LM's canvas: a point on the simplex of the vocabulary at every position of a block (arXiv 2210.17432).

x_t = sqrt(abar_t) projection + sqrt(1 - abar_t) K z, and K z where nothing stands yet.  x_t, [N, V], never exists as a
whole: the state remembers the projection, z has an address, and softmax(x_t) goes into the network's first layer a
piece of the vocabulary at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from engine.models.chunking import portion
from engine.models.protocol import Denoiser, SimplexDenoiser, device_of, never_drawn
from engine.sampling import guidance, kernel, rng
from engine.sampling.encoding import ReadPositions
from engine.sampling.readout import DRAW_CELLS, Predicted, naming
from engine.sampling.rng import Purpose
from engine.sampling.state import SamplerState, StepConfig
from engine.strategies import Prediction
from engine.strategies.ssd_lm import SsdLm

PIECE = 1 << 12
"""Tokens of the vocabulary at a time, a multiple of 8."""
ROWS = 64
"""Positions at a time on a processor: a piece of their canvas stays in its cache."""


@dataclass(frozen=True)
class Projection:
    """Which tokens stand at +K at N positions; all others are at -K."""

    token: Tensor
    """long [N]: the one that does, where `sets` says nothing"""
    blank: Tensor
    """bool [N]: nothing stands there yet, and the canvas is noise alone"""
    sets: Tensor | None = None
    """uint8 [N, ceil(V / 8)]: bits of those that do, the lowest first"""
    by_set: Tensor | None = None
    """bool [N]: whether `sets` says it"""

    @classmethod
    def of(cls, state: SamplerState, where: Tensor, mask_id: int) -> Projection:
        """Return that of the positions where bool [B, L] holds: what is remembered of the tokens that the last step put
        there, and of other tokens themselves, such as one put by hand.
        """
        token = state.tokens[where]
        blank = token == mask_id
        own: Mapping[str, Tensor] = {} if state.memory is None else state.memory.own
        if not own:
            return cls(token, blank)
        stands = (own["shown"][where] == token) & ~blank
        if "drawn" in own:
            return cls(own["drawn"][where].where(stands, token), blank)
        row, position = where.nonzero(as_tuple=True)
        index = position - own["first"][row]
        stands &= (index >= 0) & (index < own["nucleus"].shape[1])
        sets = own["nucleus"].new_zeros(len(token), own["nucleus"].shape[2])
        sets[stands] = own["nucleus"][row[stands], index[stands]]
        return cls(token, blank, sets, stands)

    def rows(self, here: slice) -> Projection:
        """Return that of some of the positions."""
        sets, by_set = (None if part is None else part[here] for part in (self.sets, self.by_set))
        return Projection(self.token[here], self.blank[here], sets, by_set)

    def signs(self, first: int, count: int) -> Tensor:
        """Return 1 or -1 at tokens `first` to first + count, 0 at blank positions, float32 [N, count].

        first: a multiple of 8.
        """
        signs = torch.full((len(self.token), count), -1.0, device=self.token.device)
        at = self.token - first
        hit = ((at >= 0) & (at < count)).nonzero()[:, 0]
        signs[hit, at[hit]] = 1
        if self.sets is not None and self.by_set is not None:
            bits = unpacked(self.sets[:, first // 8 : (first + count + 7) // 8])[:, :count]
            signs = torch.where(self.by_set[:, None], bits.float() * 2 - 1, signs)
        return signs.masked_fill_(self.blank[:, None], 0.0)


def pack_bits(bits: Tensor) -> Tensor:
    """Map bool [N, V] to bytes uint8 [N, ceil(V / 8)], the first bit lowest."""
    bits = torch.nn.functional.pad(bits, (0, -bits.shape[1] % 8))
    return (bits.view(len(bits), -1, 8) * _powers(bits.device)).sum(-1, dtype=torch.uint8)


def unpacked(sets: Tensor) -> Tensor:
    """Map uint8 [N, M] to bool [N, 8 M]."""
    return ((sets[:, :, None] & _powers(sets.device)) != 0).flatten(1)


def _powers(device: torch.device) -> Tensor:
    return 2 ** torch.arange(8, dtype=torch.uint8, device=device)


class SimplexReader:
    """Puts canvases of one model through its network under one seed."""

    def __init__(self, model: Denoiser, seed: int) -> None:
        self.model, self.seed, self.device = cast(SimplexDenoiser, model), seed, device_of(model)

    @torch.no_grad()
    def predict(
        self, config: StepConfig, state: SamplerState, steps: Sequence[int], t: Tensor, alpha_t: Tensor
    ) -> tuple[Predicted, dict[str, Tensor]]:
        """Return the network's argmax at every open position, and what is to be remembered of the projection.

        t, alpha_t: float64 [B, 1].  All rows have the same blocks and windows.  What comes after the block is cut off.
        """
        where, columns = state.open, [*Prediction.blank(state.held), torch.full_like(state.held, torch.nan)]
        shown = state.tokens.clone()
        if not bool(where.any()):
            *found, held = columns
            return Predicted(Prediction(*found), held, torch.zeros_like(shown[:, 0])), {}
        chosen = ReadPositions.of(where)
        hidden = self.encode(config, state, steps, t, alpha_t)
        token_keys = self._keys(state, steps, Purpose.TOKEN)
        parts = []
        for here in self._portions(len(hidden)):
            logits = guidance.biased(self.model, config.settings, self.model.project(hidden[here]))
            address = kernel.Address(token_keys[chosen.sequence[here]], chosen.position[here])
            with naming(state, chosen, here, steps):
                parts.append(self._read(config, logits, address))
        top, top_p, kept = (torch.cat(column) for column in zip(*parts, strict=True))
        columns = [column.clone() for column in columns]
        shown[where] = top
        for name, value in (("ids", top), ("confidence", top_p), ("top", top), ("top_p", top_p)):
            columns[Prediction._fields.index(name)][where] = value
        columns[-1][where] = top_p
        *found, held = columns
        own = self._remembered(shown, where, chosen, kept)
        return Predicted(Prediction(*found), held, where.any(-1).long()), own

    @torch.no_grad()
    def encode(
        self, config: StepConfig, state: SamplerState, steps: Sequence[int], t: Tensor, alpha_t: Tensor
    ) -> Tensor:
        """Return what the network gives of the open positions, N in all, hidden [N, D]."""
        strategy, where = config.strategy, state.open
        assert isinstance(strategy, SsdLm)
        projection = Projection.of(state, where, self.model.mask_id)
        keys, shown = self._keys(state, steps, Purpose.SIMPLEX), _shown(state)
        mixed = self._mixed(projection, ReadPositions.of(where), keys, alpha_t, strategy.k)
        return self.model.encode_simplex(state.tokens[:, shown], t[:, 0], where[:, shown], mixed)

    def _mixed(self, projection: Projection, chosen: ReadPositions, keys: Tensor, alpha_t: Tensor, k: float) -> Tensor:
        """Return the embedding of softmax(x_t), float32 [N, H]."""
        level = alpha_t[:, 0][chosen.sequence].clamp(0, 1)
        signal = (level.sqrt() * k).masked_fill(projection.blank, 0.0).float()[:, None]
        spread = ((1 - level).sqrt() * k).masked_fill(projection.blank, k).float()[:, None]
        # x_t stays below this, so that its exponentials do not overflow
        most = signal + spread * rng.LARGEST_NORMAL
        rows = []
        at_once = portion(ROWS, self.device)
        for i in range(0, len(level), at_once):
            here = slice(i, i + at_once)
            part, key, position = projection.rows(here), keys[chosen.sequence[here]], chosen.position[here]
            total, embedded = torch.zeros_like(level[here]).float(), torch.zeros((), device=level.device)
            for first in range(0, self.model.vocab_size, PIECE):
                count = min(PIECE, self.model.vocab_size - first)
                x = part.signs(first, count).mul_(signal[here])
                x.add_(rng.normals(key, position, first, count).mul_(spread[here])).sub_(most[here])
                shares = x.exp_()
                total += shares.sum(-1)
                embedded = embedded + self.model.mix(shares, first)
            rows.append(embedded / total[:, None])
        return torch.cat(rows)

    def _read(self, config: StepConfig, logits: Tensor, address: kernel.Address) -> tuple[Tensor, Tensor, Tensor]:
        """Return the argmax [N], its probability [N], and the tokens at +K: their bits [N, M], or the one drawn [N]."""
        assert isinstance(config.strategy, SsdLm)
        settings, never = config.settings, never_drawn(self.model)
        plain = kernel.probabilities(logits, self.model.mask_id, never=never)
        top_p, top = plain.max(-1)
        if config.strategy.projection == "sampling":
            kept = kernel.draw(
                logits, address, mask_id=self.model.mask_id, top_p=settings.top_p, nucleus=settings.nucleus,
                temperature=settings.temperature, how=settings.draw, never=never, plain=plain,
            ).ids  # fmt: skip
            return top, top_p, kept
        if settings.temperature != 1:
            plain = kernel.probabilities(logits, self.model.mask_id, settings.temperature, never=never)
        return top, top_p, pack_bits(kernel.nucleus_top(plain, settings.top_p, settings.nucleus) > 0)

    def _remembered(self, shown: Tensor, where: Tensor, chosen: ReadPositions, kept: Tensor) -> dict[str, Tensor]:
        """Return the projection of N positions as the memory that `Projection.of` reads, and the tokens shown."""
        if kept.dim() == 1:
            drawn = shown.clone()
            drawn[where] = kept
            return {"shown": shown, "drawn": drawn}
        first, last = int(chosen.position.min()), int(chosen.position.max())
        nucleus = kept.new_zeros(len(shown), last - first + 1, kept.shape[1])
        nucleus[chosen.sequence, chosen.position - first] = kept
        return {"shown": shown, "first": torch.full_like(shown[:, 0], first), "nucleus": nucleus}

    def _portions(self, count: int) -> Iterator[slice]:
        at_once = max(1, portion(DRAW_CELLS, self.device) // self.model.vocab_size)
        return (slice(i, i + at_once) for i in range(0, count, at_once))

    def _keys(self, state: SamplerState, steps: Sequence[int], purpose: Purpose) -> Tensor:
        return torch.from_numpy(rng.keys_of(self.seed, state.numbers, steps, purpose)).to(self.device)


def _shown(state: SamplerState) -> slice:
    """Return the positions that the network sees: those of its window up to the end of the block."""
    end = state.tokens.shape[1] if state.active is None else int(state.active[0].nonzero().max()) + 1
    return slice(0 if state.seen is None else int(state.seen[0, 0]), end)
