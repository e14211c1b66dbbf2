"""The parts of `scripts/bench_gpu.py`: each yields its figures, the most important first."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from engine.bench import BASE, NetworkShape, TimingOptions, Unfolded, half_masked, machine, measure_timing, random_model
from engine.bench.options import Options
from engine.bench.training import measure_training_step, random_corpus
from engine.models.folded import FoldedDIT
from engine.models.protocol import Denoiser, device_of
from engine.records import Settings
from engine.sampling import oracle
from engine.sampling.batch import samples
from engine.sampling.graphs import graphs_for
from engine.sampling.session import Session
from engine.strategies import REGISTRY, make_strategy
from engine.training.loop import Trainer
from engine.training.speed import matmul_peak
from scripts.bench_train import configured

SMALL = NetworkShape()
DEMO = NetworkShape(width=320, blocks=6, heads=5, vocab=6144, length=256)
LEAST_VOCABULARY = 600
"""That a training configuration takes."""
LAUNCHES = ("cudaLaunchKernel", "cuLaunchKernel", "cudaLaunchKernelExC", "cuLaunchKernelEx", "cudaGraphLaunch")
WAITS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize")
"""Calls in which the host waits for the device; torch's `.item()` and `bool()` end in the first."""
READS = ("Memcpy DtoH",)


@dataclass(frozen=True)
class Sizes:
    """How large everything is."""

    small: NetworkShape = SMALL
    demo: NetworkShape = DEMO
    lengths: tuple[int, ...] = (1024, 256)
    batches: tuple[int, ...] = (1, 32, 8)
    steps: int = 256
    """T of the timed runs"""
    packed: int = 512
    """samples side by side in an evaluation"""
    dtype: str = "bfloat16"
    count: int = 64
    count_steps: int = 1024
    law_count: int = 8000
    law_names: tuple[str, ...] = tuple(REGISTRY)
    rows_together: tuple[int, ...] = (64, 32, 128)
    train_batch: int = 128
    train: str = "small"
    repeats: int = 3
    watch_seconds: float = 6.0
    watch_rounds: int = 3


FULL = Sizes()
QUICK = Sizes(
    small=NetworkShape(width=32, blocks=2, heads=2, vocab=128, length=32),
    demo=NetworkShape(width=16, blocks=1, heads=2, vocab=64, length=16),
    lengths=(16,), batches=(2,), steps=4, packed=4, dtype="float32", count=2, count_steps=8, law_count=300,
    law_names=("remdm-conf", "p2"), rows_together=(2,), train_batch=2, train="tiny", repeats=1,
    watch_seconds=0.5, watch_rounds=1,
)  # fmt: skip


@dataclass(frozen=True)
class Figure:
    """One measured number."""

    case: str
    value: float
    unit: str
    target: float | None = None
    at_most: bool = False
    """whether the target is an upper bound"""
    note: str = ""

    @property
    def met(self) -> bool | None:
        if self.target is None:
            return None
        return self.value <= self.target if self.at_most else self.value >= self.target


@dataclass
class GpuBench:
    """The device and the sizes, and what several parts need."""

    device: torch.device
    sizes: Sizes

    @property
    def device_name(self) -> str:
        on_gpu = self.device.type == "cuda"
        return torch.cuda.get_device_name(self.device) if on_gpu else f"{machine(Options()).cpu} ({self.device})"

    @property
    def dtype(self) -> torch.dtype:
        return getattr(torch, self.sizes.dtype)

    @cached_property
    def peak(self) -> float:
        """Return the operations a second of large matrix products."""
        return matmul_peak(self.device, self.sizes.dtype, time.perf_counter)

    def networks(self) -> Iterator[tuple[str, NetworkShape]]:
        """Yield the networks at the lengths that they take, the most important first."""
        for length in self.sizes.lengths:
            yield f"DiT-small, L = {length}", replace(self.sizes.small, length=length)
        shortest = min(self.sizes.lengths)
        yield f"demo, L = {shortest}", replace(self.sizes.demo, length=shortest)

    def folded(self, shape: NetworkShape) -> FoldedDIT:
        return FoldedDIT(random_model(shape, 0).to(self.device), self.dtype)

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def seconds(self, action: Callable[[], object]) -> float:
        self.wait()
        began = time.perf_counter()
        action()
        self.wait()
        return time.perf_counter() - began


def model_device(model: Denoiser) -> torch.device:
    return torch.device(device_of(model))


def flops(shape: NetworkShape) -> float:
    """Return the operations of one sequence through the blocks; the head runs on few rows and is left out."""
    return shape.blocks * (24 * shape.length * shape.width**2 + 4 * shape.length**2 * shape.width)


def watched(model: Denoiser, shape: NetworkShape, batch: int, steps: int) -> Callable[[], None]:
    """Return a run of remdm-cap as `watch` has it, frames included."""
    strategy = make_strategy("remdm-cap", eta=0.02)
    graphs = graphs_for(model_device(model))

    def run() -> None:
        for _ in Session(model, strategy, steps=steps, length=shape.length, batch=batch, graphs=graphs, top_p=0.9):
            pass

    return run


def packed(model: Denoiser, name: str, count: int, steps: int, length: int) -> Callable[[], None]:
    """Return a run of `count` samples side by side, as an evaluation draws them."""
    strategy, graphs = make_strategy(name), graphs_for(model_device(model))

    def run() -> None:
        for _ in samples(
            model, strategy, range(count), steps=steps, length=length, width=count, graphs=graphs, top_p=0.9
        ):
            pass

    return run


def dense_step(bench: GpuBench, shape: NetworkShape, batch: int) -> Callable[[], object]:
    """Return one dense step of the literature from half-masked states."""
    model, strategy = Unfolded(random_model(shape, 0).to(bench.device), bench.dtype), make_strategy("remdm-cap")
    tokens = half_masked(shape, 0).expand(batch, -1).to(bench.device)
    held = torch.where(tokens == model.mask_id, torch.nan, 0.5).double()
    noise = torch.Generator(bench.device).manual_seed(0)
    t = torch.full((batch, 1), 0.5, dtype=torch.float64, device=bench.device)
    settings, s = Settings(strategy.name, top_p=0.9), t - 1 / 1024
    return lambda: oracle.step(model, strategy, settings, tokens, held, t, s, noise, bench.dtype)


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
}
"""In the order in which they are run."""
