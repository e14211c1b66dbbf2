"""Draw the samples of a plan, each yielded as it finishes, with this engine or with a published predictor."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec
import numpy as np
import torch

from engine.evaluation.model_rows import row_ends
from engine.evaluation.plan import BETWEEN_STARTS, ENGINE, OVER_SIMPLEX, EvalPlan, Sampling
from engine.evaluation.results import SampleLine, is_complete
from engine.metrics.diversity import repetition
from engine.models import TextModel
from engine.models.protocol import Denoiser, never_drawn
from engine.records import SHARED_KNOBS
from engine.sampling.batch import AbandonedSample, HasEnded, OnSampledStep, Sample, samples
from engine.sampling.blocks import Blocks, plan_blocks
from engine.sampling.encoding import by_shadows
from engine.sampling.figures import unigram_entropy
from engine.sampling.predictors import PREDICTORS, sample_by_predictor
from engine.sampling.readout import BadLogitsError
from engine.strategies import make_strategy, reads_of
from engine.strategies.mdlm import Mdlm
from engine.text.counts import counted
from engine.text.infill import fixed


def draw_samples(
    model: TextModel,
    plan: Sampling,
    prompt: Sequence[int],
    numbers: Sequence[int],
    width: int,
    failed: Callable[[AbandonedSample], None],
    notice: Callable[[str], None],
    *,
    prompts: Mapping[int, Sequence[int]] | None = None,
    on_step: OnSampledStep | None = None,
    has_ended: HasEnded | None = None,
) -> Iterator[Sample]:
    """Yield the samples with these numbers, in any order, at most `width` in the network at once.

    prompts, on_step, has_ended: those of `engine.sampling.batch.samples`, for this engine's own predictor alone.
    failed: called for each sample whose logits are not finite.  notice: called with a sentence when the device runs
    out of memory, after which half as many samples share the network.  Raises ValueError if one sample does not fit.
    """
    kinds: dict[str, Callable[..., Iterator[Sample]]] = {
        ENGINE: partial(_engine_samples, prompts=prompts, on_step=on_step, has_ended=has_ended),
        BETWEEN_STARTS: _samples_between_starts,
        OVER_SIMPLEX: _samples_over_simplex,
    }
    kind = kinds.get(plan.predictor, _predictor_samples)
    left = dict.fromkeys(numbers)
    given_up: list[int] = []

    def give_up(sample: AbandonedSample) -> None:
        given_up.append(sample.number)
        failed(sample)

    while left:
        try:
            for sample in kind(model, plan, prompt, list(left), width, give_up):
                del left[sample.number]
                yield sample
        except torch.OutOfMemoryError as error:
            if width == 1:
                raise ValueError(
                    "one sample does not fit into the device's memory: choose a smaller length, --dtype bfloat16, "
                    "or another --device"
                ) from error
            width //= 2
            torch.cuda.empty_cache()
            share = counted(width, "sample shares", "samples share")
            notice(f"the device's memory is full: {share} the network from here on")
        else:
            return
        for number in given_up:
            left.pop(number, None)


def check_plan(model: TextModel, plan: Sampling, prompt: Sequence[int]) -> None:
    """Raise ValueError for a plan that cannot be sampled, before any sample is drawn."""
    if plan.predictor not in (ENGINE, BETWEEN_STARTS, OVER_SIMPLEX, *PREDICTORS):
        known = ", ".join((ENGINE, *PREDICTORS, OVER_SIMPLEX, BETWEEN_STARTS))
        raise ValueError(f"unknown predictor {plan.predictor!r}: choose {known}")
    if plan.predictor == BETWEEN_STARTS:
        _check_between_starts(model, plan)
    if plan.predictor == OVER_SIMPLEX:
        if plan.strategy != OVER_SIMPLEX:
            raise ValueError(
                f"{OVER_SIMPLEX} steps the strategy of its name: leave --strategy out, not {plan.strategy}"
            )
        plan = _in_all_blocks(plan, fixed(prompt, model.mask_id))
    if plan.predictor not in PREDICTORS:
        next(iter(samples(model, make_strategy(plan.strategy, **plan.knobs), [], **_shape(plan, prompt))), None)
        return
    if plan.block_length:
        raise ValueError(f"{plan.predictor} fills the whole canvas at once: leave out blocks")
    plan_blocks(plan.steps, plan.length, fixed(prompt, model.mask_id), stride=plan.stride, strides=plan.strides)
    if plan.strategy != Mdlm.name:
        raise ValueError(f"{plan.predictor} remasks nothing: leave --strategy at {Mdlm.name}, not {plan.strategy}")
    if plan.temperature != 1:
        raise ValueError(f"{plan.predictor} has no temperature: leave it at 1")


def _check_between_starts(model: TextModel, plan: Sampling) -> None:
    """Raise ValueError for a model or a setting that the autoregressive baseline does not support."""
    if not getattr(model, "causal", False):
        raise ValueError(f"{BETWEEN_STARTS} draws from the left: choose a model that predicts from the left alone")
    if plan.block_length or plan.stride:
        raise ValueError(f"{BETWEEN_STARTS} draws one token after another: leave out blocks and strides")
    if plan.length < 3:
        raise ValueError(f"{BETWEEN_STARTS} draws between two start tokens: --length 3 or more, not {plan.length}")
    row_ends(model)


def sample_line(model: TextModel, seed: int, sample: Sample) -> SampleLine:
    """Return the line of a sample that was drawn."""
    ids = sample.tokens.tolist()
    return SampleLine(
        number=sample.number,
        seed=seed,
        text=model.codec.decode(ids),
        ids=tuple(ids),
        network_calls=sample.network_calls,
        entropy=unigram_entropy(np.asarray(ids)),
        repetition=repetition(ids),
    )


def sample_fault(model: TextModel, plan: EvalPlan, prompt: Sequence[int], line: SampleLine) -> str | None:
    """Return why this plan cannot have made a line of samples, in words; None where it can."""
    sampling, ids = plan.sampling, list(line.ids)
    if line.seed != sampling.seed:
        return f"it is of seed {line.seed}, not {sampling.seed}"
    if not 0 <= line.number < sampling.count:
        return f"there is no sample {line.number} of {sampling.count}"
    if len(ids) != sampling.tokens:
        return f"it has {len(ids)} tokens, not {sampling.tokens}"
    never = {model.mask_id, *never_drawn(model)} - set(prompt)
    if any(not 0 <= token < model.vocab_size or token in never or token == model.mask_id for token in ids):
        return "it holds a token that is not text of the model"
    between = plan.sampling.predictor == BETWEEN_STARTS
    if between and {ids[0], ids[-1]} != {row_ends(model)[0]}:
        return "it does not begin and end with the start token"
    if any(token not in (model.mask_id, there) for token, there in zip(prompt, ids[between:])):
        return "it does not hold the prompt"
    if line.text != model.codec.decode(ids):
        return "its text is not that of its tokens"
    if not math.isclose(line.entropy, unigram_entropy(np.asarray(ids)), rel_tol=1e-9, abs_tol=1e-9):
        return "its entropy is not that of its tokens"
    if not math.isclose(line.repetition, repetition(ids), rel_tol=1e-9, abs_tol=1e-9):
        return "its repetition is not that of its tokens"
    if not 0 <= line.network_calls <= most_calls(model, sampling, fixed(prompt, model.mask_id)):
        return f"it cannot have taken {line.network_calls} network calls"
    if line.judged is not None and (
        plan.scoring.judge is None or not is_complete(line.judged, plan.scoring.conventions)
    ):
        return "its figures are not those of a judge under these conventions"
    return None


def steps_of(plan: Sampling, fixed: Sequence[bool]) -> int:
    """Return the number of steps of one sample; a time grid may have more than T.

    fixed: whether each token of the prompt is kept.
    """
    if plan.predictor in PREDICTORS:
        return plan.steps * (1 + plan.strides)
    strategy = make_strategy(plan.strategy, **plan.knobs)
    return sum(len(strategy.grid(steps)) - 1 for steps in _blocks_of(plan, fixed).steps)


def most_calls(model: Denoiser, plan: Sampling, fixed: Sequence[bool]) -> int:
    """Return the most network calls that one sample can have taken; fixed: as in `steps_of`.

    A block or window that ends with masks takes one more call than it has steps, and guidance doubles all.
    """
    steps = steps_of(plan, fixed)
    if plan.predictor in PREDICTORS:
        return steps + 1 + plan.strides
    strategy = make_strategy(plan.strategy, **plan.knobs)
    one_by_one = "ahead" in reads_of(strategy) or ("verified" in reads_of(strategy) and not by_shadows(model, strategy))
    each = 1 + plan.canvas * one_by_one + ("planned" in reads_of(strategy))
    return (steps * each + len(_blocks_of(plan, fixed))) * (1 + (plan.cfg > 0))


def _blocks_of(plan: Sampling, fixed: Sequence[bool]) -> Blocks:
    if plan.predictor == OVER_SIMPLEX:
        plan = _in_all_blocks(plan, fixed)
    return plan_blocks(plan.steps, plan.canvas, fixed, plan.block_length, plan.stride, plan.strides)


def _engine_samples(
    model: Denoiser,
    plan: Sampling,
    prompt: Sequence[int],
    numbers: Sequence[int],
    width: int,
    failed: Callable[[AbandonedSample], None],
    prompts: Mapping[int, Sequence[int]] | None = None,
    on_step: OnSampledStep | None = None,
    has_ended: HasEnded | None = None,
) -> Iterator[Sample]:
    strategy = make_strategy(plan.strategy, **plan.knobs)
    return samples(
        model, strategy, numbers, width=width, failed=failed, prompts=prompts, on_step=on_step, has_ended=has_ended,
        **_shape(plan, prompt),
    )  # fmt: skip


def _samples_between_starts(
    model: TextModel,
    plan: Sampling,
    prompt: Sequence[int],
    numbers: Sequence[int],
    width: int,
    failed: Callable[[AbandonedSample], None],
) -> Iterator[Sample]:
    """Yield samples of this engine: L - 2 drawn tokens between two start tokens, which are part of the sample."""
    start = torch.tensor([row_ends(model)[0]])
    for sample in _engine_samples(model, plan, prompt, numbers, width, failed):
        yield sample._replace(tokens=torch.cat((start, sample.tokens, start)))


def _samples_over_simplex(
    model: Denoiser,
    plan: Sampling,
    prompt: Sequence[int],
    numbers: Sequence[int],
    width: int,
    failed: Callable[[AbandonedSample], None],
) -> Iterator[Sample]:
    """Yield samples of SSD-LM, each block in all of the plan's steps."""
    plan = _in_all_blocks(plan, fixed(prompt, model.mask_id))
    return _engine_samples(model, plan, prompt, numbers, width, failed)


def _in_all_blocks(plan: Sampling, fixed: Sequence[bool]) -> Sampling:
    """Return a plan with the steps of all blocks, made of one with those of each; fixed: where the prompt stays."""
    blocks = plan_blocks(plan.canvas, plan.canvas, fixed, plan.block_length)
    return msgspec.structs.replace(plan, steps=plan.steps * len(blocks))


def _shape(plan: Sampling, prompt: Sequence[int]) -> dict[str, Any]:
    shared = {info.name: getattr(plan, info.name) for info in SHARED_KNOBS}
    blocks = {"block_length": plan.block_length, "stride": plan.stride, "strides": plan.strides}
    return {"steps": plan.steps, "length": plan.canvas, "seed": plan.seed, "prompt": prompt} | blocks | shared


def _predictor_samples(
    model: Denoiser,
    plan: Sampling,
    prompt: Sequence[int],
    numbers: Sequence[int],
    width: int,
    failed: Callable[[AbandonedSample], None],
) -> Iterator[Sample]:
    """Yield samples of a published predictor, in batches that start and end together."""
    waiting = [list(numbers[i : i + width]) for i in range(0, len(numbers), width)]
    while waiting:
        batch = waiting.pop(0)
        try:
            found = sample_by_predictor(
                model, plan.predictor, steps=plan.steps, length=plan.length, count=len(batch), seed=plan.seed,
                top_p=plan.top_p, prompt=prompt, numbers=batch, stride=plan.stride, strides=plan.strides,
            )  # fmt: skip
        except BadLogitsError as error:
            if len(batch) == 1:
                failed(AbandonedSample(*error.places[0]))
            else:
                # the sample at fault is only known when it is drawn alone
                waiting[:0] = [[number] for number in batch]
            continue
        yield from (Sample(n, ids, found.network_calls) for n, ids in zip(batch, found.tokens, strict=True))
