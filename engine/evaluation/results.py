"""The files that an evaluation writes: the lines of samples.jsonl and the object of results.json."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from engine.files.checksums import checksum, mismatch
from engine.files.json_lines import decode_line
from engine.files.jsonl import DAMAGED
from engine.files.regular import regular_file
from engine.metrics.bootstrap import Interval

SAMPLES, RESULTS = "samples.jsonl", "results.json"
ITEMS = "items.jsonl"
"""In place of samples, the answers of an evaluation on tasks."""
FORMAT = 1
"""Of both files; a file of a later one is refused."""


class Unpadded(msgspec.Struct, frozen=True):
    """The judge's figures of one text without padding, which depends on all other texts."""

    nats: float
    """sum over the counted tokens of the text"""
    tokens: int
    """counted"""
    length: int
    """tokens that the judge read"""
    end: float | None
    """nats of one end token behind them; None where it would not count"""


class Judged(msgspec.Struct, frozen=True):
    """The judge's figures of one text under one set of conventions."""

    nats: float
    """sum over the counted tokens, padding included"""
    tokens: int
    """counted; 0 where none can be scored"""
    kept: bool = True
    """false where the conventions leave the text out"""
    cut: bool = False
    """whether the judge read less than the whole text"""
    unpadded: Unpadded | None = None
    """where padding may count"""


def is_complete(judged: Mapping[str, Judged], conventions: Collection[str]) -> bool:
    """Return whether a judge's figures are finite and there for exactly these conventions."""
    are_possible = all(math.isfinite(one.nats) and one.tokens >= 0 for one in judged.values())
    return are_possible and judged.keys() == set(conventions)


class SampleLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """One sample; `judged` is set once the judge has scored it."""

    number: int
    seed: int
    text: str
    ids: tuple[int, ...]
    """the whole canvas: prompt, special tokens, an end token and what follows it; no mask"""
    network_calls: int
    entropy: float
    """of its own tokens, nats"""
    repetition: float
    """share of 4-grams that occurred before in it"""
    judged: dict[str, Judged] | None = None
    """by name of conventions"""


class Figure(msgspec.Struct, frozen=True):
    """A figure with the bounds of its interval, which are None for a single sample."""

    value: float
    low: float | None = None
    high: float | None = None
    level: float = 0.95


def figure(found: Interval) -> Figure:
    """Return a figure of its bootstrap interval."""
    return Figure(found.value, found.low, found.high, found.level)


class GenPPL(msgspec.Struct, frozen=True):
    """Generative perplexity."""

    perplexity: Figure
    judge: str
    tokens: int
    texts: int
    left_out: int
    cut: int
    limit: int
    """tokens of a text that the judge reads at most"""


class MauveResult(msgspec.Struct, frozen=True):
    """MAUVE, and its spread over k-means seeds."""

    value: float
    deviation: float | None
    by_seed: dict[str, float]
    featurizer: str
    samples: int
    """those that have a token"""
    references: int
    """those that have a token"""
    empty: int
    """samples and references that have none"""
    buckets: int
    warning: str | None = None


class Calls(msgspec.Struct, frozen=True):
    """Network calls, one for each sequence in a batch."""

    total: int
    per_sample: Figure
    every_step: int
    """the number of calls of one sample with one call a step"""
    saved: float
    """the share of those calls that was not needed"""


class Timing(msgspec.Struct, frozen=True):
    """Wall-clock time, summed over all starts; the only part that differs from run to run."""

    sampling_seconds: float
    seconds_per_sequence: float
    tokens_per_second: float
    scoring_seconds: float
    starts: int
    processes: int
    device: str


class FailedSample(msgspec.Struct, frozen=True):
    """A sample that could not be finished: the network gave NaN."""

    number: int
    step: int
    position: int


class Metrics(msgspec.Struct, frozen=True):
    """The figures under one set of conventions; None where one was not requested."""

    gen_ppl: GenPPL | None
    mauve: MauveResult | None


class Results(msgspec.Struct, frozen=True):
    """results.json.  The plain numbers at the top are those of the `primary` conventions."""

    format: int
    version: str
    """of remdm-tui"""
    settings: dict[str, Any]
    """every one; its keys are those of settings.json"""
    primary: str
    gen_ppl: float | None
    entropy: float
    mauve: float | None
    network_calls: float
    """per sample"""
    seconds: float
    """of sampling and scoring"""
    samples: int
    failed: tuple[FailedSample, ...]
    entropy_interval: Figure
    distinct: dict[str, float | None]
    """by n: different n-grams over n-grams, all samples together"""
    repetition: dict[str, float | None]
    """by n: share of n-grams that occurred before in their sample, averaged"""
    calls: Calls
    metrics: dict[str, Metrics]
    """by name of conventions"""
    conventions: dict[str, tuple[str, ...]]
    """every decision of each of them, a sentence each"""
    timing: Timing
    notes: tuple[str, ...] = ()
    measured: dict[str, Figure] = {}
    """by name, what METRICS has besides the figures above"""


def check_has_samples(home: Path) -> None:
    """Raise ValueError for the directory of an evaluation on tasks, which has answers in place of samples."""
    if (home / ITEMS).exists():
        raise ValueError(
            f"{home} holds answers to tasks, not samples: `remdm-tui report` lists the answers, and "
            "`remdm-tui watch --from DIR --item KEY` replays one"
        )


def read_results(home: Path) -> Results:
    """Read results.json of a directory.  Raises ValueError if it is missing, damaged or of a later format.

    It is compared with its checksum, if there is one: earlier versions wrote none.
    """
    check_has_samples(home)
    return decoded(home / RESULTS, Results)


def read_samples(home: Path) -> list[SampleLine]:
    """Read samples.jsonl of a directory, in its order.  Raises ValueError if it is missing or damaged."""
    path = home / SAMPLES
    try:
        with regular_file(path).open("rb") as file:
            lines = file.readlines()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    found = []
    for number, line in enumerate(lines, 1):
        try:
            found.append(decode_line(line, SampleLine))
        except DAMAGED as error:
            raise ValueError(f"{path}, line {number}: {error}") from error
    return found


class HasFormat(Protocol):
    """The content of a file of results."""

    @property
    def format(self) -> int: ...


Found = TypeVar("Found", bound=HasFormat)


def decoded(path: Path, kind: type[Found]) -> Found:
    """Read a file of results, checked against its checksum if there is one.  Raises ValueError."""
    try:
        data = regular_file(path).read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}; `remdm-tui eval` writes it at its end") from error
    try:
        found = msgspec.json.decode(data, type=kind)
    except DAMAGED as error:
        raise ValueError(f"{path} is not the result of an evaluation: {error}") from error
    if found.format > FORMAT:
        raise ValueError(f"{path} has format {found.format}, and this version reads {FORMAT} at most")
    fault = mismatch(path)
    if fault:
        raise ValueError(f"{path} is damaged: it {fault}; delete {checksum(path).name} if you changed it yourself")
    return found
