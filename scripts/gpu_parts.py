"""The parts of `scripts/bench_gpu.py`: each yields its figures, the most important first."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from engine.bench import BASE, NetworkShape, TimingOptions, half_masked, measure_timing
from engine.bench.training import measure_training_step, random_corpus
from engine.models.folded import FoldedDIT
from engine.training.loop import Trainer
from scripts.bench_train import configured
from scripts.gpu_runs import LEAST_VOCABULARY, Figure, GpuBench, dense_step, flops, packed, watched

LAUNCHES = ("cudaLaunchKernel", "cuLaunchKernel", "cudaLaunchKernelExC", "cuLaunchKernelEx", "cudaGraphLaunch")
WAITS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize")
"""Calls in which the host waits for the device; torch's `.item()` and `bool()` end in the first."""
READS = ("Memcpy DtoH",)


def device_part(bench: GpuBench) -> Iterator[Figure]:
    """What the device reaches in matrix products alone."""
    yield Figure(f"matmul peak, {bench.sizes.dtype}", bench.peak / 1e12, "TFLOP/s")
    if bench.device.type == "cuda":
        yield Figure("memory", torch.cuda.get_device_properties(bench.device).total_memory / 2**30, "GiB")


def laws_part(bench: GpuBench) -> Iterator[Figure]:
    """Every strategy on the device: ids of the CPU on an exact toy, and the law of the dense update on the CPU."""
    from scripts import gpu_laws

    for name in bench.sizes.law_names:
        equal = gpu_laws.ids_are_equal(name, bench.device)
        yield Figure(f"{name}: ids equal those of the CPU", float(equal), "", target=1)
    for name in bench.sizes.law_names:
        p = gpu_laws.against_the_oracle(name, bench.device, bench.sizes.law_count)
        yield Figure(f"{name}: chi-square against the dense update", p, "p", target=1e-4)


@torch.inference_mode()
def steps_part(bench: GpuBench) -> Iterator[Figure]:
    """A step as `watch` takes it and as an evaluation does, its share of the matmul peak, and the dense step's cost."""
    sizes = bench.sizes
    for name, shape in bench.networks():
        model = bench.folded(shape)
        main = name.startswith("DiT-small") and shape.length == max(sizes.lengths)
        for batch in sizes.batches:
            run = watched(model, shape, batch, sizes.steps)
            run()  # records its steps
            seconds = bench.seconds(run) / sizes.steps
            case = f"{name}, batch {batch}"
            yield Figure(f"{case}: ours", seconds * 1e3, "ms/step")
            yield Figure(f"{case}: steps", 1 / seconds, "1/s", target=600 if main and batch == 1 else None)
            share = batch * flops(shape) / seconds / bench.peak
            yield Figure(f"{case}: share of the peak", share, "", target=0.6 if main and batch == 32 else None)
            dense = dense_seconds(bench, shape, batch)
            if dense is None:
                yield Figure(f"{case}: dense", float("nan"), "ms/step", note="does not fit into the memory")
            else:
                yield Figure(f"{case}: dense", dense * 1e3, "ms/step")
                ratio = dense / seconds
                yield Figure(f"{case}: dense over ours", ratio, "x", target=15 if main and batch == 32 else None)
    yield from packed_steps(bench)


def dense_seconds(bench: GpuBench, shape: NetworkShape, batch: int) -> float | None:
    """Return the seconds of a dense step; None where it does not fit into the device's memory."""
    try:
        step = dense_step(bench, shape, batch)
        step()
        return min(bench.seconds(step) for _ in range(bench.sizes.repeats))
    except torch.OutOfMemoryError:
        torch.cuda.empty_cache()
        return None


def packed_steps(bench: GpuBench) -> Iterator[Figure]:
    """Yield the step of an evaluation, all samples side by side."""
    name, shape = list(bench.networks())[-1]
    model, count, steps = bench.folded(shape), bench.sizes.packed, bench.sizes.steps // 2
    run = packed(model, "remdm-cap", count, steps, shape.length)
    run()
    seconds = bench.seconds(run) / steps
    yield Figure(f"{name}, {count} samples packed", seconds * 1e3, "ms/step", target=8, at_most=True)
    yield Figure(f"{name}, {count} samples packed: share of the peak", count * flops(shape) / seconds / bench.peak, "")


@torch.inference_mode()
def compile_part(bench: GpuBench) -> Iterator[Figure]:
    """The blocks alone as they are and by `torch.compile`, which decides whether the sampler is to compile them."""
    backend = "inductor" if bench.device.type == "cuda" else "eager"
    for name, shape in bench.networks():
        model = bench.folded(shape)
        for batch in bench.sizes.batches:
            tokens = half_masked(shape, 0).expand(batch, -1).contiguous().to(bench.device)

            def blocks(tokens: Tensor = tokens, model: FoldedDIT = model) -> Tensor:
                return model._blocks(tokens, model.layers)

            made = torch.compile(blocks, fullgraph=True, dynamic=False, backend=backend)
            for how, run in (("as they are", blocks), (f"compiled by {backend}", made)):
                run()
                seconds = min(bench.seconds(run) for _ in range(3 * bench.sizes.repeats))
                yield Figure(f"{name}, batch {batch}: blocks {how}", seconds * 1e3, "ms")


@torch.inference_mode()
def launches_part(bench: GpuBench) -> Iterator[Figure]:
    """Kernels launched, waits and read-backs of one step of `watch`."""
    steps = min(32, bench.sizes.steps)
    for name, shape in bench.networks():
        run = watched(bench.folded(shape), shape, 1, steps)
        run()
        with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA][: 1 + torch.cuda.is_available()]) as seen:
            run()
        counts = {event.key: event.count for event in seen.key_averages()}
        for what, names in (("launches", LAUNCHES), ("waits", WAITS), ("read-backs", READS)):
            total = sum(count for key, count in counts.items() if key.startswith(names))
            yield Figure(f"{name}: {what} a step", total / steps, "")


@torch.inference_mode()
def memory_part(bench: GpuBench) -> Iterator[Figure]:
    """Peak memory of a step beyond the model, ours and dense."""
    if bench.device.type != "cuda":
        return
    name, shape = next(bench.networks())
    for batch in bench.sizes.batches:
        run = watched(bench.folded(shape), shape, batch, 4)
        sides: list[tuple[str, Callable[[], object]]] = [("ours", run), ("dense", dense_step(bench, shape, batch))]
        for side, action in sides:
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
            try:
                action()
            except torch.OutOfMemoryError:
                continue
            yield Figure(f"{name}, batch {batch}: {side}", (torch.cuda.max_memory_allocated() - before) / 2**20, "MiB")


def samples_part(bench: GpuBench) -> Iterator[Figure]:
    """The wall clock of samples by every scheme: ours in full, all of them scaled from a few steps."""
    sizes = bench.sizes
    shape = replace(sizes.small, length=max(sizes.lengths))
    model = bench.folded(shape)
    for name in ("mdlm", "remdm-cap"):
        run = packed(model, name, sizes.count, sizes.count_steps, shape.length)
        yield Figure(f"{sizes.count} samples of {name}, T = {sizes.count_steps}, whole", bench.seconds(run), "s")
    options = TimingOptions(
        shape, (sizes.count_steps,), sizes.count, batch=1, timed_steps=3, dtype=sizes.dtype, device=str(bench.device)
    )
    rows = list(measure_timing(options))
    base = next(row.seconds for row in rows if row.scheme == BASE)
    for row in rows:
        note = f"{base / row.seconds if row.seconds else float('inf'):.2f} x {BASE}; scaled"
        yield Figure(f"{row.count} samples by {row.scheme}, batch 1, T = {row.steps}", row.seconds, "s", note=note)


def training_part(bench: GpuBench) -> Iterator[Figure]:
    """A training step of DiT-small, by the rows that are in the network together."""
    sizes = bench.sizes
    vocabulary = max(sizes.small.vocab, LEAST_VOCABULARY)
    for rows in sizes.rows_together:
        given: dict[str, Any] = {
            "objective": "mdlm", "size": sizes.train, "vocabulary": vocabulary, "length": max(sizes.lengths),
            "batch": sizes.train_batch, "rows_together": rows, "precision": "auto", "compile": None,
        }  # fmt: skip
        config = configured(argparse.Namespace(**given))
        with tempfile.TemporaryDirectory() as folder:
            trainer = Trainer(config, random_corpus(vocabulary, 1 << 18), Path(folder) / "run", bench.device)
            step = measure_training_step(trainer, sizes.repeats)
            del trainer
        note = f"{step.tokens_per_second:,.0f} tokens/s, products {step.products:.0%}"
        case = f"DiT-{sizes.train}, {rows} rows together: share of the peak"
        yield Figure(case, step.utilisation, "", target=0.45 if rows == sizes.rows_together[0] else None, note=note)
        yield Figure(f"DiT-{sizes.train}, {rows} rows together", step.seconds, "s/step")


def watching_part(bench: GpuBench) -> Iterator[Figure]:
    """What a real terminal that reads from a pseudo-terminal costs the engine."""
    from scripts.bench_terminal import served_rate, watched_rate

    both = [(watched_rate(bench.sizes.watch_seconds), served_rate(bench.sizes.watch_seconds))
            for _ in range(bench.sizes.watch_rounds)]  # fmt: skip
    seen, alone = (sorted(side)[len(side) // 2] for side in zip(*both, strict=True))
    yield Figure("the demo, L = 128: steps watched", seen, "1/s")
    yield Figure("the demo, L = 128: steps of the engine alone", alone, "1/s")
    yield Figure("the demo, L = 128: cost of watching", 100 * (1 - seen / alone), "%", target=5, at_most=True)


@dataclass(frozen=True)
class Part:
    run: Callable[[GpuBench], Iterator[Figure]]
    weight: float
    """its share of the time, relative to the others'"""


PARTS: dict[str, Part] = {
    "device": Part(device_part, 1),
    "laws": Part(laws_part, 4),
    "steps": Part(steps_part, 8),
    "launches": Part(launches_part, 2),
    "samples": Part(samples_part, 5),
    "training": Part(training_part, 8),
    "memory": Part(memory_part, 2),
    "watching": Part(watching_part, 4),
    "compile": Part(compile_part, 3),
}
"""In the order in which they are run."""
