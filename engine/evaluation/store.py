"""The directory of an evaluation: its settings, its samples, and the final files that are made of them.

Every process appends to files of its own, so that none waits for another; a killed process leaves at most an
unterminated last line, which is removed.  Once all samples are there, their lines are written in order.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Set
from pathlib import Path
from typing import Any

import msgspec

from engine.evaluation.features_file import FEATURES, forget_features, read_features
from engine.evaluation.plan import EvalPlan, change_lines, plan_differences
from engine.evaluation.results import FORMAT, RESULTS, SAMPLES, Results, SampleLine, check_has_samples, read_results
from engine.evaluation.settings_file import (
    SETTINGS,
    SETTINGS_FORMAT,
    json_format,
    read_plan,
    with_new_identities,
    write_plan,
)
from engine.evaluation.shards import Shards
from engine.files.atomic import replace, tidy, writable
from engine.files.checksums import CHECKSUM, checksum, replace_checked
from engine.files.json_lines import encode_line
from engine.files.jsonl import DAMAGED, count, describe_unused_line, lines, repair
from engine.files.locks import acquire
from engine.system.callbacks import ignore

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
ROOM = 1 << 20
"""Bytes that must be free before the evaluation begins, in addition to the size of the samples."""


def _no_fault(line: SampleLine) -> None:
    """Find no fault."""


def _is_later(path: Path) -> bool:
    """Return whether results are of a later format."""
    try:
        return json_format(path) > FORMAT
    except (*DAMAGED, OSError):
        return False


class EvalStore:
    """The files of one evaluation."""

    def __init__(self, home: Path) -> None:
        self.home, self.shards = home, Shards(home)
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
        if was is not None and not self.has_whole_digests:
            if not rescore:
                raise ValueError(
                    f"{self.home} was started by an earlier version, which did not read the whole model and tokenizer, "
                    "so it cannot be checked that they are the same: choose another --out, or --rescore to keep "
                    "its samples as they are"
                )
            was = with_new_identities(was, plan)
            if not plan_differences(was, plan):
                self._forget_scores(notice)
                write_plan(self.home, plan)
        if was is None:
            if any(self.home.glob("samples*.jsonl")):
                raise ValueError(f"{self.home} holds samples of unknown settings: choose another --out")
            write_plan(self.home, plan)
            return
        changed = plan_differences(was, plan)
        scoring = [change for change in changed if change[0].startswith("scoring.")]
        more = [change for change in changed if change[0] == "sampling.count" and change[2] > change[1]]
        if changed and len(changed) == len(more) + (len(scoring) if rescore else 0):
            self._forget_scores(notice)
            write_plan(self.home, plan)
        elif changed:
            same_samples = len(changed) == len(more) + len(scoring)
            hint = "; --rescore keeps its samples and computes the figures again" if same_samples else ""
            raise ValueError(
                f"{self.home} holds an evaluation of other settings: choose another --out, or the old ones{hint}\n"
                + change_lines(changed)
            )
        elif was != plan:
            write_plan(self.home, plan)

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
            if _is_later(path):
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
        self.shards.forget_scores()
        # a finished evaluation has none
        self.shards.forget_failures()
        return True

    def _features_can_be(self, found: Results) -> bool:
        """Return whether the kept features, if there are any, are as many as the samples that MAUVE compared."""
        mauve = found.metrics[found.primary].mauve if found.primary in found.metrics else None
        if mauve is None or not (self.home / FEATURES).exists():
            return True
        points = read_features(self.home)
        return points is not None and len(points) == mauve.samples

    @property
    def has_whole_digests(self) -> bool:
        """Return whether fingerprints are of whole files, unlike those of the first format."""
        return json_format(self.home / SETTINGS) >= SETTINGS_FORMAT

    def plan(self) -> EvalPlan | None:
        """Return the plan in settings.json; None for a new directory.  Raises ValueError if it is damaged or later."""
        check_has_samples(self.home)
        return read_plan(self.home, EvalPlan)

    def _forget_scores(self, notice: Callable[[str], None]) -> None:
        (self.home / RESULTS).unlink(missing_ok=True)
        checksum(self.home / RESULTS).unlink(missing_ok=True)
        forget_features(self.home)
        self.shards.forget_scores()
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

    def forget_scores_without(self, missing: Set[int]) -> None:
        """Remove the scores and features that would be wrong once the missing samples are drawn."""
        if missing:
            forget_features(self.home)
        if missing & self.shards.scores().keys():
            self.shards.forget_scores()

    def write_results(self, results: Any) -> None:
        replace_checked(self.home / RESULTS, msgspec.json.format(msgspec.json.encode(results), indent=2) + b"\n")
