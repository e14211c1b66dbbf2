"""One trajectory of a run: its state, the frames that led there, and what decides those it has taken before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from engine.records import Edit, Frame
from engine.sampling.memory import StrategyMemory
from engine.sampling.state import SamplerState, StepConfig


class Clock(NamedTuple):
    """How far a run has come: the block, its time, and the steps taken so far, clean-ups and edits not counted."""

    block: int = 0
    t: float = 1.0
    step: int = 0


class StepInput(NamedTuple):
    """What decides a frame: the sampler under these settings, or a person's edit."""

    config: StepConfig
    edit: Edit | None = None


@dataclass(frozen=True)
class _Before:
    """The state before a frame but for its tokens, which the frame before it has."""

    held: Tensor
    locked: Tensor
    memory: StrategyMemory | None
    clock: Clock
    calls: int


class Trajectory:
    """A state is never changed once it is here, so that courses of one run can share what they have in common."""

    def __init__(self, state: SamplerState, config: StepConfig) -> None:
        self.state, self.config = state, config
        self.clock, self.calls, self.ended = Clock(), 0, False
        self.frames: list[Frame] = []
        self._start = state
        self._inputs: list[StepInput] = []
        self._before: list[_Before] = []

    @property
    def index(self) -> int:
        """Return the number of the next frame."""
        return len(self.frames)

    def step_input(self, index: int) -> StepInput:
        """Return what decides frame `index`: as it was recorded, else the settings as they were set last."""
        return self._inputs[index] if index < len(self._inputs) else StepInput(self.config)

    def set(self, config: StepConfig) -> None:
        """Decide from the next frame on; what was recorded beyond it is not replayed."""
        self.forget()
        self.config = config

    def forget(self) -> None:
        """Replay nothing beyond the next frame; later frames use the settings that decide it."""
        self.config = self.step_input(self.index).config
        del self._inputs[self.index :]

    def commit(self, step_input: StepInput, frame: Frame, state: SamplerState, clock: Clock, calls: int) -> Frame:
        """Move to the state after a frame."""
        if self.index == len(self._inputs):
            self._inputs.append(step_input)
        self._before.append(_Before(self.state.held, self.state.locked, self.state.memory, self.clock, self.calls))
        self.frames.append(frame)
        self.state, self.clock, self.calls, self.ended = state, clock, calls, False
        return frame

    def at(self, index: int) -> tuple[SamplerState, Clock]:
        """Return the state before frame `index`, 0 to the next one's."""
        if index == self.index:
            return self.state, self.clock
        before = self._before[index]
        tokens = self._start.tokens
        if index:
            tokens = torch.tensor(self.frames[index - 1].tokens, dtype=torch.long).to(tokens.device)
        state = replace(self._start, tokens=tokens, held=before.held, locked=before.locked, memory=before.memory)
        return state, before.clock

    def rewind(self, index: int) -> None:
        """Go back to the state before frame `index`."""
        if index == self.index:
            return
        self.state, self.clock = self.at(index)
        self.calls, self.ended = self._before[index].calls, False
        del self._before[index:]
        del self.frames[index:]

    def fork(self, index: int) -> Trajectory:
        """Return another course that shares the first `index` frames, and replays what followed them here."""
        other = Trajectory(self._start, self.config)
        other.state, other.clock, other.calls, other.ended = self.state, self.clock, self.calls, self.ended
        other.frames, other._inputs, other._before = list(self.frames), list(self._inputs), list(self._before)
        other.rewind(index)
        return other
