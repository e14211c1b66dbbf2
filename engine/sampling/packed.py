"""Samples at different steps on a GPU: flips on the device, and one network call for all that reveal something.

The eager counterpart is `walk` of `engine.sampling.batch`.  The host reads once for each call which sequences wait for
it; they are packed into a batch of one of few sizes, so that few shapes are recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from engine.models.protocol import Denoiser, device_of
from engine.sampling import fixed_step, kernel
from engine.sampling.fixed_step import Board
from engine.sampling.graphs import Graphs
from engine.sampling.readout import BadLogitsError
from engine.sampling.state import SamplerState, StepConfig
from engine.sampling.step import ROUNDING

ROUNDS = 2
"""Steps that a sequence takes before the host looks whether all others wait."""
PARTS = 4
"""A batch is packed to a multiple of this part of the width."""


class Walked(NamedTuple):
    """B sequences after a walk."""

    tokens: Tensor
    held: Tensor
    at: list[int]
    """steps taken"""
    called: list[bool]
    """whether a sequence went through the network"""


class _Walk(NamedTuple):
    """Sequences on their way to their next reveal, [W] or [W, L]."""

    tokens: Tensor
    held: Tensor
    locked: Tensor
    numbers: Tensor
    at: Tensor
    ends: Tensor
    """the steps after which each stops"""
    reveal: Tensor
    forget: Tensor
    unplanned: Tensor
    """bool []"""


class PackedWalk:
    """Walks of at most `width` sequences under one strategy; t and s float64 [S] are the times of its steps."""

    def __init__(
        self, model: Denoiser, config: StepConfig, seed: int, t: Tensor, s: Tensor, width: int, graphs: Graphs
    ) -> None:
        self.model, self.config, self.seed, self.width, self.graphs = model, config, seed, width, graphs
        self._t, self._s, self._device = t, s, torch.device(device_of(model))
        self._banned = fixed_step.banned_tokens(model)
        self._key = config.strategy, seed, len(t), width, fixed_step.draw_key(config.settings)

    @torch.no_grad()
    def walk(self, state: SamplerState, at: Sequence[int], ends: Sequence[int]) -> Walked:
        """Advance every sequence to its next reveal and through it, or to its end.

        Raises BadLogitsError, and leaves the state as it was, where the network gives no numbers.
        """
        busy, walk = len(at), self._begun(state, at, ends)
        while True:
            walk = _Walk(*self.graphs.run(("advance", self._key), self._advance, *walk))
            counts, now, unplanned = torch.stack(
                (walk.reveal.sum(-1), walk.at, walk.unplanned.expand_as(walk.at).long())
            ).cpu()
            if bool(unplanned.any()):
                raise kernel.PlanNotANumberError
            waits = counts > 0
            if bool((waits[:busy] | (now[:busy] >= torch.tensor(list(ends)))).all()):
                break
        tokens, held = walk.tokens, walk.held
        if bool(waits.any()):
            tokens, held = self._revealed(walk, state, counts)
        return Walked(tokens[:busy], held[:busy], (now + waits)[:busy].tolist(), waits[:busy].tolist())

    def _begun(self, state: SamplerState, at: Sequence[int], ends: Sequence[int]) -> _Walk:
        """Return the walk's start; rows beyond the sequences are at their end."""
        more = self.width - len(at)

        def filled(values: Sequence[int]) -> Tensor:
            return torch.tensor([*values, *[0] * more]).to(self._device)

        def padded(values: Tensor) -> Tensor:
            return torch.cat((values, values[:1].expand(more, -1))) if more else values

        rows = padded(state.tokens), padded(state.held), padded(state.locked)
        nowhere = torch.zeros_like(rows[2])
        return _Walk(
            *rows, filled(state.numbers), filled(at), filled(ends), nowhere, nowhere, nowhere[0, 0]
        )  # fmt: skip

    def _advance(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Take up to ROUNDS steps in each sequence that does not wait for the network."""
        walk, mask_id = _Walk(*tensors), self.model.mask_id
        for _ in range(ROUNDS):
            moves = ((walk.at < walk.ends) & ~walk.reveal.any(-1))[:, None]
            turn = fixed_step.decide(self.config.strategy, self.model, self.seed, ROUNDING, self._board(walk))
            waits = moves & turn.reveal.any(-1, keepdim=True)
            gone = moves & ~waits & turn.forget
            walk = walk._replace(
                tokens=walk.tokens.masked_fill(gone, mask_id),
                held=walk.held.masked_fill(gone, torch.nan),
                at=walk.at + (moves & ~waits)[:, 0],
                reveal=walk.reveal | (waits & turn.reveal),
                forget=walk.forget | (waits & turn.forget),
                unplanned=walk.unplanned | turn.unplanned,
            )
        return walk

    def _board(self, walk: _Walk) -> Board:
        """Return the board of the sequences' steps; those at their end have the last one's times."""
        step = walk.at.clamp(max=len(self._t) - 1)
        return Board(*walk[:4], walk.at, self._t[step][:, None], self._s[step][:, None])

    def _revealed(self, walk: _Walk, state: SamplerState, counts: Tensor) -> tuple[Tensor, Tensor]:
        """Return tokens and held [W, L] after the network's call for the sequences that wait.

        counts: [W] on the host, the positions that each reveals.
        """
        slots = fixed_step.bucket(int(counts.max()), walk.tokens.shape[1])
        part = max(1, -(-self.width // PARTS))
        rows = min(self.width, -(-int((counts > 0).sum()) // part) * part)
        run = partial(self._carry_out, slots, rows)
        tokens, held, failed = self.graphs.run(("carry out", self._key, slots, rows), run, *walk)
        if bool(failed.any()):
            places = failed.cpu().nonzero().tolist()
            at = walk.at.tolist()
            raise BadLogitsError([(state.numbers[row], at[row], place) for row, place in places])
        return tokens, held

    def _carry_out(self, slots: int, rows: int, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Take the step of the sequences that wait, `rows` of them in the network; others among them stay."""
        walk = _Walk(*tensors)
        chosen = walk.reveal.any(-1).int().argsort(descending=True, stable=True)[:rows]
        board = Board(*(part[chosen] for part in self._board(walk)))
        outcome = fixed_step.carry_out(
            self.model, self.config.settings, self.seed, self._banned, slots, board,
            self.config.strategy.alpha(board.t), walk.reveal[chosen], walk.forget[chosen],
        )  # fmt: skip
        return (
            walk.tokens.index_copy(0, chosen, outcome.tokens),
            walk.held.index_copy(0, chosen, outcome.held),
            torch.zeros_like(walk.reveal).index_copy(0, chosen, outcome.failed),
        )
