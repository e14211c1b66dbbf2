"""The directory of an evaluation: what each of its processes writes, and what becomes of it.

Every process appends to files of its own, so that none waits for another; what a killed one left unfinished is a
last line without an end, which is cut off.  When all is there the lines are put in order.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from engine.evaluation.files import lines, repair, replace, taken, writable
from engine.evaluation.plan import Plan, differences, told
from engine.evaluation.results import FORMAT, RESULTS, SAMPLES, Failed, Judged, SampleLine, read_results

SETTINGS, FEATURES = "settings.json", "features.npy"
ROOM = 1 << 20
"""Bytes that must be free before anything begins, beside what the samples will take."""


class Scored(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the judge and the featurizer say of one sample."""

    number: int
    judged: dict[str, Judged] | None = None
    """by name of conventions"""
    features: bytes | None = None
    """float32, little-endian; None for a text without a token"""


class Spent(msgspec.Struct, frozen=True):
    """Work that one process has done since it was started; its last line counts."""

    start: str
    rank: int
    samples: int
    sampling_seconds: float
    scoring_seconds: float
    device: str
    notes: tuple[str, ...] = ()


class _Kept(msgspec.Struct, frozen=True):
    """settings.json."""

    format: int
    plan: Plan


class Store:
    """The files of one evaluation."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._lock: Any = None

    # -- before anything begins

    def settle(self, plan: Plan, rescore: bool = False) -> None:
        """See that the directory, which this process has, is the plan's and has room for it.

        More samples than it was begun with are drawn beside those that are there, which a sample's number decides.
        rescore: what decides the figures may have changed; they are computed anew.  Raises ValueError where the
        directory holds another evaluation, OSError where its disk is full.
        """
        self._check_room(plan)
        was = self.plan()
        if was is None:
            if any(self.home.glob("samples*.jsonl")):
                raise ValueError(f"{self.home} holds samples of unknown settings: choose another --out")
            self._keep(plan)
            return
        changed = differences(was, plan)
        scoring = [change for change in changed if change[0].startswith("scoring.")]
        more = [change for change in changed if change[0] == "sampling.count" and change[2] > change[1]]
        if changed and len(changed) == len(more) + (len(scoring) if rescore else 0):
            self._forget_scores()
            self._keep(plan)
        elif changed:
            same_samples = len(changed) == len(more) + len(scoring)
            hint = "; --rescore keeps its samples and computes the figures anew" if same_samples else ""
            raise ValueError(
                f"{self.home} holds an evaluation of other settings: choose another --out, or the old ones{hint}\n"
                + told(changed)
            )

    def take(self) -> None:
        """Make the directory and keep every other process out of it.

        Raises BusyError where there is one, ValueError where the directory cannot be written.
        """
        writable(self.home)
        self._lock = taken(self.home)

    def _check_room(self, plan: Plan) -> None:
        """A sample takes some ten bytes a token, twice while the lines are put in order."""
        import shutil

        free = shutil.disk_usage(self.home).free
        need = ROOM + 20 * plan.sampling.count * plan.sampling.tokens
        if free < need:
            raise OSError(
                errno.ENOSPC,
                f"{free / 1e6:,.0f} MB are free and the samples may take {need / 1e6:,.0f}",
                str(self.home),
            )

    def close(self) -> None:
        if self._lock is not None:
            self._lock.release()

    def is_finished(self, plan: Plan) -> bool:
        """Whether there is nothing left to do; samples that were given up are."""
        if not (self.home / RESULTS).exists():
            return False
        found = read_results(self.home)
        return not found.failed and found.samples == plan.sampling.count

    def plan(self) -> Plan | None:
        """That the directory was begun with; None for a new one."""
        path = self.home / SETTINGS
        if not path.exists():
            return None
        try:
            kept = msgspec.json.decode(path.read_bytes(), type=_Kept)
        except msgspec.DecodeError as error:
            raise ValueError(f"{path} is no file of settings: {error}") from error
        if kept.format > FORMAT:
            raise ValueError(f"{path} has format {kept.format}, and this version reads {FORMAT} at most")
        return kept.plan

    def _keep(self, plan: Plan) -> None:
        data = msgspec.json.format(msgspec.json.encode(_Kept(FORMAT, plan)), indent=2)
        replace(self.home / SETTINGS, data + b"\n")

    def _forget_scores(self) -> None:
        (self.home / RESULTS).unlink(missing_ok=True)
        (self.home / FEATURES).unlink(missing_ok=True)
        for path in self.home.glob("scores.rank*.jsonl"):
            path.unlink()
        self.write_samples(msgspec.structs.replace(line, judged=None) for line in self.samples().values())

    # -- samples

    def shard(self, rank: int, world: int) -> Path:
        """Where a process appends its samples."""
        return self.home / (SAMPLES if world == 1 else f"samples.rank{rank}.jsonl")

    def samples(self) -> dict[int, SampleLine]:
        """All that any process has finished, by number."""
        found: dict[int, SampleLine] = {}
        for path in (*self._shards(), self.home / SAMPLES):
            for line in lines(path, SampleLine):
                found[line.number] = line
        return dict(sorted(found.items()))

    def _shards(self) -> list[Path]:
        return sorted(self.home.glob("samples.rank*.jsonl"))

    def gather(self) -> None:
        """Put what several processes have written into one file, and repair what a killed one left."""
        repair(self.home / SAMPLES)
        shards = self._shards()
        if shards:
            for path in shards:
                repair(path)
            self.write_samples(self.samples().values())
            for path in shards:
                path.unlink()

    def write_samples(self, found: Iterable[SampleLine]) -> None:
        """All of them, in this order, in place of those that are there."""
        replace(self.home / SAMPLES, b"".join(msgspec.json.encode(line) + b"\n" for line in found))

    # -- scores, failures, time

    def score_shard(self, rank: int) -> Path:
        return self.home / f"scores.rank{rank}.jsonl"

    def scores(self) -> dict[int, Scored]:
        return {
            line.number: line for path in sorted(self.home.glob("scores.rank*.jsonl")) for line in lines(path, Scored)
        }

    def forget_score_shards(self) -> None:
        for path in self.home.glob("scores.rank*.jsonl"):
            path.unlink()

    def failure_shard(self, rank: int) -> Path:
        return self.home / f"failed.rank{rank}.jsonl"

    def failures(self) -> list[Failed]:
        found = {f.number: f for path in self.home.glob("failed.rank*.jsonl") for f in lines(path, Failed)}
        return [found[number] for number in sorted(found)]

    def forget_failures(self) -> None:
        for path in self.home.glob("failed.rank*.jsonl"):
            path.unlink()

    def time_shard(self, rank: int) -> Path:
        return self.home / f"time.rank{rank}.jsonl"

    def spent(self) -> list[Spent]:
        """Of every process of every start, what it said last."""
        found: dict[tuple[str, int], Spent] = {}
        for path in sorted(self.home.glob("time.rank*.jsonl")):
            for line in lines(path, Spent):
                found[line.start, line.rank] = line
        return list(found.values())

    def write_results(self, results: Any) -> None:
        replace(self.home / RESULTS, msgspec.json.format(msgspec.json.encode(results), indent=2) + b"\n")
