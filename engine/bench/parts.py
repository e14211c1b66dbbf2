"""The parts of the benchmark, by name."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import torch

from engine.bench.child import BenchTask, OtherLoad, in_child
from engine.bench.options import (
    ALLOCATORS,
    MEMORY_TARGET,
    READING_MIB,
    READING_TARGET,
    RETURNING,
    STEP_TARGETS,
    Comparison,
    NetworkShape,
    Options,
)
from engine.bench.subjects import Oblivious, Unfolded, random_model
from engine.models.folded import FoldedDIT
from engine.models.protocol import Denoiser
from engine.records import Settings
from engine.sampling import batch, oracle
from engine.sampling.predictors import sample_by_predictor
from engine.sampling.session import Session
from engine.strategies import REGISTRY, make_strategy


@dataclass(frozen=True)
class BenchPart:
    summary: str
    run: Callable[[Options], Iterator[Comparison]]


def measure_step(options: Options) -> Iterator[Comparison]:
    """Yield the step at half masked, per network type, the dense side's probabilities and allocator."""
    documented = options.shape == NetworkShape()
    for allocator in options.allocators:
        for dtype in options.dtypes:
            found = in_child(BenchTask("time", dtype, options), ALLOCATORS[allocator])
            for dense_type in options.probabilities:
                target = STEP_TARGETS.get((dtype, allocator)) if documented and dense_type == "network" else None
                case = f"{dtype}, {dense_type} probabilities, {allocator} allocator"
                note = f"{found['revealed']:.1f} tokens revealed"
                yield Comparison("step", case, "s/step", found[dense_type], found["ours"], target, note, found["busy"])


def measure_memory(options: Options) -> Iterator[Comparison]:
    """Yield the peak memory of a step beyond the model."""
    target = MEMORY_TARGET if options.shape == NetworkShape() else None
    for dtype in options.dtypes:
        found = in_child(BenchTask("memory", dtype, options, ("ours", *options.probabilities)), RETURNING)
        for dense_type in options.probabilities:
            case = f"{dtype}, {dense_type} probabilities"
            yield Comparison("memory", case, "MiB", found[dense_type], found["ours"], target)


def measure_reading(options: Options) -> Iterator[Comparison]:
    """Yield a step that reads all positions against the network and its head alone, both folded, in one type."""
    documented = options.shape == NetworkShape()
    for dtype in options.dtypes:
        found = in_child(BenchTask("readers", dtype, options), {})
        memory = in_child(BenchTask("memory", dtype, options, ("alone", *options.readers)), RETURNING)
        for name in options.readers:
            case, target = f"{name}, {dtype}", READING_TARGET if documented else None
            yield Comparison("reading", case, "s/step", found["alone"], found[name], target, "", found["busy"])
            limit = f"target: {READING_MIB} MiB" if documented else ""
            yield Comparison("reading", case, "MiB", memory["alone"], memory[name], None, limit)


@torch.inference_mode()
def measure_demo(options: Options) -> Iterator[Comparison]:
    """Yield a whole run of a small model, all masked to clean, as `watch` does it: frames included."""
    for length in options.demo_lengths:
        shape = replace(options.demo, length=length)
        model = random_model(shape, options.seed)
        for dtype in options.dtypes:
            kind = getattr(torch, dtype)
            load = OtherLoad()
            ours = _session_seconds(FoldedDIT(model, kind), options, length)
            dense = _oracle_seconds(Unfolded(model, kind), options, length)
            note = f"{1 / dense:.0f} and {1 / ours:.0f} steps/s"
            case = f"L = {length}, {dtype}, network probabilities"
            yield Comparison("demo", case, "ms/step", dense * 1e3, ours * 1e3, None, note, load.share())


def _session_seconds(model: Denoiser, options: Options, length: int) -> float:
    strategy = make_strategy("remdm-cap", eta=options.eta)

    def run(steps: int) -> None:
        for _ in Session(model, strategy, steps=steps, length=length, seed=options.seed, top_p=options.top_p):
            pass

    run(4)
    start = time.perf_counter()
    run(options.demo_steps)
    return (time.perf_counter() - start) / options.demo_steps


def _oracle_seconds(model: Unfolded, options: Options, length: int) -> float:
    strategy = make_strategy("remdm-cap", eta=options.eta)
    settings = Settings(strategy.name, top_p=options.top_p)
    generator = torch.Generator().manual_seed(options.seed)

    def run(steps: int) -> None:
        tokens = torch.full((1, length), model.mask_id)
        held = torch.full(tokens.shape, torch.nan, dtype=torch.float64)
        times = torch.tensor(strategy.grid(steps))
        for t, s in pairwise(times):
            tokens, held, _ = oracle.step(
                model, strategy, settings, tokens, held, t.view(1, 1), s.view(1, 1), generator, model.dtype
            )

    run(4)
    start = time.perf_counter()
    run(options.demo_steps)
    return (time.perf_counter() - start) / options.demo_steps


@torch.inference_mode()
def measure_calls(options: Options) -> Iterator[Comparison]:
    """Yield the sequences put through the network for one sample; the dense update takes one a step and one to
    finish.
    """
    for steps in options.calls_steps:
        for name in REGISTRY:
            strategy = make_strategy(name)
            made = batch.samples(
                Oblivious(), strategy, range(options.calls_count), steps=steps, length=options.calls_length,
                seed=options.seed, width=options.calls_count,
            )  # fmt: skip
            calls = sum(sample.network_calls for sample in made) / options.calls_count
            dense = len(strategy.grid(steps))
            yield Comparison("calls", f"{name}, L = {options.calls_length}, T = {steps}", "calls/sample", dense, calls)
    yield from _cached_calls(options)


def _cached_calls(options: Options) -> Iterator[Comparison]:
    """Yield network calls against the cache, which is refreshed when a token of any sample of its batch has changed."""
    strategy, count, length = make_strategy("mdlm"), options.cache_batch, options.cache_length
    for steps in options.cache_steps:
        cached = sample_by_predictor(
            Oblivious(), "ddpm_cache", steps=steps, length=length, count=count, seed=options.seed
        ).network_calls  # fmt: skip
        made = batch.samples(
            Oblivious(), strategy, range(count), steps=steps, length=length, seed=options.seed, width=count
        )  # fmt: skip
        calls = sum(sample.network_calls for sample in made) / count
        case = f"mdlm, L = {length}, T = {steps}, batch {count}"
        note = "dense: whole-batch cache; a toy network, as calls do not depend on weights"
        yield Comparison("calls", case, "calls/sample", cached, calls, None, note)


def measure_judge(options: Options) -> Iterator[Comparison]:
    """Yield the judge's scoring of texts against the loop that one would write with transformers."""
    from engine.bench.judge import judge_for, measure_scoring, texts_for

    judge = judge_for(options)
    clock = time.process_time if options.processor else time.perf_counter
    yield from measure_scoring(judge, texts_for(judge, options), options.judge_repeats, clock)


def measure_answers(options: Options) -> Iterator[Comparison]:
    """Yield answers by lm-evaluation-harness' model against the same samples alone."""
    from engine.bench import answers

    yield from answers.time_answers(options)


PARTS: dict[str, BenchPart] = {
    "step": BenchPart("one remdm-cap step at half masked", measure_step),
    "memory": BenchPart("peak memory of that step beyond the model", measure_memory),
    "reading": BenchPart("a step that reads all positions, network and head alone as dense", measure_reading),
    "demo": BenchPart("a whole run of a model of the demo's size", measure_demo),
    "calls": BenchPart("network calls for one sample", measure_calls),
    "judge": BenchPart("a judge's scoring of texts, plain transformers loop as dense", measure_judge),
    "answers": BenchPart("answers by lm-evaluation-harness' model, the same samples alone as dense", measure_answers),
}


def measure(parts: tuple[str, ...], options: Options) -> Iterator[Comparison]:
    """Yield every line of the parts named, as it is measured; raises ValueError that lists the valid names."""
    for name in parts:
        if name not in PARTS:
            raise ValueError(f"unknown part {name!r}: choose one of {', '.join(PARTS)}")
    if options.threads:
        torch.set_num_threads(options.threads)
    for name in parts:
        yield from PARTS[name].run(options)
