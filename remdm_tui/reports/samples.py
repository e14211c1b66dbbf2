"""The first samples of an evaluation, each with its own figures and the command that replays it."""

from __future__ import annotations

import heapq
import math
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from engine.evaluation.results import SAMPLES, Judged
from engine.files.json_lines import decode_line
from engine.files.jsonl import DAMAGED
from engine.files.regular import regular_file
from remdm_tui.reports.records import Evaluation


class SampleFields(msgspec.Struct, frozen=True):
    """The fields of a line of samples.jsonl that a report shows; the ids are skipped."""

    number: int
    seed: int
    text: str
    network_calls: int
    entropy: float
    repetition: float
    judged: dict[str, Judged] | None = None


@dataclass(frozen=True)
class ReportSample:
    """A sample with its own figures."""

    number: int
    seed: int
    text: str
    network_calls: int
    entropy: float
    repetition: float
    gen_ppl: float | None
    """None where the judge could score no token"""
    counted: bool
    """false where the conventions leave the text out of the setting's gen PPL"""
    command: str


def first_samples(one: Evaluation, count: int) -> list[ReportSample]:
    """Return the samples with the lowest numbers, which makes the choice blind. Raises ValueError for a bad file."""
    return [_sample(one, line) for line in _lowest(one.home / SAMPLES, count)] if count > 0 else []


def _lowest(path: Path, count: int) -> list[SampleFields]:
    """Return the lines with the lowest numbers, in order; stop reading as soon as no lower number can come."""
    lowest: list[tuple[int, SampleFields]] = []
    for line in _lines(path):
        if len(lowest) < count:
            heapq.heappush(lowest, (-line.number, line))
        elif line.number < -lowest[0][0]:
            heapq.heapreplace(lowest, (-line.number, line))
        if len(lowest) == count and -lowest[0][0] == count - 1:
            break
    return [line for _, line in sorted(lowest, key=lambda pair: -pair[0])]


def _lines(path: Path) -> Iterator[SampleFields]:
    seen: set[int] = set()
    try:
        with regular_file(path).open("rb") as file:
            for number, row in enumerate(file, 1):
                line = decode_line(row, SampleFields)
                if line.number in seen:
                    raise ValueError(f"{path}, line {number}: sample {line.number} appears twice")
                seen.add(line.number)
                yield line
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    except DAMAGED as error:
        raise ValueError(f"{path}, line {number}: {error}") from error


def _sample(one: Evaluation, line: SampleFields) -> ReportSample:
    judged = (line.judged or {}).get(one.terms.conventions)
    nats = judged.nats / judged.tokens if judged and judged.tokens > 0 else None
    return ReportSample(
        line.number, line.seed, line.text, line.network_calls, line.entropy, line.repetition,
        gen_ppl=None if nats is None else math.exp(min(nats, 700.0)),
        counted=judged is not None and judged.kept,
        command=f"remdm-tui watch --from {shlex.quote(str(one.home))} --sample {line.number}",
    )  # fmt: skip
