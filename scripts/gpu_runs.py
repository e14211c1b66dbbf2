"""What the parts of `scripts/bench_gpu.py` share: sizes, figures, the device, and the runs that are timed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import torch

from engine.bench import NetworkShape, Unfolded, half_masked, machine, random_model
from engine.bench.options import Options
from engine.models.folded import FoldedDIT
from engine.models.protocol import Denoiser, device_of
from engine.records import Settings
from engine.sampling import oracle
from engine.sampling.batch import samples
from engine.sampling.graphs import graphs_for
from engine.sampling.session import Session
from engine.strategies import REGISTRY, make_strategy
from engine.training.speed import matmul_peak

SMALL = NetworkShape()
DEMO = NetworkShape(width=320, blocks=6, heads=5, vocab=6144, length=256)
LEAST_VOCABULARY = 600
"""That a training configuration takes."""


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
