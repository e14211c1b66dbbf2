"""How the factorised step compares with the dense one, measured side by side on this machine.

Both sides run the same network in the same type.  Dense is `engine.oracle.step`, with its probabilities in
float64 as ours are (`float64 law`) or in the network's own type as ReMDM's code has them (`network law`);
the latter is cheaper, so it is the one that targets are held against.  Big measurements run in a child
process each, whose allocator and peak memory are its own: `python -m engine.bench` takes a task on stdin.
"""

from __future__ import annotations

import ctypes
import gc
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import msgspec
import torch
from torch import Tensor

from engine import batch, oracle
from engine.models.dit import DIT, DITConfig
from engine.models.folded import FoldedDIT
from engine.models.protocol import Denoiser
from engine.records import Settings
from engine.session import Session, control_of
from engine.step import State, Stepper
from engine.strategies import REGISTRY, make_strategy

DTYPES = ("float32", "bfloat16")
LAWS = ("network", "float64")
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


@dataclass(frozen=True)
class Shape:
    """A random network of this shape, and the canvas it works on."""

    width: int = 768
    blocks: int = 12
    heads: int = 12
    vocab: int = 50258
    length: int = 1024


@dataclass(frozen=True)
class Options:
    """What is measured; the defaults are the documented benchmark."""

    shape: Shape = Shape()
    demo: Shape = Shape(width=320, blocks=6, heads=5, vocab=6144, length=128)
    demo_lengths: tuple[int, ...] = (128, 256)
    demo_steps: int = 64
    steps: int = 1024
    """T of the timed step, which is taken from t = 1/2"""
    dense_repeats: int = 2
    repeats: int = 8
    eta: float = 0.02
    top_p: float = 0.9
    dtypes: tuple[str, ...] = DTYPES
    laws: tuple[str, ...] = LAWS
    allocators: tuple[str, ...] = tuple(ALLOCATORS)
    calls_length: int = 256
    calls_steps: tuple[int, ...] = (128, 256, 1024)
    calls_count: int = 4
    threads: int = 0
    """of torch; 0: as it chooses"""
    seed: int = 0

    def checked(self) -> Options:
        """These options if every name in them is known; raises ValueError that lists the valid ones."""
        known = {"dtypes": DTYPES, "laws": LAWS, "allocators": tuple(ALLOCATORS)}
        for field, valid in known.items():
            for name in getattr(self, field):
                if name not in valid:
                    raise ValueError(f"unknown {field[:-1]} {name!r}: choose {', '.join(valid)}")
        return self


QUICK = Options(
    shape=Shape(width=64, blocks=2, heads=2, vocab=512, length=64),
    demo=Shape(width=32, blocks=2, heads=2, vocab=128, length=32),
    demo_lengths=(32,),
    demo_steps=8,
    steps=64,
    dense_repeats=1,
    repeats=2,
    dtypes=("float32",),
    laws=("network",),
    allocators=("default",),
    calls_length=32,
    calls_steps=(32,),
    calls_count=2,
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


@dataclass(frozen=True)
class Part:
    summary: str
    run: Callable[[Options], Iterator[Comparison]]


# -- the two networks ------------------------------------------------------------------------------------


class Unfolded:
    """A DIT as ReMDM's code runs it: weights in float32, matrices under autocast for another type."""

    def __init__(self, model: DIT, dtype: torch.dtype) -> None:
        self.model, self.dtype = model, dtype
        self.vocab_size, self.mask_id = model.vocab_size, model.mask_id
        self.max_length, self.time_conditioned = model.max_length, model.time_conditioned

    def encode(self, tokens: Tensor, t: Tensor) -> Tensor:
        with self._autocast():
            return self.model.encode(tokens, t)

    def project(self, hidden: Tensor) -> Tensor:
        with self._autocast():
            return self.model.project(hidden)

    def _autocast(self) -> AbstractContextManager[object]:
        return nullcontext() if self.dtype == torch.float32 else torch.autocast("cpu", self.dtype)


@torch.no_grad()
def random_model(shape: Shape, seed: int) -> DIT:
    """A DIT whose every parameter matters: modulation and head, which start at zero, are random too.

    The head's spread gives logits of a standard deviation of about 4, hence nuclei as small as a trained model's.
    """
    config = DITConfig(
        vocab_size=shape.vocab, hidden_size=shape.width, n_blocks=shape.blocks, n_heads=shape.heads,
        length=shape.length, mask_id=shape.vocab - 1,
    )  # fmt: skip
    torch.manual_seed(seed)
    model = DIT(config)
    for name, parameter in model.named_parameters():
        if "adaLN" in name:
            parameter.normal_(0, 0.1)
        elif name == "output_layer.linear.weight":
            parameter.normal_(0, 4 / shape.width**0.5)
    return model.eval().requires_grad_(False)


def half_masked(shape: Shape, seed: int) -> Tensor:
    """Random tokens long [1, L], every other one masked in expectation."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(0, shape.vocab - 1, (1, shape.length), generator=generator)
    return tokens.masked_fill(torch.rand(tokens.shape, generator=generator) < 0.5, shape.vocab - 1)


# -- tasks of a child process ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Task:
    """One thing to measure: `kind` names an entry of TASKS."""

    kind: str
    dtype: str
    options: Options
    side: str = ""
    """network or float64 for the dense update with that law, ours for the factorised one"""


def _dense(model: Denoiser, options: Options, law: str) -> Callable[[int], int]:
    """step number -> tokens revealed, by the dense update from the same half-masked state each time."""
    strategy = make_strategy("remdm-cap", eta=options.eta)
    control = control_of(strategy, Settings(strategy.name, top_p=options.top_p))
    tokens = half_masked(options.shape, options.seed)
    held = torch.where(tokens == model.mask_id, torch.nan, 0.5).double()
    generator = torch.Generator().manual_seed(options.seed)
    t, s = _half(options)
    dtype = torch.float64 if law == "float64" else getattr(torch, _dtype_name(model))

    def step(_: int) -> int:
        new, _held = oracle.step(model, strategy, control.settings, tokens, held, t, s, generator, dtype)
        return int(((new != model.mask_id) & (tokens == model.mask_id)).sum())

    return step


def _ours(model: Denoiser, options: Options) -> Callable[[int], int]:
    """step number -> tokens revealed, by the factorised step from the same half-masked state each time."""
    control = control_of(make_strategy("remdm-cap", eta=options.eta), Settings("remdm-cap", top_p=options.top_p))
    tokens = half_masked(options.shape, options.seed)
    held = torch.where(tokens == model.mask_id, torch.nan, 0.5).double()
    locked = torch.zeros_like(tokens, dtype=torch.bool)
    stepper = Stepper(model, options.seed)
    t, s = _half(options)

    def step(number: int) -> int:
        state = State(tokens.clone(), held.clone(), locked, [0])
        decision, _ = stepper.decide(control, state, [number], t, s)
        stepper.apply(control, state, decision.dice, [number], control.strategy.alpha(t))
        return int(decision.dice.reveal.sum())

    return step


def _half(options: Options) -> tuple[Tensor, Tensor]:
    t = torch.full((1, 1), 0.5, dtype=torch.float64)
    return t, t - 1 / options.steps


def _dtype_name(model: Denoiser) -> str:
    return str(getattr(model, "dtype", torch.float32)).removeprefix("torch.")


def _side(model: DIT, task: Task) -> Callable[[int], int]:
    dtype = getattr(torch, task.dtype)
    if task.side == "ours":
        return _ours(FoldedDIT(model, dtype), task.options)
    return _dense(Unfolded(model, dtype), task.options, task.side)


def _seconds(step: Callable[[int], int], repeats: int) -> tuple[float, float]:
    """(median seconds of a step, mean tokens it revealed), after one that is not counted."""
    step(0)
    seconds, revealed = [], 0
    for number in range(1, repeats + 1):
        begun = time.perf_counter()
        revealed += step(number)
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds), revealed / repeats


class OtherLoad:
    """The share of the processor that other processes take, from its creation on; 0 where there is no /proc."""

    def __init__(self) -> None:
        self._since = self._ticks()

    def share(self) -> float:
        total, others = (now - then for now, then in zip(self._ticks(), self._since, strict=True))
        return max(0.0, others / total) if total else 0.0

    @staticmethod
    def _ticks() -> tuple[float, float]:
        """(all ticks of all cores so far, those neither idle nor ours)"""
        try:
            ticks = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        except OSError:
            return 0.0, 0.0
        own = (time.process_time()) * os.sysconf("SC_CLK_TCK")
        return sum(ticks), sum(ticks) - ticks[3] - ticks[4] - own


@torch.inference_mode()
def time_steps(task: Task) -> dict[str, float]:
    """Seconds of a step on every side, and the tokens that ours revealed, in one process."""
    options = task.options
    model = random_model(options.shape, options.seed)
    load = OtherLoad()
    found: dict[str, float] = {}
    for law in options.laws:
        found[law], _ = _seconds(_side(model, replace(task, side=law)), options.dense_repeats)
    found["ours"], found["revealed"] = _seconds(_side(model, replace(task, side="ours")), options.repeats)
    return found | {"busy": load.share()}


@torch.inference_mode()
def peak_memory(task: Task) -> dict[str, float]:
    """MiB that a step of one side needs beyond the model in memory."""
    shape = task.options.shape
    model = random_model(shape, task.options.seed)
    small = replace(task.options, shape=replace(shape, length=min(shape.length, 16)))
    step = _side(model, task)
    # a short canvas first: libraries load their code at first use, which is no working memory
    _side(model, replace(task, options=small))(0)
    del model
    gc.collect()
    before = _restart_peak()
    for number in range(3):
        step(number)
    return {"mib": max(_status("VmHWM") - before, 0.0)}


def _restart_peak() -> float:
    """Forget the peak so far; MiB in memory now.  Raises OSError where there is no Linux /proc."""
    with suppress(AttributeError):  # free memory that the C library has kept would hide what the step takes
        ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _status(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name + ":")) / 1024


TASKS: dict[str, Callable[[Task], dict[str, float]]] = {"time": time_steps, "memory": peak_memory}


def in_child(task: Task, environment: Mapping[str, str]) -> dict[str, float]:
    """Run a task in a process of its own; raises RuntimeError with its last words if it fails."""
    done = subprocess.run(
        [sys.executable, "-m", "engine.bench"],
        input=msgspec.json.encode(task),
        capture_output=True,
        env={**os.environ, **environment},
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{task.kind} {task.dtype}: {done.stderr.decode(errors='replace')[-800:].strip()}")
    return msgspec.json.decode(done.stdout, type=dict[str, float])


def main() -> None:
    """A child process: one task on stdin, its figures on stdout."""
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=Task)
    if task.options.threads:
        torch.set_num_threads(task.options.threads)
    sys.stdout.buffer.write(msgspec.json.encode(TASKS[task.kind](task)))


# -- parts -----------------------------------------------------------------------------------------------


def measure_step(options: Options) -> Iterator[Comparison]:
    """The step at half masked, per network type, law and allocator."""
    documented = options.shape == Shape()
    for allocator in options.allocators:
        for dtype in options.dtypes:
            found = in_child(Task("time", dtype, options), ALLOCATORS[allocator])
            for law in options.laws:
                target = STEP_TARGETS.get((dtype, allocator)) if documented and law == "network" else None
                case = f"{dtype}, {law} law, {allocator} allocator"
                note = f"{found['revealed']:.1f} tokens revealed"
                yield Comparison("step", case, "s/step", found[law], found["ours"], target, note, found["busy"])


def measure_memory(options: Options) -> Iterator[Comparison]:
    """Peak memory of a step beyond the model."""
    target = MEMORY_TARGET if options.shape == Shape() else None
    for dtype in options.dtypes:
        ours = in_child(Task("memory", dtype, options, "ours"), RETURNING)["mib"]
        for law in options.laws:
            dense = in_child(Task("memory", dtype, options, law), RETURNING)["mib"]
            yield Comparison("memory", f"{dtype}, {law} law", "MiB", dense, ours, target)


@torch.inference_mode()
def measure_demo(options: Options) -> Iterator[Comparison]:
    """A whole run of a small model, all masked to clean, as `watch` does it: frames included."""
    for length in options.demo_lengths:
        shape = replace(options.demo, length=length)
        model = random_model(shape, options.seed)
        for dtype in options.dtypes:
            kind = getattr(torch, dtype)
            load = OtherLoad()
            ours = _session_seconds(FoldedDIT(model, kind), options, length)
            dense = _oracle_seconds(Unfolded(model, kind), options, length)
            note = f"{1 / dense:.0f} and {1 / ours:.0f} steps/s"
            case = f"L = {length}, {dtype}, network law"
            yield Comparison("demo", case, "ms/step", dense * 1e3, ours * 1e3, None, note, load.share())


def _session_seconds(model: Denoiser, options: Options, length: int) -> float:
    strategy = make_strategy("remdm-cap", eta=options.eta)

    def run(steps: int) -> None:
        for _ in Session(model, strategy, steps=steps, length=length, seed=options.seed, top_p=options.top_p):
            pass

    run(4)
    begun = time.perf_counter()
    run(options.demo_steps)
    return (time.perf_counter() - begun) / options.demo_steps


def _oracle_seconds(model: Unfolded, options: Options, length: int) -> float:
    strategy = make_strategy("remdm-cap", eta=options.eta)
    settings = Settings(strategy.name, top_p=options.top_p)
    generator = torch.Generator().manual_seed(options.seed)

    def run(steps: int) -> None:
        tokens = torch.full((1, length), model.mask_id)
        held = torch.full(tokens.shape, torch.nan, dtype=torch.float64)
        times = torch.tensor(strategy.grid(steps))
        for t, s in pairwise(times):
            tokens, held = oracle.step(
                model, strategy, settings, tokens, held, t.view(1, 1), s.view(1, 1), generator, model.dtype
            )

    run(4)
    begun = time.perf_counter()
    run(options.demo_steps)
    return (time.perf_counter() - begun) / options.demo_steps


class Oblivious:
    """The cheapest denoiser: one law everywhere.  How often a sampler calls does not depend on what it hears."""

    vocab_size, mask_id, max_length, time_conditioned = 17, 16, None, False

    def encode(self, tokens: Tensor, t: Tensor) -> Tensor:
        return torch.zeros((*tokens.shape, 1))

    def project(self, hidden: Tensor) -> Tensor:
        return torch.arange(17.0).expand(len(hidden), -1)


@torch.inference_mode()
def measure_calls(options: Options) -> Iterator[Comparison]:
    """Sequences put through the network for one sample; the dense update takes one a step and one to finish."""
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


PARTS: dict[str, Part] = {
    "step": Part("one remdm-cap step at half masked", measure_step),
    "memory": Part("peak memory of that step beyond the model", measure_memory),
    "demo": Part("a whole run of a model of the demo's size", measure_demo),
    "calls": Part("network calls for one sample", measure_calls),
}


def measure(parts: tuple[str, ...], options: Options) -> Iterator[Comparison]:
    """Every line of the parts named, as it is measured; raises ValueError that lists the valid names."""
    for name in parts:
        if name not in PARTS:
            raise ValueError(f"unknown part {name!r}: choose one of {', '.join(PARTS)}")
    if options.threads:
        torch.set_num_threads(options.threads)
    for name in parts:
        yield from PARTS[name].run(options)


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


if __name__ == "__main__":
    main()
