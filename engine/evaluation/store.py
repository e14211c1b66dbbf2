"""The directory of an evaluation: the files of each process, and the final files that are made of them.

Every process appends to files of its own, so that none waits for another; a killed process leaves at most an
unterminated last line, which is removed.  Once all samples are there, their lines are written in order.
"""

from __future__ import annotations

import errno
import math
import zipfile
from collections.abc import Callable, Iterable, Set
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.evaluation.plan import EvalPlan, change_lines, plan_differences
from engine.evaluation.results import FORMAT, RESULTS, SAMPLES, FailedSample, Judged, Results, SampleLine, read_results
from engine.files.atomic import replace, tidy, writable
from engine.files.checksums import CHECKSUM, checksum, mismatch, replace_checked
from engine.files.json_lines import encode_line
from engine.files.jsonl import DAMAGED, count, describe_unused_line, lines, repair, sift
from engine.files.locks import acquire
from engine.files.regular import regular_file
from engine.system.callbacks import ignore

SETTINGS, FEATURES = "settings.json", "features.npy"
WRITTEN = (
    SETTINGS,
    SAMPLES,
    RESULTS,
    RESULTS + CHECKSUM,
    FEATURES,
    FEATURES + CHECKSUM,
    "scores.rank*.jsonl",
    "time.rank*.jsonl",
)
"""Files that are written as a whole, as patterns."""
SETTINGS_FORMAT = 2
"""Of settings.json; the first took fingerprints of the ends of files alone."""
ROOM = 1 << 20
"""Bytes that must be free before the evaluation begins, in addition to the size of the samples."""


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


class _SettingsFile(msgspec.Struct, frozen=True):
    """settings.json."""

    format: int
    plan: EvalPlan


class _Format(msgspec.Struct, frozen=True):
    """The format number of any of the JSON files."""

    format: int


def _with_new_identities(was: EvalPlan, now: EvalPlan) -> EvalPlan:
    """Return the plan of an earlier version with the identities of this one."""
    model = {
        name: getattr(now.model, name) for name in ("fingerprint", "tokenizer_fingerprint", "path", "tokenizer_path")
    }
    scoring = {name: getattr(now.scoring, name) for name in ("judge_fingerprint", "features_fingerprint")}
    return msgspec.structs.replace(
        was,
        model=msgspec.structs.replace(was.model, **model),
        sampling=msgspec.structs.replace(was.sampling, strategy_digest=now.sampling.strategy_digest),
        scoring=msgspec.structs.replace(was.scoring, **scoring),
    )


def _impossible(spent: Spent) -> str | None:
    """Return in words why no process can have spent this; None where one can."""
    seconds = (spent.sampling_seconds, spent.scoring_seconds)
    possible = spent.samples >= 0 and all(math.isfinite(value) and value >= 0 for value in seconds)
    return None if possible else "no process can have spent such a time"


def _no_fault(line: SampleLine) -> None:
    """Find no fault."""


class EvalStore:
    """The files of one evaluation."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._lock: Any = None
        self._named: set[str] = set()
        """sentences about ignored lines that were sent as notices, so that each is sent once"""

    # -- before anything begins

    def settle(self, plan: EvalPlan, rescore: bool = False, notice: Callable[[str], None] = ignore) -> None:
        """Check that the directory, which this process has locked, is of this plan and has room for it.

        A larger count keeps the samples that are there, as a sample's number decides it.  rescore: allow other scoring
        settings, and compute the figures again.  notice: called with a sentence for each damaged line, which is lost.
        Raises ValueError if the directory holds another evaluation, OSError if its disk is full.
        """
        self._check_room(plan)
        was = self.plan()
        if was is not None and self._format() < SETTINGS_FORMAT:
            if not rescore:
                raise ValueError(
                    f"{self.home} was begun by an earlier version, which did not read the whole model and tokenizer, "
                    "so it cannot be checked that they are the same: choose another --out, or --rescore to keep "
                    "its samples as they are"
                )
            was = _with_new_identities(was, plan)
            if not plan_differences(was, plan):
                self._forget_scores(notice)
                self._keep(plan)
        if was is None:
            if any(self.home.glob("samples*.jsonl")):
                raise ValueError(f"{self.home} holds samples of unknown settings: choose another --out")
            self._keep(plan)
            return
        changed = plan_differences(was, plan)
        scoring = [change for change in changed if change[0].startswith("scoring.")]
        more = [change for change in changed if change[0] == "sampling.count" and change[2] > change[1]]
        if changed and len(changed) == len(more) + (len(scoring) if rescore else 0):
            self._forget_scores(notice)
            self._keep(plan)
        elif changed:
            same_samples = len(changed) == len(more) + len(scoring)
            hint = "; --rescore keeps its samples and computes the figures again" if same_samples else ""
            raise ValueError(
                f"{self.home} holds an evaluation of other settings: choose another --out, or the old ones{hint}\n"
                + change_lines(changed)
            )
        elif was != plan:
            self._keep(plan)

    def take(self) -> None:
        """Create the directory and lock it.

        Raises BusyError if another process has locked it, ValueError if it cannot be written.
        """
        writable(self.home)
        self._lock = acquire(self.home)
        tidy(self.home, WRITTEN)

    def _check_room(self, plan: EvalPlan) -> None:
        """Raise OSError if the samples do not fit: ten bytes a token, twice while the lines are put in order."""
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

    def is_finished(
        self,
        plan: EvalPlan,
        fault: Callable[[SampleLine], str | None] = _no_fault,
        notice: Callable[[str], None] = ignore,
    ) -> bool:
        """Return whether the evaluation is finished; if so, remove the files that a killed process has left.

        Results and samples that this plan cannot have made do not count; `notice` is called with a sentence for each.
        """
        path = self.home / RESULTS
        if not path.exists():
            return False
        try:
            found = read_results(self.home)
        except ValueError as error:
            if self._is_later(path):
                raise
            notice(f"{error}: it is written again")
            return False
        if found.failed:
            return False
        samples = self.samples(fault, notice)
        try:
            same = not plan_differences(msgspec.convert(found.settings, EvalPlan), plan)
        except msgspec.ValidationError:
            same = False
        if found.samples != plan.sampling.count or not same:
            notice(f"{path} is of other settings than {SETTINGS}: it is written again")
            return False
        if list(samples) != list(range(plan.sampling.count)):
            return False
        if not self._features_can_be(found):
            notice(f"{self.home / FEATURES} is not of these samples: it is written again")
            return False
        self.gather(fault)
        self.forget_score_shards()
        # a finished evaluation has none
        self.forget_failures()
        return True

    def _features_can_be(self, found: Results) -> bool:
        """Return whether the kept features, where there are any, have as many rows as the results say."""
        mauve = found.metrics[found.primary].mauve if found.primary in found.metrics else None
        if mauve is None or not (self.home / FEATURES).exists():
            return True
        points = self.features()
        return points is not None and len(points) == found.samples - mauve.empty

    def features(self) -> NDArray[np.float32] | None:
        """Return the features of the samples, float32 [N, D]; None for a missing, damaged or foreign file."""
        try:
            if mismatch(self.home / FEATURES):
                return None
            points = np.load(self.home / FEATURES, allow_pickle=False)
        except (OSError, ValueError, EOFError, MemoryError, zipfile.BadZipFile):
            return None
        if not isinstance(points, np.ndarray) or points.ndim != 2 or points.dtype != np.float32:
            return None
        return points if np.isfinite(points).all() else None

    @staticmethod
    def _is_later(path: Path) -> bool:
        try:
            return msgspec.json.decode(regular_file(path).read_bytes(), type=_Format).format > FORMAT
        except (*DAMAGED, OSError):
            return False

    def _format(self) -> int:
        """Return the format of settings.json."""
        return msgspec.json.decode(regular_file(self.home / SETTINGS).read_bytes(), type=_Format).format

    @property
    def has_whole_digests(self) -> bool:
        """Return whether fingerprints are of whole files, unlike those of the first format."""
        return self._format() >= SETTINGS_FORMAT

    def plan(self) -> EvalPlan | None:
        """Return the plan in settings.json; None for a new directory.  Raises ValueError if it is damaged or later."""
        path = self.home / SETTINGS
        if not path.exists():
            return None
        try:
            kept = msgspec.json.decode(regular_file(path).read_bytes(), type=_SettingsFile)
        except DAMAGED as error:
            raise ValueError(f"{path} is no file of settings: {error}") from error
        if kept.format > SETTINGS_FORMAT:
            raise ValueError(f"{path} has format {kept.format}, and this version reads {SETTINGS_FORMAT} at most")
        return kept.plan

    def _keep(self, plan: EvalPlan) -> None:
        data = msgspec.json.format(msgspec.json.encode(_SettingsFile(SETTINGS_FORMAT, plan)), indent=2)
        replace(self.home / SETTINGS, data + b"\n")

    def _forget_scores(self, notice: Callable[[str], None]) -> None:
        (self.home / RESULTS).unlink(missing_ok=True)
        checksum(self.home / RESULTS).unlink(missing_ok=True)
        self._forget_features()
        for path in self.home.glob("scores.rank*.jsonl"):
            path.unlink()
        self.write_samples(msgspec.structs.replace(line, judged=None) for line in self.samples(notice=notice).values())

    # -- samples

    def shard(self, rank: int, world: int) -> Path:
        """Return the file to which a process appends its samples."""
        return self.home / (SAMPLES if world == 1 else f"samples.rank{rank}.jsonl")

    def samples(
        self, fault: Callable[[SampleLine], str | None] = _no_fault, notice: Callable[[str], None] = ignore
    ) -> dict[int, SampleLine]:
        """Return the finished samples of all processes, by number.

        fault: returns what is wrong with a line, None for nothing.  Lines at fault and all lines of a number that has
        different texts are ignored, and `notice` is called with a sentence for each.
        """
        notice = self._notice_once(notice)
        found: dict[int, SampleLine] = {}
        torn: set[int] = set()
        for path in (*self._shards(), self.home / SAMPLES):
            for place, line in lines(path, SampleLine, notice):
                wrong = fault(line)
                before = found.get(line.number)
                if wrong is None and before is not None and before.ids != line.ids:
                    wrong = f"sample {line.number} is there twice and differs"
                    torn.add(line.number)
                if wrong is not None:
                    notice(describe_unused_line(path, place, wrong))
                else:
                    found[line.number] = line
        return {number: line for number, line in sorted(found.items()) if number not in torn}

    def _notice_once(self, notice: Callable[[str], None]) -> Callable[[str], None]:
        if notice is ignore:
            return notice

        def once(sentence: str) -> None:
            if sentence not in self._named:
                self._named.add(sentence)
                notice(sentence)

        return once

    def _shards(self) -> list[Path]:
        return sorted(self.home.glob("samples.rank*.jsonl"))

    def gather(
        self, fault: Callable[[SampleLine], str | None] = _no_fault, notice: Callable[[str], None] = ignore
    ) -> None:
        """Write the samples of all processes into one file, and remove unterminated lines.

        Lines at fault are dropped, see `samples`.
        """
        repair(self.home / SAMPLES)
        shards = self._shards()
        for path in shards:
            repair(path)
        samples = self.samples(fault, notice)
        if shards or len(samples) != count(self.home / SAMPLES):
            self.write_samples(samples.values())
            for path in shards:
                path.unlink()

    def write_samples(self, found: Iterable[SampleLine]) -> None:
        """Replace samples.jsonl by these samples, in this order."""
        replace(self.home / SAMPLES, b"".join(map(encode_line, found)))

    # -- scores, failures, time

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

    def forget_score_shards(self) -> None:
        for path in self.home.glob("scores.rank*.jsonl"):
            path.unlink()

    def forget_scores_without(self, missing: Set[int]) -> None:
        """Remove the scores and features that would be wrong once the missing samples are drawn."""
        if missing:
            self._forget_features()
        if missing & self.scores().keys():
            self.forget_score_shards()

    def failure_shard(self, rank: int) -> Path:
        return self.home / f"failed.rank{rank}.jsonl"

    def failures(self) -> list[FailedSample]:
        found = {f.number: f for path in self.home.glob("failed.rank*.jsonl") for _, f in lines(path, FailedSample)}
        return [found[number] for number in sorted(found)]

    def _forget_features(self) -> None:
        (self.home / FEATURES).unlink(missing_ok=True)
        checksum(self.home / FEATURES).unlink(missing_ok=True)

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

    def write_results(self, results: Any) -> None:
        replace_checked(self.home / RESULTS, msgspec.json.format(msgspec.json.encode(results), indent=2) + b"\n")
