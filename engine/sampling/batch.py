"""Many samples without anyone watching: only sequences that reveal something go to the network.

Each of `width` slots advances by flips alone until it reveals something; then all slots, at whatever step, share one
network call.  A finished slot takes the next sample.  Randomness is addressed, so the samples equal a Session's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from engine.models.protocol import Denoiser, device_of, has_fixed_shapes
from engine.records import Settings
from engine.sampling.blocks import Blocks, plan_blocks
from engine.sampling.final import final_lengths
from engine.sampling.fixed_step import takes_fixed_shapes
from engine.sampling.graphs import Graphs, graphs_for
from engine.sampling.lockstep import in_step
from engine.sampling.memory import StrategyMemory
from engine.sampling.packed import PackedWalk
from engine.sampling.readout import BadLogitsError
from engine.sampling.session import config_of, grid_of
from engine.sampling.state import SamplerState, StepConfig
from engine.sampling.step import Flips, Stepper, memory_of
from engine.sampling.validation import check_canvas, check_prompts, check_sampler
from engine.strategies import Strategy, reads_of
from engine.text import infill

WIDTH, GPU_WIDTH = 8, 64
"""Default numbers of samples that share the network; on a processor more are hardly faster."""


class Sample(NamedTuple):
    """A finished sample: its number, its tokens long [L] and the network calls it took."""

    number: int
    tokens: Tensor
    network_calls: int


OnSampledStep = Callable[[int, Tensor], None]
"""(a sample's number, its tokens long [L] on the CPU) after each of its steps."""
HasEnded = Callable[[int, Tensor], bool]
"""(a sample's number, the tokens long [N] at its beginning that no later step changes) -> whether it may end there."""


class AbandonedSample(NamedTuple):
    """A sample that was given up: its logits at this step and position are not finite."""

    number: int
    step: int
    position: int


def sample(
    model: Denoiser,
    strategy: Strategy,
    *,
    steps: int = 128,
    length: int = 128,
    count: int = 1,
    seed: int = 0,
    prompt: Sequence[int] = (),
    width: int | None = None,
    block_length: int | None = None,
    stride: int | None = None,
    strides: int = 0,
    **settings: Any,
) -> Tensor:
    """Return `count` samples, long [count, length + stride * strides], no mask left, on the CPU.

    prompt: token ids at the start, which stay, but for masks among them, which are filled like the rest.
    """
    out = torch.empty((count, length + (stride or 0) * strides), dtype=torch.long)
    shape: dict[str, Any] = {"steps": steps, "length": length, "width": width}
    shape |= {"block_length": block_length, "stride": stride, "strides": strides}
    for done in samples(model, strategy, range(count), seed=seed, prompt=prompt, **shape, **settings):
        out[done.number] = done.tokens
    return out


def samples(
    model: Denoiser,
    strategy: Strategy,
    numbers: Sequence[int],
    *,
    steps: int = 128,
    length: int = 128,
    seed: int = 0,
    prompt: Sequence[int] = (),
    width: int | None = None,
    block_length: int | None = None,
    stride: int | None = None,
    strides: int = 0,
    prompts: Mapping[int, Sequence[int]] | None = None,
    on_step: OnSampledStep | None = None,
    has_ended: HasEnded | None = None,
    failed: Callable[[AbandonedSample], None] | None = None,
    graphs: Graphs | None = None,
    **settings: Any,
) -> Iterator[Sample]:
    """Yield the samples with these numbers, each as it is finished, at most `width` in the network at once.

    width: None is WIDTH on a processor and GPU_WIDTH elsewhere.  block_length, stride and strides are those of
    Session.  prompts: by number, in place of `prompt`; all have the same length, and in blocks or with a causal model
    the same positions masked.  on_step: called after each step of each sample.  has_ended: asked whenever more of a
    sample's beginning is final (`engine.sampling.final`); one that may end is yielded with these tokens alone.
    failed: called with a sample for which the network gives no numbers, and the others go on; without it that is a
    BadLogitsError.  graphs: what records the steps; None: CUDA graphs on such a device.
    """
    if prompts is None:
        check_canvas(model, steps, length, prompt)
        prompts = dict.fromkeys(numbers, prompt)
    elif numbers:
        prompt = prompts[numbers[0]]
        in_order = bool(block_length or stride or strides) or getattr(model, "causal", False)
        check_prompts(model, steps, length, [prompts[number] for number in numbers], in_order)
    width = usual_width(model) if width is None else width
    if width < 1:
        raise ValueError(f"width must be at least 1, not {width}")
    config = config_of(strategy, Settings(strategy.name, **settings))
    queue = list(numbers)[::-1]
    blocks = plan_blocks(steps, length, infill.fixed(prompt, model.mask_id), block_length, stride, strides)
    check_sampler(model, strategy, config.settings, blocks)
    if "simplex" in reads_of(strategy):
        give_up = None if failed is None else lambda *place: failed(AbandonedSample(*place))
        for done in in_step(model, config, blocks, seed, prompts, numbers, width, on_step, give_up):
            yield Sample(*done)
        return
    slots = _Slots(model, config, blocks, seed, prompts, on_step, has_ended)
    graphs = graphs or graphs_for(torch.device(device_of(model)))
    if graphs.records and has_fixed_shapes(model) and on_step is None:
        slots.record(graphs, width)
    while queue or slots.busy:
        while queue and slots.busy < width:
            slots.add(queue.pop())
        try:
            slots.walk()
            yield from slots.collect()
            yield from slots.end_early()
        except BadLogitsError as error:
            if failed is None:
                raise
            for place in slots.give_up(error):
                failed(place)


def usual_width(model: Denoiser) -> int:
    return WIDTH if device_of(model).startswith("cpu") else GPU_WIDTH


class _Slots:
    """Trajectories at different steps."""

    def __init__(
        self,
        model: Denoiser,
        config: StepConfig,
        blocks: Blocks,
        seed: int,
        prompts: Mapping[int, Sequence[int]],
        on_step: OnSampledStep | None,
        has_ended: HasEnded | None,
    ) -> None:
        self.model, self.config, self.blocks, self.prompts = model, config, blocks, prompts
        self.on_step, self.has_ended = on_step, has_ended
        self.stepper = Stepper(model, seed)
        grids = [grid_of(config.strategy, steps) for steps in blocks.steps]
        self.t, self.s = (self._tensor(np.concatenate(ends)) for ends in zip(*((g[:-1], g[1:]) for g in grids)))
        self.last = self._tensor([grid[-1] for grid in grids])
        """the time at which each block ends"""
        self.ends = np.cumsum([len(grid) - 1 for grid in grids]).tolist()
        """the steps taken when each block has ended"""
        self.state = SamplerState.blank(model, blocks.edges[-1], [])
        self.at: list[int] = []
        self.block: list[int] = []
        self.calls: list[int] = []
        self.asked: list[int] = []  # how much of each slot's beginning `has_ended` was asked about
        self.packed: PackedWalk | None = None

    @property
    def busy(self) -> int:
        return len(self.at)

    def add(self, number: int) -> None:
        new = SamplerState.blank(self.model, self.blocks.edges[-1], [number], self.prompts[number])
        new.memory = memory_of(self.config.strategy, new)
        self.state = self.state.join(new) if self.busy else new
        self.at.append(0)
        self.block.append(0)
        self.calls.append(0)
        self.asked.append(0)
        self._place()

    def record(self, graphs: Graphs, width: int) -> None:
        """Record the steps of at most `width` slots, and replay them from now on where their shapes are fixed."""
        self.packed = PackedWalk(self.model, self.config, self.stepper.seed, self.t, self.s, width, graphs)

    def walk(self) -> None:
        """Advance every slot to its next reveal and through it, or to the end of its block."""
        if self.packed is not None and takes_fixed_shapes(self.config, self.state):
            ends = [self.ends[block] for block in self.block]
            self.state.tokens, self.state.held, self.at, called = self.packed.walk(self.state, self.at, ends)
            self.calls = [calls + more for calls, more in zip(self.calls, called, strict=True)]
            return
        shape = self.state.tokens.shape
        reveal = torch.zeros(shape, dtype=torch.bool, device=self.stepper.device)
        forget, memory = torch.zeros_like(reveal), self.state.memory
        walking = self._unfinished(range(self.busy))
        while walking:
            part, steps = self.state.rows(walking), [self.at[i] for i in walking]
            t, s = self._times(steps)
            decision, calls = self.stepper.decide(self.config, part, steps, t, s)
            if decision.flips.drawn is not None:
                # the plan itself called the network, so all slots have moved by a step
                self._carry_out(walking, decision.flips, calls.tolist(), decision.memory)
                return
            waits = decision.flips.waiting()
            reveal[walking], forget[walking] = decision.flips.reveal, decision.flips.forget
            if memory is not None and decision.memory is not None:
                memory = memory.put(walking, decision.memory)
            free = [slot for slot, waiting in zip(walking, waits.tolist(), strict=True) if not waiting]
            kept = None if memory is None else memory.rows(free)
            self._carry_out(free, Flips(reveal[free], forget[free]), [0] * len(free), kept)
            walking = self._unfinished(free)
        waiting = reveal.any(-1).nonzero()[:, 0].tolist()
        if waiting:
            kept = None if memory is None else memory.rows(waiting)
            self._carry_out(waiting, Flips(reveal[waiting], forget[waiting]), [1] * len(waiting), kept)

    def _carry_out(self, slots: list[int], flips: Flips, calls: list[int], memory: StrategyMemory | None) -> None:
        """Apply the flips of these slots' steps, in one network call if tokens are to be drawn.

        calls: how often the step puts each of the slots through the network.  memory: what they remember after it.
        """
        if not slots:
            return
        part, steps = self.state.rows(slots), [self.at[i] for i in slots]
        alpha_t = self.config.strategy.alpha(self._times(steps)[0])
        self.stepper.apply(self.config, part, flips, steps, alpha_t)
        self.state.tokens[slots], self.state.held[slots] = part.tokens, part.held
        if memory is not None and self.state.memory is not None:
            self.state.memory = self.state.memory.put(slots, memory)
        cost = self.stepper.rows_a_call(self.config, part)
        for i, count in zip(slots, calls, strict=True):
            self.at[i] += 1
            self.calls[i] += cost * count
        self._report(slots)

    def _report(self, slots: Sequence[int]) -> None:
        """Call `on_step` with the tokens of these slots."""
        if self.on_step is not None and slots:
            for i, tokens in zip(slots, self.state.tokens[list(slots)].cpu(), strict=True):
                self.on_step(self.state.numbers[i], tokens)

    def _tensor(self, times: ArrayLike) -> Tensor:
        return torch.tensor(np.asarray(times), dtype=torch.float64, device=self.stepper.device)

    def _unfinished(self, slots: Iterable[int]) -> list[int]:
        return [i for i in slots if self.at[i] < self.ends[self.block[i]]]

    def _times(self, steps: list[int]) -> tuple[Tensor, Tensor]:
        """Return t and s, [B, 1], of steps that differ from slot to slot."""
        index = torch.tensor(steps, device=self.t.device)
        return self.t[index][:, None], self.s[index][:, None]

    def collect(self) -> list[Sample]:
        """Finish the blocks that are at their end; return and remove the slots whose last one that was."""
        ended = [i for i in range(self.busy) if self.at[i] == self.ends[self.block[i]]]
        if not ended:
            return []
        part = self.state.rows(ended)
        alpha_t = self.config.strategy.alpha(self.last[[self.block[i] for i in ended]][:, None])
        where, _ = self.stepper.finish(self.config, part, alpha_t, [self.at[i] for i in ended])
        self.state.tokens[ended], self.state.held[ended] = part.tokens, part.held
        for i, cleaned in zip(ended, where.any(-1).tolist(), strict=True):
            self.calls[i] += int(cleaned) * self.stepper.rows_a_call(self.config, part)
            self.block[i] += 1
        self._report([i for i, cleaned in zip(ended, where.any(-1).tolist(), strict=True) if cleaned])
        done = [i for i in ended if self.block[i] == len(self.blocks)]
        out = [Sample(self.state.numbers[i], self.state.tokens[i].cpu(), self.calls[i]) for i in done]
        self._keep([i for i in range(self.busy) if i not in done])
        return out

    def end_early(self) -> list[Sample]:
        """Return and remove the slots that may end before their last step, each with what is final of its tokens."""
        if self.has_ended is None or not self.busy:
            return []
        masked = self.state.tokens == self.model.mask_id
        final = final_lengths(self.config.strategy, self.blocks, self.block, masked)
        grown = [i for i in range(self.busy) if final[i] > self.asked[i]]
        self.asked = final
        found = [Sample(self.state.numbers[i], self.state.tokens[i, : final[i]].cpu(), self.calls[i]) for i in grown]
        over = [sample for sample in found if self.has_ended(sample.number, sample.tokens)]
        if over:
            gone = {sample.number for sample in over}
            self._keep([i for i in range(self.busy) if self.state.numbers[i] not in gone])
        return over

    def give_up(self, error: BadLogitsError) -> list[AbandonedSample]:
        """Remove the slots that the network failed, and return where; the others stay before the step that failed."""
        first = {number: AbandonedSample(number, step, position) for number, step, position in reversed(error.places)}
        self._keep([i for i in range(self.busy) if self.state.numbers[i] not in first])
        return list(first.values())

    def _keep(self, slots: list[int]) -> None:
        columns = self.at, self.block, self.calls, self.asked
        self.at, self.block, self.calls, self.asked = ([column[i] for i in slots] for column in columns)
        self.state = self.state.rows(slots)
        self._place()

    def _place(self) -> None:
        """Set the block of each slot in the state."""
        where = self.block, self.stepper.device
        self.state.active, self.state.seen = self.blocks.active(*where), self.blocks.seen(*where)
