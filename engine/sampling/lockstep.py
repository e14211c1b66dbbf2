"""Samples whose rows take every step together: all of a block changes in each, and the network sees all rows alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor

from engine.models.protocol import Denoiser
from engine.sampling.blocks import Blocks
from engine.sampling.readout import BadLogitsError
from engine.sampling.state import SamplerState, StepConfig
from engine.sampling.step import Stepper


def in_step(
    model: Denoiser,
    config: StepConfig,
    blocks: Blocks,
    seed: int,
    prompts: Mapping[int, Sequence[int]],
    numbers: Sequence[int],
    width: int,
    on_step: Callable[[int, Tensor], None] | None = None,
    failed: Callable[[int, int, int], None] | None = None,
) -> Iterator[tuple[int, Tensor, int]]:
    """Yield number, tokens long [L] and network calls of each sample, `width` at a time.

    The arguments are those of `engine.sampling.batch.samples`; failed is called with number, step and position.  Where
    the network gives no numbers, the samples of the batch are drawn one by one, to find which it is.
    """
    waiting = [list(numbers[i : i + width]) for i in range(0, len(numbers), width)]
    while waiting:
        part = waiting.pop(0)
        try:
            tokens, calls = _walk(model, config, blocks, seed, prompts, part, on_step)
        except BadLogitsError as error:
            if failed is None:
                raise
            if len(part) == 1:
                failed(*error.places[0])
            else:
                waiting[:0] = [[number] for number in part]
            continue
        yield from zip(part, tokens, calls, strict=True)


def _walk(
    model: Denoiser,
    config: StepConfig,
    blocks: Blocks,
    seed: int,
    prompts: Mapping[int, Sequence[int]],
    numbers: list[int],
    on_step: Callable[[int, Tensor], None] | None,
) -> tuple[Tensor, list[int]]:
    """Take all steps of some samples; return their tokens, long [B, L] on the CPU, and how often each was computed."""
    stepper = Stepper(model, seed)
    state = SamplerState.blank(model, blocks.edges[-1], numbers, prompts[numbers[0]])
    for row, number in enumerate(numbers):
        prompt = torch.tensor(list(prompts[number]), dtype=torch.long, device=state.tokens.device)
        state.tokens[row, : len(prompt)] = prompt
    calls, step = torch.zeros_like(state.tokens[:, 0]), 0
    for block, count in enumerate(blocks.steps):
        where = [block] * len(numbers), stepper.device
        state = replace(state, active=blocks.active(*where), seen=blocks.seen(*where))
        for times in pairwise(config.strategy.grid(count).tolist()):
            t, s = (torch.full_like(state.held[:, :1], time) for time in times)
            steps = [step] * len(numbers)
            decision, called = stepper.decide(config, state, steps, t, s)
            state = replace(state.copy(), memory=decision.memory)
            stepper.apply(config, state, decision.flips, steps, config.strategy.alpha(t))
            calls, step = calls + called, step + 1
            if on_step is not None:
                for number, tokens in zip(numbers, state.tokens.cpu(), strict=True):
                    on_step(number, tokens)
    return state.tokens.cpu(), calls.tolist()
