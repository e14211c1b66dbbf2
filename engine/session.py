"""One set of trajectories that can be stepped, changed in flight and rewound; iterating yields Frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.blocks import Blocks, plan
from engine.models.protocol import Denoiser
from engine.records import Change, Frame, Settings
from engine.schedules import next_time
from engine.step import Control, Decision, Dice, State, Stepper
from engine.strategies import REGISTRY, Strategy, values


def control_of(strategy: Strategy, settings: Settings) -> Control:
    """Bind settings to a strategy object: its name and knobs are copied into them."""
    named = replace(settings, strategy=strategy.name, knobs=values(strategy))
    return Control(strategy, named.checked())


@lru_cache(maxsize=32)
def grid_of(strategy: Strategy, steps: int) -> NDArray[np.float64]:
    return strategy.grid(steps)


def check_canvas(model: Denoiser, steps: int, length: int, prompt: Sequence[int]) -> None:
    """Raise ValueError for a canvas the model cannot fill or a prompt it cannot hold."""
    if steps < 1:
        raise ValueError(f"steps must be at least 1, not {steps}")
    if length < 1:
        raise ValueError(f"length must be at least 1, not {length}")
    if model.max_length is not None and length > model.max_length:
        raise ValueError(f"length {length} is beyond the model's {model.max_length}")
    if len(prompt) > length:
        raise ValueError(f"the prompt has {len(prompt)} tokens and the canvas {length}: raise the length")
    bad = [i for i in prompt if not 0 <= i < model.vocab_size or i == model.mask_id]
    if bad:
        raise ValueError(f"the prompt holds token {bad[0]}, which is the mask or outside the vocabulary")


def check_order(model: Denoiser, strategy: Strategy, blocks: Blocks) -> None:
    """Raise ValueError where a model that predicts from the left alone would have to fill two positions at once."""
    if not getattr(model, "causal", False):
        return
    name = getattr(model, "name", "the model")
    if not strategy.from_the_left:
        fitting = " or ".join(known for known, kind in REGISTRY.items() if kind.from_the_left)
        raise ValueError(f"{name} predicts from the left alone: choose --strategy {fitting}")
    sizes = [end - first for first, end in pairwise(blocks.edges)]
    if any(steps < size for steps, size in zip(blocks.steps, sizes, strict=True)):
        # the steps are shared out evenly, and only the last block may be shorter
        least = max(sizes) if blocks.window else len(sizes) * max(sizes) - (sizes[-1] < max(sizes))
        count = max(sizes) if blocks.window else sum(sizes)
        raise ValueError(f"{name} needs a step for each of its {count} positions: --steps {least} or more")


class _Clock(NamedTuple):
    """How far a run has come: the block, its time, and the steps taken so far, clean-ups not counted."""

    block: int = 0
    t: float = 1.0
    step: int = 0


@dataclass(frozen=True)
class _Past:
    """The state before a step."""

    tokens: Tensor
    held: Tensor
    clock: _Clock
    calls: int


class Session:
    """B trajectories of `length` tokens over `steps` steps.

    >>> session = Session(model, strategy, steps=128, length=128, seed=0, top_p=0.9)
    >>> for frame in session: ...

    model: a Denoiser.  prompt: token ids that stand at the start and stay.  first: number of the first
    sample; sample n of a seed is the same whatever the batch.  block_length: positions generated at a time, left to
    right, each block in its share of the steps from t = 1 to 0 (None or 0: all at once; see `engine.blocks`).
    stride, strides: how far and how often a window of `length` slides on, each time in `steps` steps of its own; the
    text becomes length + stride * strides tokens long.
    Raises ValueError for settings out of range.
    """

    def __init__(
        self,
        model: Denoiser,
        strategy: Strategy,
        *,
        steps: int = 128,
        length: int = 128,
        batch: int = 1,
        seed: int = 0,
        prompt: Sequence[int] = (),
        first: int = 0,
        block_length: int | None = None,
        stride: int | None = None,
        strides: int = 0,
        **settings: Any,
    ) -> None:
        check_canvas(model, steps, length, prompt)
        if batch < 1:
            raise ValueError(f"batch must be at least 1, not {batch}")
        self.model, self.steps = model, steps
        self.blocks = plan(steps, length, len(prompt), block_length, stride, strides)
        check_order(model, strategy, self.blocks)
        self._stepper = Stepper(model, seed)
        self._state = State.blank(model, self.blocks.edges[-1], range(first, first + batch), prompt)
        self._control = control_of(strategy, Settings(strategy.name, **settings))
        self._controls: list[Control] = []
        self._past: list[_Past] = []
        self._clock, self._calls, self._ended = _Clock(), 0, False

    @property
    def index(self) -> int:
        """Number of the next step."""
        return len(self._past)

    @property
    def control(self) -> Control:
        """What decides the next step: as recorded while replaying, else as last set."""
        return self._controls[self.index] if self.index < len(self._controls) else self._control

    @property
    def tokens(self) -> Tensor:
        """The present state, long [B, L]."""
        return self._state.tokens

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        if self._ended:
            raise StopIteration
        control, clock = self.control, self._clock
        while True:
            self._stand(clock.block)
            s = next_time(grid_of(control.strategy, self.blocks.steps[clock.block]), clock.t)
            if s is not None:
                return self._advance(control, clock, s)
            if bool(self._state.masked(self.model.mask_id).any()):
                return self._clean_up(control, clock)
            if clock.block + 1 == len(self.blocks):
                self._ended = True
                raise StopIteration
            # the record keeps the clock as it was: another strategy set here may have times left in the block
            clock = _Clock(clock.block + 1, step=clock.step)

    def _stand(self, block: int) -> None:
        """Tell the state in which block it is."""
        where = [block] * len(self._state.numbers), self._stepper.device
        self._state.active, self._state.seen = self.blocks.active(*where), self.blocks.seen(*where)

    def set(self, *, strategy: Strategy | None = None, **settings: Any) -> None:
        """Change strategy, top_p, temperature, nucleus or draw from the next step on.

        What was recorded beyond this step is no longer replayed.  Raises ValueError and changes nothing
        when a value is out of range.
        """
        now = self.control
        control = control_of(strategy or now.strategy, replace(now.settings, **settings))
        check_order(self.model, control.strategy, self.blocks)
        del self._controls[self.index :]
        self._control = control

    def rewind(self, index: int) -> None:
        """Go back to the state before step `index`; going on replays exactly unless something is set."""
        if not 0 <= index <= self.index:
            raise ValueError(f"can only rewind to a step in 0 to {self.index}, not {index}")
        if index == self.index:
            return
        past = self._past[index]
        self._state.tokens, self._state.held = past.tokens.clone(), past.held.clone()
        self._clock, self._calls, self._ended = past.clock, past.calls, False
        del self._past[index:]

    def _remember(self, control: Control) -> int:
        """Record the state before a step; returns the step's number."""
        index = self.index
        if index == len(self._controls):
            self._controls.append(control)
        state = self._state
        self._past.append(_Past(state.tokens.clone(), state.held.clone(), self._clock, self._calls))
        return index

    def _times(self, *times: float) -> list[Tensor]:
        batch, device = len(self._state.numbers), self._stepper.device
        return [torch.full((batch, 1), t, dtype=torch.float64, device=device) for t in times]

    def _advance(self, control: Control, clock: _Clock, s: float) -> Frame:
        # the noise's address leaves clean-ups out: whether there is one depends on the rest of the batch
        steps = [clock.step] * len(self._state.numbers)
        t_now, s_now = self._times(clock.t, s)
        # nothing is recorded before the step has succeeded: an error leaves the session where it was
        decision, calls = self._stepper.decide(control, self._state, steps, t_now, s_now)
        alpha_t, alpha_s = control.strategy.alpha(t_now), control.strategy.alpha(s_now)
        kept = self._state.copy()
        calls += self._stepper.apply(control, kept, decision.dice, steps, alpha_t)
        return self._commit(control, clock, s, kept, calls, alpha_t, alpha_s, decision)

    def _clean_up(self, control: Control, clock: _Clock) -> Frame:
        (t_now,) = self._times(clock.t)
        alpha_t = control.strategy.alpha(t_now)
        clean = self._state.copy()
        where, calls = self._stepper.finish(control, clean, alpha_t, [clock.step] * len(clean.numbers))
        one, none = torch.ones_like(alpha_t), torch.zeros_like(alpha_t)
        decision = Decision(one, none, none[:, 0], Dice(where, torch.zeros_like(where)))
        return self._commit(control, clock, 0.0, clean, calls, alpha_t, one, decision, final=True)

    def _commit(
        self, control: Control, clock: _Clock, s: float, state: State, calls: int,
        alpha_t: Tensor, alpha_s: Tensor, decision: Decision, final: bool = False,
    ) -> Frame:  # fmt: skip
        """Go on to the state after a step from `clock` to s, and tell of it."""
        was_masked = self._state.tokens == self.model.mask_id
        index = self._remember(control)
        self._state, self._clock = state, _Clock(clock.block, s, clock.step + (not final))
        self._calls += calls
        change = torch.full_like(state.tokens, Change.HELD, dtype=torch.uint8)
        change[was_masked] = Change.MASKED
        change[decision.dice.reveal] = Change.REVEALED
        change[decision.dice.forget] = Change.REMASKED
        change[state.locked] = Change.LOCKED
        return Frame(
            index=index,
            t=clock.t,
            s=s,
            alpha_t=float(alpha_t[0, 0]),
            alpha_s=float(alpha_s[0, 0]),
            tokens=state.tokens.to(torch.int32).cpu().numpy(),
            change=change.cpu().numpy(),
            held=state.held.float().cpu().numpy(),
            unmask=_probabilities(decision.unmask, state),
            remask=_probabilities(decision.remask, state),
            network_calls=self._calls,
            settings=control.settings,
            excess=float(decision.excess.max()),
            final=final,
            block=clock.block,
        )


def _probabilities(p: Tensor, state: State) -> NDArray[np.float32]:
    """As [B, L], 0 outside the active block, without copying what is constant along L."""
    if state.active is not None:
        p = p * state.active
    return np.broadcast_to(p.float().cpu().numpy(), tuple(state.tokens.shape))
