"""Wall clock of samples by every scheme, as MDLM's README tables it; what is scaled from a part says so."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch

from engine.bench.child import OtherLoad
from engine.bench.options import NetworkShape
from engine.bench.subjects import CountingModel, Oblivious, random_model
from engine.models.folded import FoldedDIT
from engine.models.protocol import Denoiser, device_of
from engine.models.time_conditioned import ScoreDIT
from engine.sampling import batch
from engine.sampling.predictors import sample_by_predictor
from engine.strategies import make_strategy

BASE = "ddpm_cache"
"""What ratios are taken to."""
SPARSE = 4
"""Steps with few network calls that are timed for every one with many, as each takes less."""


@dataclass(frozen=True)
class TimingOptions:
    """What is timed; the defaults are the table's, which takes hours on a processor."""

    shape: NetworkShape = field(default_factory=NetworkShape)
    steps: tuple[int, ...] = (5_000, 10_000)
    count: int = 64
    """samples that the seconds are for"""
    batch: int = 1
    """samples side by side, in every scheme; MDLM's commands have 1"""
    samples: int | None = None
    """timed; None: all.  Whole batches of them, so that scaling is exact but for noise"""
    timed_steps: int | None = None
    """number of steps to time, whose cost is scaled to whole runs; None: time whole runs"""
    processor: bool = False
    """processor seconds of one thread in place of wall clock, for a machine that others use too"""
    dtype: str = "float32"
    device: str = "cpu"
    threads: int = 0
    seed: int = 0

    def checked(self) -> TimingOptions:
        """Return these options if they are in range; raises ValueError that says what would be."""
        values = {
            "count": self.count, "batch": self.batch, "length": self.shape.length, "steps": min(self.steps),
            "samples": self.samples, "timed steps": self.timed_steps,
        }  # fmt: skip
        for name, value in values.items():
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, not {value}")
        if self.timed_steps is not None and 2 * self.timed_steps >= self.shape.length:
            raise ValueError(f"timed steps must be fewer than half the length, {self.shape.length}")
        for whole in (self.count, self.samples):
            if whole is not None and whole % self.batch:
                raise ValueError(f"samples come in whole batches of {self.batch}, not {whole}")
        if self.samples is not None and self.samples > self.count:
            raise ValueError(f"samples timed must be {self.count} at most, not {self.samples}")
        if self.processor and (self.threads != 1 or torch.device(self.device).type != "cpu"):
            raise ValueError(
                "processor seconds are those of one thread on the CPU: ask for 1 thread and the device cpu"
            )
        return self


@dataclass(frozen=True)
class TimingRow:
    """One cell of the table."""

    scheme: str
    steps: int
    count: int
    seconds: float
    """for `count` samples"""
    calls: float
    """network calls a sample; those of a batch count for each of its samples"""
    scaled: bool
    measured: str
    """a sentence: what was timed, and how the seconds came of it"""
    busy: float
    """share of the processor that other processes took meanwhile"""


TimedRun = Callable[[Denoiser, TimingOptions, int, range, tuple[int, ...]], float]
"""(model, options, steps T, numbers of the samples, prompt) -> network calls a sample"""
ReadClock = Callable[[], float]


@dataclass(frozen=True)
class Scheme:
    name: str
    run: TimedRun
    scored: bool = False
    """whether its network is SEDD's, which is conditioned on the noise level"""
    every_step: bool = False
    """whether it asks the network at every step"""


def _predictor(name: str) -> TimedRun:
    def run(model: Denoiser, options: TimingOptions, steps: int, numbers: range, prompt: tuple[int, ...]) -> float:
        calls = [
            sample_by_predictor(
                model, name, steps=steps, length=options.shape.length, count=options.batch, seed=options.seed,
                prompt=prompt, first=first,
            ).network_calls
            for first in numbers[:: options.batch]
        ]  # fmt: skip
        return sum(calls) / len(calls)

    return run


def _lazy(name: str) -> TimedRun:
    def run(model: Denoiser, options: TimingOptions, steps: int, numbers: range, prompt: tuple[int, ...]) -> float:
        made = batch.samples(
            model, make_strategy(name), numbers, steps=steps, length=options.shape.length, seed=options.seed,
            prompt=prompt, width=options.batch, top_p=1.0,
        )  # fmt: skip
        return sum(sample.network_calls for sample in made) / len(numbers)

    return run


SCHEMES = (
    Scheme("sedd (analytic)", _predictor("analytic"), scored=True, every_step=True),
    Scheme("ddpm", _predictor("ddpm"), every_step=True),
    Scheme(BASE, _predictor("ddpm_cache")),
    Scheme("ours, mdlm", _lazy("mdlm")),
    Scheme("ours, remdm-cap", _lazy("remdm-cap")),
)


@torch.inference_mode()
def measure_timing(options: TimingOptions) -> Iterator[TimingRow]:
    """Yield every scheme at every T, all on random networks of one shape, in the order of the table.

    MDLM's schemes and ours run the same folded network, so that ratios are of the schemes alone; none has a nucleus.
    """
    options.checked()
    if options.threads:
        torch.set_num_threads(options.threads)
    dtype, device = getattr(torch, options.dtype), torch.device(options.device)
    folded = FoldedDIT(random_model(options.shape, options.seed).to(device), dtype)
    score = ScoreDIT(random_model(options.shape, options.seed, timed=True).to(device), dtype)
    clock = time.process_time if options.processor else time.perf_counter
    for scheme in SCHEMES:
        yield from measure_scheme(scheme, score if scheme.scored else folded, options, clock)


def measure_scheme(
    scheme: Scheme, model: Denoiser, options: TimingOptions, clock: ReadClock = time.perf_counter
) -> Iterator[TimingRow]:
    """Yield one scheme at every T."""
    measure = _whole if options.timed_steps is None else _scaled
    yield from measure(scheme, model, options, clock)


def _whole(scheme: Scheme, model: Denoiser, options: TimingOptions, clock: ReadClock) -> Iterator[TimingRow]:
    """Time whole runs of all samples, or of the first few."""
    timed = options.count if options.samples is None else options.samples
    for steps in options.steps:
        load = OtherLoad()
        calls, seconds = _seconds(scheme, model, options, steps, range(timed), 0, clock)
        measured = f"{timed} of {options.count} samples timed"
        if timed < options.count:
            measured += f" ({seconds:.4g} s), scaled by {options.count / timed:g}"
        yield TimingRow(
            scheme.name, steps, options.count, seconds * options.count / timed, calls, timed < options.count, measured,
            load.share(),
        )  # fmt: skip


def _scaled(scheme: Scheme, model: Denoiser, options: TimingOptions, clock: ReadClock) -> Iterator[TimingRow]:
    """Yield the cost of a network call and of a step without it, times how many of each a batch has."""
    load = OtherLoad()
    call, step, measured = _costs(scheme, model, options, clock)
    batches = options.count / options.batch
    for steps in options.steps:
        if scheme.every_step:
            calls, network_calls, counted = float(steps + 1), steps + 1, f"{steps + 1:,} calls"
        else:
            toy = CountingModel(Oblivious())
            calls = scheme.run(toy, options, steps, range(options.batch), ())
            network_calls, source = toy.times, "counted in a run of the same flips with a toy network"
            counted = f"{network_calls:,} calls and {steps:,} steps, {source}"
        described = f"scaled: {measured}; times {counted}, times {batches:g} batches of {options.batch}"
        seconds = (network_calls * call + steps * step) * batches
        yield TimingRow(scheme.name, steps, options.count, seconds, calls, True, described, load.share())


def _costs(scheme: Scheme, model: Denoiser, options: TimingOptions, clock: ReadClock) -> tuple[float, float, str]:
    """Return (seconds of a network call, seconds of a step without it, what was timed), of one batch.

    Two runs separate the costs, one with many calls and a longer one with few; a prompt leaves as many positions to
    fill as there should be reveals.  Where every step calls the network, a step is timed with its call.
    """
    steps, length, numbers = options.timed_steps or 1, options.shape.length, range(options.batch)
    _seconds(scheme, model, options, 1, numbers, length - 1, clock)  # libraries load their code at first use
    if scheme.every_step:
        calls, seconds = _seconds(scheme, model, options, steps, numbers, 0, clock)
        return seconds / calls, 0.0, f"{seconds / calls:.4g} s a step with its call, of {calls:g} timed"
    few, many = CountingModel(model), CountingModel(model)
    _, long = _seconds(scheme, many, options, steps, numbers, length - 2 * steps, clock)
    _, short = _seconds(scheme, few, options, SPARSE * steps, numbers, length - 1, clock)
    call = max(0.0, (SPARSE * long - short) / (SPARSE * many.times - few.times))
    step = max(0.0, (short - few.times * call) / (SPARSE * steps))
    too_short = "a step without it within the noise, taken as 0"
    step_part = f"{step:.4g} s a step without it" if step else too_short
    timed = f"{call:.4g} s a call and {step_part}"
    return call, step, f"{timed}, of {many.times} calls in {steps} steps and {few.times} in {SPARSE * steps}"


def _seconds(
    scheme: Scheme, model: Denoiser, options: TimingOptions, steps: int, numbers: range, prompt: int, clock: ReadClock
) -> tuple[float, float]:
    """Return (network calls a sample, seconds) of samples whose first `prompt` places are filled."""
    _wait(model)
    start = clock()
    calls = scheme.run(model, options, steps, numbers, (1,) * prompt)
    _wait(model)
    return calls, clock() - start


def _wait(model: Denoiser) -> None:
    if torch.device(device_of(model)).type == "cuda":
        torch.cuda.synchronize()
