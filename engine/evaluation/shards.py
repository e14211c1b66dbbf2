"""The files that each process of an evaluation appends to: its scores, its failures and the time that it has spent."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from engine.evaluation.results import FailedSample, Judged, Timing
from engine.files.jsonl import Appended, count, lines, sift
from engine.system.callbacks import ignore


class Scored(msgspec.Struct, frozen=True, omit_defaults=True):
    """The scores of one sample by the judge and the featurizer."""

    number: int
    judged: dict[str, Judged] | None = None
    """by name of conventions"""
    features: bytes | None = None
    """float32, little-endian; None for a text without a token"""


class Spent(msgspec.Struct, frozen=True):
    """The work of one process since it was started; its last line counts."""

    start: str
    rank: int
    samples: int
    sampling_seconds: float
    scoring_seconds: float
    device: str
    notes: tuple[str, ...] = ()


def _impossible(spent: Spent) -> str | None:
    """Return in words why no process can have spent this; None where one can."""
    seconds = (spent.sampling_seconds, spent.scoring_seconds)
    possible = spent.samples >= 0 and all(math.isfinite(value) and value >= 0 for value in seconds)
    return None if possible else "no process can have spent such a time"


def timing(spent: Sequence[Spent], samples: int, tokens: float) -> Timing:
    """Return the time spent, with rates of one process: what a device does, however many there were.

    samples: how many were drawn, where the records tell of none.  tokens: of one sample.
    """
    sampling, scoring = (sum(getattr(each, name) for each in spent) for name in ("sampling_seconds", "scoring_seconds"))
    drawn = sum(each.samples for each in spent) or samples
    return Timing(
        sampling_seconds=sampling,
        seconds_per_sequence=sampling / drawn,
        tokens_per_second=drawn * tokens / sampling if sampling else 0.0,
        scoring_seconds=scoring,
        starts=len({each.start for each in spent}),
        processes=len({each.rank for each in spent}),
        device=", ".join(sorted({each.device for each in spent})),
    )


class Shards:
    """The files of all processes in one directory."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def score_shard(self, rank: int) -> Path:
        return self.home / f"scores.rank{rank}.jsonl"

    def scores(self) -> dict[int, Scored]:
        return {line.number: line for path in self._score_shards() for _, line in lines(path, Scored)}

    def sift_scores(self, fault: Callable[[Scored], str | None], notice: Callable[[str], None] = ignore) -> None:
        """Remove lines of scores that are damaged or at fault, and all lines of a number that differ."""
        found: dict[int, Scored] = {}
        torn: set[int] = set()
        for path in self._score_shards():
            for _, line in lines(path, Scored):
                if fault(line) is None and found.setdefault(line.number, line) != line:
                    torn.add(line.number)

        def wrong(line: Scored) -> str | None:
            return (
                f"the scores of sample {line.number} are there twice and differ" if line.number in torn else fault(line)
            )

        for path in self._score_shards():
            sift(path, Scored, wrong, notice)

    @property
    def has_scores(self) -> bool:
        """Return whether any process has left scores that are not in samples.jsonl yet."""
        return any(map(count, self._score_shards()))

    def _score_shards(self) -> list[Path]:
        return sorted(self.home.glob("scores.rank*.jsonl"))

    def forget_scores(self) -> None:
        for path in self.home.glob("scores.rank*.jsonl"):
            path.unlink()

    def add_failure(self, rank: int, failed: FailedSample) -> None:
        """Append a failed sample to the file of a process."""
        file = Appended[FailedSample](self.home / f"failed.rank{rank}.jsonl")
        file.add([failed])
        file.close()

    def failures(self) -> list[FailedSample]:
        found = {f.number: f for path in self.home.glob("failed.rank*.jsonl") for _, f in lines(path, FailedSample)}
        return [found[number] for number in sorted(found)]

    def forget_failures(self) -> None:
        for path in self.home.glob("failed.rank*.jsonl"):
            path.unlink()

    def time_shard(self, rank: int) -> Path:
        return self.home / f"time.rank{rank}.jsonl"

    def sift_times(self, notice: Callable[[str], None] = ignore) -> None:
        """Remove damaged lines and impossible times from the time files of all processes."""
        for path in sorted(self.home.glob("time.rank*.jsonl")):
            sift(path, Spent, _impossible, notice)

    def spent(self) -> list[Spent]:
        """Return the latest `Spent` of each (start, rank)."""
        found: dict[tuple[str, int], Spent] = {}
        for path in sorted(self.home.glob("time.rank*.jsonl")):
            for _, line in lines(path, Spent):
                found[line.start, line.rank] = line
        return list(found.values())
