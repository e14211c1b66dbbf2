"""A session's steps on a GPU: the next one is under way while the frame of the last is looked at.

Everything of a step stays on the device, by `engine.sampling.fixed_step`.  The host reads once for each frame what the
terminal needs, together with how many positions the next step reveals, which decides what is launched: the flips of
a step need no network, so they are drawn right behind the step before it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.models.protocol import Denoiser, device_of
from engine.sampling import fixed_step, kernel
from engine.sampling.fixed_step import Board, CarriedOut, DecidedStep
from engine.sampling.frame_arrays import FrameArrays
from engine.sampling.graphs import Graphs, ReadBack, stream_of
from engine.sampling.readout import BadLogitsError
from engine.sampling.state import SamplerState, StepConfig
from engine.sampling.step import ROUNDING


class StepRequest(NamedTuple):
    """A step that is asked for: from a state at t to s, with the randomness of step number `step`."""

    config: StepConfig
    state: SamplerState
    step: int
    t: float
    s: float

    def equals(self, other: StepRequest) -> bool:
        """Return whether the two lead to the same, judged by the states' identity."""
        ours, theirs = self.state, other.state
        same = ours.tokens is theirs.tokens and ours.held is theirs.held and ours.locked is theirs.locked
        return same and ours.numbers == theirs.numbers and (self.config, *self[2:]) == (other.config, *other[2:])


class TakenStep(NamedTuple):
    """The state that a step led to, what its frame holds, and the sequences that went through the network."""

    state: SamplerState
    arrays: FrameArrays
    calls: int


Following = Callable[[StepRequest, SamplerState], StepRequest | None]
"""(a step, the state it leads to) -> the step that will be asked for then if nothing is changed; None at the end."""


@dataclass(frozen=True)
class _Decided:
    """A step whose flips are drawn."""

    request: StepRequest
    board: Board
    alpha_t: Tensor
    turn: DecidedStep


@dataclass(frozen=True)
class _Launched:
    """A step under way."""

    decided: _Decided
    state: SamplerState
    counts: Tensor
    """[B] on the host: revealed positions"""
    after: _Decided | None
    back: ReadBack


class AheadStepper:
    """Steps one model under one seed, one step ahead of what is asked for."""

    def __init__(self, model: Denoiser, seed: int, graphs: Graphs) -> None:
        self.model, self.seed, self.graphs = model, seed, graphs
        self._device = torch.device(device_of(model))
        self._banned = fixed_step.banned_tokens(model)
        self._stream = stream_of(self._device)
        self._numbers: tuple[tuple[int, ...], Tensor] | None = None
        self._launched: _Launched | None = None

    @torch.no_grad()
    def take(self, request: StepRequest, following: Following) -> TakenStep:
        """Return the step that is asked for, and launch the one that follows.

        Raises FloatingPointError as `engine.sampling.step` does.
        """
        launched, self._launched = self._launched, None
        if launched is None or not launched.decided.request.equals(request):
            decided = self._decide(request)
            (counts,) = self._read(decided.turn.counts).wait()
            launched = self._launch(decided, counts, following)
        *columns, counts = launched.back.wait()
        taken = _taken(launched, columns)
        if launched.after is not None:
            self._launched = self._launch(launched.after, counts, following)
        return taken

    def _read(self, *tensors: Tensor) -> ReadBack:
        return ReadBack(tensors, self._stream)

    def _decide(self, request: StepRequest) -> _Decided:
        state, strategy = request.state, request.config.strategy
        shape = (len(state.numbers), 1)
        t, s = (torch.full(shape, time, dtype=torch.float64, device=self._device) for time in (request.t, request.s))
        steps = torch.full(shape[:1], request.step, dtype=torch.long, device=self._device)
        board = Board(state.tokens, state.held, state.locked, self._numbers_of(state), steps, t, s)

        def decide(*tensors: Tensor) -> tuple[Tensor, ...]:
            given = Board(*tensors)
            return (*fixed_step.decide(strategy, self.model, self.seed, ROUNDING, given), strategy.alpha(given.t))

        *turn, alpha_t = self.graphs.run(("decide", self.seed, strategy), decide, *board)
        return _Decided(request, board, alpha_t, DecidedStep(*turn))

    def _launch(self, decided: _Decided, counts: Tensor, following: Following) -> _Launched:
        request, turn = decided.request, decided.turn
        settings, strategy = request.config.settings, request.config.strategy
        slots = fixed_step.bucket(int(counts.max()), request.state.tokens.shape[1])
        carry_out = partial(fixed_step.carry_out, self.model, settings, self.seed, self._banned, slots)

        def carried(*tensors: Tensor) -> tuple[Tensor, ...]:
            return carry_out(Board(*tensors[:7]), *tensors[7:])

        key = ("carry out", self.seed, slots, fixed_step.draw_key(settings))
        outcome = CarriedOut(*self.graphs.run(key, carried, *decided.board, decided.alpha_t, turn.reveal, turn.forget))
        state = SamplerState(outcome.tokens, outcome.held, request.state.locked, request.state.numbers)
        then = following(request, state)
        after = None
        if then is not None and fixed_step.takes_fixed_shapes(then.config, then.state):
            after = self._decide(then)
        alpha_s = strategy.alpha(decided.board.s)
        back = self._read(
            outcome.tokens.int(), outcome.change, outcome.held.float(), turn.unmask.float(), turn.remask.float(),
            turn.excess, decided.alpha_t, alpha_s, turn.unplanned, outcome.failed,
            turn.counts if after is None else after.turn.counts,
        )  # fmt: skip
        return _Launched(decided, state, counts, after, back)

    def _numbers_of(self, state: SamplerState) -> Tensor:
        """Return the samples' numbers on the device, as they stay the same from step to step."""
        numbers = tuple(state.numbers)
        if self._numbers is None or self._numbers[0] != numbers:
            self._numbers = numbers, torch.tensor(numbers, dtype=torch.long).to(self._device)
        return self._numbers[1]


def _taken(launched: _Launched, columns: list[Tensor]) -> TakenStep:
    tokens, change, held, unmask, remask, excess, alpha_t, alpha_s, unplanned, failed = columns
    if bool(unplanned):
        raise kernel.PlanNotANumberError
    request = launched.decided.request
    if bool(failed.any()):
        places = ((request.state.numbers[row], request.step, place) for row, place in failed.nonzero().tolist())
        raise BadLogitsError(list(places))
    # frames outlive pinned memory, which is scarce
    arrays = FrameArrays(
        tokens=np.array(tokens.numpy()),
        change=np.array(change.numpy()),
        held=np.array(held.numpy()),
        unmask=_spread(unmask, tokens),
        remask=_spread(remask, tokens),
        excess=float(excess.max()),
        alpha_t=float(alpha_t[0, 0]),
        alpha_s=float(alpha_s[0, 0]),
    )
    return TakenStep(launched.state, arrays, int((launched.counts > 0).sum()))


def _spread(p: Tensor, like: Tensor) -> NDArray[np.float32]:
    """Return p as [B, L] without copying what is constant along L."""
    return np.broadcast_to(np.array(p.numpy()), tuple(like.shape))
