"""The scores of a data set's rows, one line each, in a file that a killed run resumes from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import msgspec

from engine.files.atomic import named_errors, replace, tidy
from engine.files.checksums import CHECKSUM, replace_checked
from engine.files.json_lines import decode_line, encode_line
from engine.files.jsonl import DAMAGED
from engine.files.locks import acquire
from engine.files.regular import regular_file
from engine.system.callbacks import ignore

SCORES, SETTINGS, RESULT = "scores.jsonl", "perplexity.settings.json", "perplexity.json"


class RowScore(msgspec.Struct, frozen=True, omit_defaults=True):
    """One row under one set of conventions, or under a rule."""

    conventions: str
    row: int
    nats: float
    """a token"""
    tokens: int
    """scored"""
    calls: int = 0
    """of the network; 0 where the conventions say how many"""


class Scores:
    """The scores so far, in the order of scoring, and the file that further ones are appended to."""

    def __init__(self, known: Sequence[RowScore] = (), file: IO[bytes] | None = None) -> None:
        self.known, self._file = list(known), file

    def of(self, conventions: str) -> list[RowScore]:
        return [score for score in self.known if score.conventions == conventions]

    def add(self, scores: Sequence[RowScore]) -> None:
        """Append scores.  Raises OSError that names the file if the disk is full."""
        self.known += scores
        if self._file is None:
            return
        with named_errors(Path(self._file.name)):
            self._file.write(b"".join(map(encode_line, scores)))
            self._file.flush()


@contextmanager
def open_scores(
    home: Path,
    settings: Mapping[str, Any],
    totals: Mapping[str, int],
    batch: int,
    notice: Callable[[str], None] = ignore,
) -> Iterator[Scores]:
    """Yield the directory's scores, in whole batches, with the file open to append more.

    totals: rows by conventions.  An unterminated last line is dropped with the rest of its batch, so that further
    scores do not depend on where a run was killed.  A damaged line is dropped with all that follow it, and `notice` is
    called with a sentence.  Raises ValueError if another run holds the directory, or if settings differ, naming them.
    """
    with regular_file(home / SCORES).open("ab+") as file:
        lock = acquire(home)
        try:
            tidy(home, (SETTINGS, RESULT, RESULT + CHECKSUM))
            _check_settings(home, settings)
            file.seek(0)
            known, size = _read(file, home / SCORES, totals, batch, notice)
            file.truncate(size)
            yield Scores(known, file)
        finally:
            lock.release()


def save(home: Path, result: msgspec.Struct) -> None:
    """Write perplexity.json atomically, with its checksum."""
    replace_checked(home / RESULT, msgspec.json.format(msgspec.json.encode(result), indent=2) + b"\n")


def _check_settings(home: Path, settings: Mapping[str, Any]) -> None:
    """Raise ValueError unless the directory has these settings, or no scores yet."""
    path, empty = home / SETTINGS, (home / SCORES).stat().st_size == 0
    if not path.exists() or empty:
        if not empty:
            raise ValueError(f"{home / SCORES} has no {SETTINGS}: choose another --out")
        replace(path, msgspec.json.format(msgspec.json.encode(settings), indent=2) + b"\n")
        return
    try:
        before = msgspec.json.decode(regular_file(path).read_bytes(), type=dict[str, Any])
    except DAMAGED as error:
        raise ValueError(f"{path} is damaged ({error}): choose another --out") from error
    now = msgspec.json.decode(msgspec.json.encode(settings), type=dict[str, Any])
    changed = [
        f"{name} was {_shown(before.get(name))} and is {_shown(now.get(name))}"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]
    if changed:
        raise ValueError(f"{home} holds scores of other settings: {'; '.join(changed)}; choose another --out")


def _shown(value: object) -> str:
    return "not there" if value is None else msgspec.json.encode(value).decode()


def _read(
    file: IO[bytes], path: Path, totals: Mapping[str, int], batch: int, notice: Callable[[str], None]
) -> tuple[list[RowScore], int]:
    """Return the scores of whole batches before the first damaged line, and the bytes that they take."""
    lines = file.readlines()
    known: list[RowScore] = []
    done = dict.fromkeys(totals, 0)
    for number, line in enumerate(lines, 1):
        if not line.endswith(b"\n"):
            break
        fault = None
        try:
            score = decode_line(line, RowScore)
        except DAMAGED as error:
            fault = f"is damaged ({error})"
        else:
            if score.row != done.get(score.conventions) or score.row >= totals[score.conventions]:
                fault = "is out of place"
        if fault is not None:
            notice(f"{path}, line {number} {fault}: it is left out, and the rows from there on are scored again")
            break
        done[score.conventions] += 1
        known.append(score)
    if known and done[known[-1].conventions] < totals[known[-1].conventions]:
        known = known[: len(known) - done[known[-1].conventions] % batch]
    return known, sum(map(len, lines[: len(known)]))
