"""One set of trajectories that can be stepped, changed in flight and rewound; iterating yields Frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.models.protocol import Denoiser, device_of, has_fixed_shapes
from engine.records import Branch, Change, Edit, Frame, Settings
from engine.sampling.ahead import AheadStepper, StepRequest
from engine.sampling.blocks import plan_blocks
from engine.sampling.edits import EditContext, edited
from engine.sampling.fixed_step import takes_fixed_shapes
from engine.sampling.frame_arrays import FrameArrays, read_arrays
from engine.sampling.graphs import Graphs, graphs_for
from engine.sampling.state import NextStep, SamplerState, StepConfig
from engine.sampling.step import Decision, Flips, Stepper
from engine.sampling.trajectory import Clock, StepInput, Trajectory
from engine.sampling.validation import check_canvas, check_sampler
from engine.strategies import Strategy, values
from engine.strategies.schedules import next_time
from engine.text import infill


def config_of(strategy: Strategy, settings: Settings) -> StepConfig:
    """Bind settings to a strategy object: its name and knobs are copied into them."""
    named = replace(settings, strategy=strategy.name, knobs=values(strategy))
    return StepConfig(strategy, named.checked())


@lru_cache(maxsize=32)
def grid_of(strategy: Strategy, steps: int) -> NDArray[np.float64]:
    return strategy.grid(steps)


class Session:
    """B trajectories of `length` tokens over `steps` steps.

    >>> session = Session(model, strategy, steps=128, length=128, seed=0, top_p=0.9)
    >>> for frame in session: ...

    model: a Denoiser.  prompt: token ids at the start, which stay, but for masks among them, which are filled
    like the rest.  first: number of the first sample; sample n of a seed is the same whatever the batch.
    block_length: positions generated at a time, left to right, each block in its share of the steps from t = 1 to 0
    (None or 0: all at once; see `engine.sampling.blocks`).
    stride, strides: how far and how often a window of `length` slides on, each time in `steps` steps of its own; the
    text becomes length + stride * strides tokens long.  branch: number of the first branch.  graphs: what records the
    steps; None: CUDA graphs on such a device.
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
        branch: int = 0,
        graphs: Graphs | None = None,
        **settings: Any,
    ) -> None:
        check_canvas(model, steps, length, prompt)
        if batch < 1:
            raise ValueError(f"batch must be at least 1, not {batch}")
        self.model, self.steps, self.seed = model, steps, seed
        self._prompt = tuple(prompt)
        self.blocks = plan_blocks(steps, length, infill.fixed(prompt, model.mask_id), block_length, stride, strides)
        self._stepper = Stepper(model, seed)
        graphs = graphs or graphs_for(torch.device(device_of(model)))
        records = graphs.records and has_fixed_shapes(model)
        self._ahead_stepper = AheadStepper(model, seed, graphs) if records else None
        config = config_of(strategy, Settings(strategy.name, **settings))
        check_sampler(model, strategy, config.settings, self.blocks)
        state = SamplerState.blank(model, self.blocks.edges[-1], range(first, first + batch), prompt)
        self._line = Trajectory(state, config)
        self._lines, self._branches = {branch: self._line}, {branch: Branch(branch)}
        self.branch = branch
        """number of the branch that is stepped"""

    @property
    def index(self) -> int:
        """Return the number of the next step."""
        return self._line.index

    @property
    def config(self) -> StepConfig:
        """Return what decides the next step: as recorded while replaying, else as last set."""
        return self._line.step_input(self.index).config

    @property
    def tokens(self) -> Tensor:
        """Return the present state, long [B, L]."""
        return self._line.state.tokens

    @property
    def locked(self) -> Tensor:
        """Return where no sampler touches the present state, bool [B, L]."""
        return self._line.state.locked

    @property
    def frames(self) -> Sequence[Frame]:
        """Return the frames of this branch so far."""
        return self._line.frames

    @property
    def branches(self) -> tuple[Branch, ...]:
        """Return all branches, in the order in which they were made."""
        return tuple(self._branches.values())

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        line, step_input = self._line, self._line.step_input(self.index)
        if step_input.edit is not None:
            return self._written(step_input, *edited(line.state, step_input.edit, self._canvas()))
        ahead = None if line.ended else self._ahead(line.state, line.clock, step_input.config)
        if ahead is None:
            line.ended = True
            raise StopIteration
        state, clock, s = ahead
        if s is None:
            return self._clean_up(step_input, state, clock)
        if self._ahead_stepper is not None and takes_fixed_shapes(step_input.config, state):
            return self._advance_ahead(self._ahead_stepper, step_input, state, clock, s)
        return self._advance(step_input, state, clock, s)

    def _ahead(
        self, state: SamplerState, clock: Clock, config: StepConfig
    ) -> tuple[SamplerState, Clock, float | None] | None:
        """Return what the step after a state starts from, and the time it leads to; None of a clean-up, and at the
        end.
        """
        while True:
            state = self._in_block(state, clock.block)
            s = next_time(grid_of(config.strategy, self.blocks.steps[clock.block]), clock.t)
            if s is not None or bool(state.masked(self.model.mask_id).any()):
                return state, clock, s
            if clock.block + 1 == len(self.blocks):
                return None
            # the record keeps the clock as it was: another strategy set here may have times left in the block
            clock = Clock(clock.block + 1, step=clock.step)

    def _in_block(self, state: SamplerState, block: int) -> SamplerState:
        """Return a state with the positions of its block."""
        where = [block] * len(state.numbers), self._stepper.device
        return replace(state, active=self.blocks.active(*where), seen=self.blocks.seen(*where))

    def set(self, *, strategy: Strategy | None = None, **settings: Any) -> None:
        """Change strategy, top_p, temperature, nucleus, draw, cfg, eos_bias or eos_confidence from the next step on.

        What was recorded beyond this step is no longer replayed.  Raises ValueError and changes nothing
        when a value is out of range.
        """
        now = self.config
        config = config_of(strategy or now.strategy, replace(now.settings, **settings))
        check_sampler(self.model, config.strategy, config.settings, self.blocks)
        self._line.set(config)

    def edit(self, edit: Edit) -> Frame:
        """Change the canvas by hand before the next step; the frame of it is part of the record.

        What was recorded beyond this step is no longer replayed.  Raises ValueError, and changes nothing, for what
        cannot be done.
        """
        step_input = StepInput(self.config, edit)
        state, change = edited(self._line.state, edit, self._canvas())
        self._line.forget()
        return self._written(step_input, state, change)

    def rewind(self, index: int) -> None:
        """Go back to the state before step `index`; the next steps replay exactly until something is set."""
        if not 0 <= index <= self.index:
            raise ValueError(f"can only rewind to a step in 0 to {self.index}, not {index}")
        self._line.rewind(index)

    def fork(self, index: int | None = None, *, branch: int | None = None) -> int:
        """Begin another branch with this one's first `index` steps (None: all), and continue in it; returns its number.

        Until something is set or edited it replays what this one has recorded, bit for bit.  branch: its number;
        None: the next free one.
        """
        index = self.index if index is None else index
        number = max(self._branches) + 1 if branch is None else branch
        if not 0 <= index <= self.index:
            raise ValueError(f"can only branch off at a step in 0 to {self.index}, not {index}")
        if number in self._branches:
            raise ValueError(f"there is a branch {number} already")
        self._lines[number] = self._line.fork(index)
        self._branches[number] = Branch(number, self.branch, index)
        self.switch(number)
        return number

    def switch(self, branch: int) -> None:
        """Continue in another branch, where it was left."""
        self.progress(branch)
        self.branch, self._line = branch, self._lines[branch]

    def progress(self, branch: int) -> tuple[int, bool]:
        """Return how many steps a branch has taken, and whether it has been found to have no more."""
        if branch not in self._lines:
            raise ValueError(f"there is no branch {branch}: choose one of {', '.join(map(str, self._branches))}")
        return self._lines[branch].index, self._lines[branch].ended

    def before(self, index: int) -> NextStep:
        """Return what the sampler's step `index` starts from, 0 to the next."""
        if not 0 <= index <= self.index:
            raise ValueError(f"steps of this branch are 0 to {self.index}, not {index}")
        (state, clock), config = self._line.at(index), self._line.step_input(index).config
        ahead = self._ahead(state, clock, config)
        state, clock, s = ahead or (self._in_block(state, clock.block), clock, None)
        return NextStep(state, config, clock.t, clock.t if s is None else s, clock.step, clock.block)

    def _times(self, *times: float) -> list[Tensor]:
        batch, device = len(self._line.state.numbers), self._stepper.device
        return [torch.full((batch, 1), t, dtype=torch.float64, device=device) for t in times]

    def _canvas(self) -> EditContext:
        blocks, causal = len(self.blocks), bool(getattr(self.model, "causal", False))
        first = self.blocks.edges[self._line.clock.block] if blocks > 1 else 0
        prompts = tuple(map(self._prompt_of, range(len(self._line.state.numbers))))
        return EditContext(self.model.mask_id, self.model.vocab_size, first, blocks, causal, prompts)

    def _prompt_of(self, row: int) -> tuple[int, ...]:
        """Return the prompt that a row has now: its last one by hand, else the run's."""
        edits = (frame.edit for frame in reversed(self._line.frames) if frame.edit is not None)
        return next((e.tokens for e in edits if e.kind == "prompt" and e.sample in (None, row)), self._prompt)

    def _written(self, step_input: StepInput, state: SamplerState, change: Tensor) -> Frame:
        """Commit the frame of an edit."""
        clock = self._line.clock
        alpha = step_input.config.strategy.alpha(self._times(clock.t)[0])
        none = torch.zeros_like(alpha)
        decision = Decision(none, none, none[:, 0], Flips(change == Change.REVEALED, change == Change.REMASKED))
        return self._commit(step_input, clock, clock, state, 0, read_arrays(state, decision, change, alpha, alpha))

    def _advance(self, step_input: StepInput, state: SamplerState, clock: Clock, s: float) -> Frame:
        # the noise's address leaves clean-ups out: whether there is one depends on the rest of the batch
        steps, strategy = [clock.step] * len(state.numbers), step_input.config.strategy
        t_now, s_now = self._times(clock.t, s)
        # nothing is recorded before the step has succeeded: an error leaves the session where it was
        decision, called = self._stepper.decide(step_input.config, state, steps, t_now, s_now)
        alpha_t, alpha_s = strategy.alpha(t_now), strategy.alpha(s_now)
        kept = replace(state.copy(), memory=decision.memory)
        cost = self._stepper.rows_a_call(step_input.config, state)
        calls = int(called.sum()) * cost + self._stepper.apply(step_input.config, kept, decision.flips, steps, alpha_t)
        arrays = read_arrays(kept, decision, self._changes(kept, decision), alpha_t, alpha_s)
        return self._commit(step_input, clock, Clock(clock.block, s, clock.step + 1), kept, calls, arrays)

    def _advance_ahead(
        self, ahead: AheadStepper, step_input: StepInput, state: SamplerState, clock: Clock, s: float
    ) -> Frame:
        """Do as `_advance` does on a device that is a step ahead."""

        def following(now: StepRequest, after: SamplerState) -> StepRequest | None:
            then = next_time(grid_of(now.config.strategy, self.blocks.steps[clock.block]), now.s)
            return None if then is None else StepRequest(now.config, after, now.step + 1, now.s, then)

        taken = ahead.take(StepRequest(step_input.config, state, clock.step, clock.t, s), following)
        then = Clock(clock.block, s, clock.step + 1)
        return self._commit(step_input, clock, then, taken.state, taken.calls, taken.arrays)

    def _clean_up(self, step_input: StepInput, state: SamplerState, clock: Clock) -> Frame:
        (t_now,) = self._times(clock.t)
        alpha_t = step_input.config.strategy.alpha(t_now)
        clean = state.copy()
        where, calls = self._stepper.finish(step_input.config, clean, alpha_t, [clock.step] * len(clean.numbers))
        one, none = torch.ones_like(alpha_t), torch.zeros_like(alpha_t)
        decision = Decision(one, none, none[:, 0], Flips(where, torch.zeros_like(where)))
        arrays = read_arrays(clean, decision, self._changes(clean, decision), alpha_t, one)
        return self._commit(step_input, clock, Clock(clock.block, 0.0, clock.step), clean, calls, arrays, final=True)

    def _changes(self, state: SamplerState, decision: Decision) -> Tensor:
        """Return the codes of `Change`, uint8 [B, L], of a step that leads to a state."""
        change = torch.full_like(state.tokens, Change.HELD, dtype=torch.uint8)
        change[self._line.state.tokens == self.model.mask_id] = Change.MASKED
        change[decision.flips.reveal] = Change.REVEALED
        change[decision.flips.forget] = Change.REMASKED
        if decision.flips.edit is not None:
            change[decision.flips.edit] = Change.EDITED
        change[state.locked] = Change.LOCKED
        return change

    def _commit(
        self, step_input: StepInput, clock: Clock, then: Clock, state: SamplerState, calls: int, arrays: FrameArrays,
        final: bool = False,
    ) -> Frame:  # fmt: skip
        """Move from `clock` to the state `then`, and return its frame."""
        calls += self._line.calls
        frame = Frame(
            index=self.index,
            t=clock.t,
            s=then.t,
            **arrays._asdict(),
            network_calls=calls,
            settings=step_input.config.settings,
            final=final,
            block=clock.block,
            edit=step_input.edit,
        )
        return self._line.commit(step_input, frame, replace(state, active=None, seen=None), then, calls)
