"""What is measured, on what machine, and the lines that come of it."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

import torch

DTYPES = ("float32", "bfloat16")
PROBABILITIES = ("network", "float64")
"""What the dense update computes its probabilities in: the network's own type, or float64 as ours are."""
ALLOCATORS: dict[str, dict[str, str]] = {
    "default": {},
    "keeping": {"MALLOC_MMAP_THRESHOLD_": str(1 << 36), "MALLOC_TRIM_THRESHOLD_": str(1 << 36)},
}
"""The C library's: as it comes, and keeping freed buffers of any size instead of faulting in fresh pages."""
RETURNING = {"MALLOC_MMAP_THRESHOLD_": str(1 << 16), "MALLOC_TRIM_THRESHOLD_": str(1 << 16)}
"""Freed buffers go back at once: what is resident is what is in use, without the holes of a heap."""
STEP_TARGETS = {
    ("float32", "default"): 4.5,
    ("bfloat16", "default"): 7.0,
    ("float32", "keeping"): 2.8,
    ("bfloat16", "keeping"): 3.8,
}
MEMORY_TARGET = 50.0
READING_TARGET = 1 / 1.5
"""A step that reads all positions takes half as long again as the network and its head, at most."""
READING_MIB = 64
"""What such a step needs beyond the model, at most."""


@dataclass(frozen=True)
class NetworkShape:
    """A random network of this shape, and the canvas it works on."""

    width: int = 768
    blocks: int = 12
    heads: int = 12
    vocab: int = 50258
    length: int = 1024


@dataclass(frozen=True)
class Options:
    """What is measured; the defaults are the documented benchmark."""

    shape: NetworkShape = NetworkShape()
    demo: NetworkShape = NetworkShape(width=320, blocks=6, heads=5, vocab=6144, length=128)
    demo_lengths: tuple[int, ...] = (128, 256)
    demo_steps: int = 64
    steps: int = 1024
    """T of the timed step, which is taken from t = 1/2"""
    dense_repeats: int = 2
    repeats: int = 8
    eta: float = 0.02
    top_p: float = 0.9
    dtypes: tuple[str, ...] = DTYPES
    probabilities: tuple[str, ...] = PROBABILITIES
    allocators: tuple[str, ...] = tuple(ALLOCATORS)
    readers: tuple[str, ...] = ("llada-remdm", "t2m")
    """strategies that read all positions: the first draws tokens at masks, the other everywhere"""
    calls_length: int = 256
    calls_steps: tuple[int, ...] = (128, 256, 1024)
    calls_count: int = 4
    cache_length: int = 1024
    cache_steps: tuple[int, ...] = (1024, 4096)
    cache_batch: int = 8
    """samples of which the whole-batch cache is one"""
    judge: str = "gpt2"
    """whose scoring is timed; where it is not on this machine, a random GPT-2 of judge_shape is"""
    judge_shape: NetworkShape = NetworkShape(width=256, blocks=6, heads=4, vocab=50257)
    judge_texts: int = 64
    judge_repeats: int = 3
    answers_count: int = 64
    answers_length: int = 32
    answers_steps: int = 16
    answers_width: int = 8
    answers_repeats: int = 3
    processor: bool = False
    """processor seconds of judge and answers in place of wall clock"""
    threads: int = 0
    """of torch; 0: as it chooses"""
    seed: int = 0

    def checked(self) -> Options:
        """Return these options if every name in them is known; raises ValueError that lists the valid ones."""
        # as the options that set them are called
        given = {
            "dtype": (self.dtypes, DTYPES),
            "law": (self.probabilities, PROBABILITIES),
            "allocator": (self.allocators, tuple(ALLOCATORS)),
        }
        for option, (names, valid) in given.items():
            for name in names:
                if name not in valid:
                    raise ValueError(f"unknown {option} {name!r}: choose {', '.join(valid)}")
        return self


QUICK = Options(
    shape=NetworkShape(width=64, blocks=2, heads=2, vocab=512, length=64),
    demo=NetworkShape(width=32, blocks=2, heads=2, vocab=128, length=32),
    demo_lengths=(32,),
    demo_steps=8,
    steps=64,
    dense_repeats=1,
    repeats=2,
    dtypes=("float32",),
    probabilities=("network",),
    allocators=("default",),
    calls_length=32,
    calls_steps=(32,),
    calls_count=2,
    cache_length=32,
    cache_steps=(32,),
    cache_batch=2,
    judge="",
    judge_shape=NetworkShape(width=16, blocks=1, heads=2, vocab=64, length=32),
    judge_texts=6,
    judge_repeats=1,
    answers_count=3,
    answers_length=8,
    answers_steps=4,
    answers_width=2,
    answers_repeats=1,
    threads=1,
)
"""Sizes that take seconds: they show that the benchmark runs, not what it is about."""


@dataclass(frozen=True)
class Machine:
    """Where the figures come from."""

    cpu: str
    cores: int
    threads: int
    torch: str
    python: str
    system: str


@dataclass(frozen=True)
class Comparison:
    """One line of the benchmark: the same thing by the dense update and by ours."""

    part: str
    case: str
    unit: str
    dense: float
    ours: float
    target: float | None = None
    """the ratio aimed at; none is set for most lines"""
    note: str = ""
    busy: float = 0.0
    """share of the processor that other processes took meanwhile: above a few per cent, measure again"""

    @property
    def ratio(self) -> float:
        return self.dense / self.ours if self.ours else float("inf")

    @property
    def met(self) -> bool | None:
        return None if self.target is None else self.ratio >= self.target


def machine(options: Options) -> Machine:
    return Machine(
        cpu=_cpu_name(),
        cores=os.cpu_count() or 1,
        threads=options.threads or torch.get_num_threads(),
        torch=torch.__version__,
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
    )


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
