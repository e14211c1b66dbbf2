"""The rows of a data set as they are scored, one line each in a file that a killed run is continued from."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import msgspec

SCORES, SETTINGS, RESULT = "scores.jsonl", "perplexity.settings.json", "perplexity.json"
CHECKPOINT = (".safetensors", ".bin", ".ckpt", ".pt", ".gguf", ".json")
"""Files that decide what a model says."""
EDGE = 1 << 20
"""Bytes at either end of a file that its fingerprint reads."""


class Score(msgspec.Struct, frozen=True):
    """One row under one set of conventions."""

    conventions: str
    row: int
    nats: float
    """a token"""
    tokens: int
    """scored"""


class Scores:
    """What is known, in the order in which it was found, and where more of it goes."""

    def __init__(self, known: Sequence[Score] = (), file: IO[bytes] | None = None) -> None:
        self.known, self._file = list(known), file

    def of(self, conventions: str) -> list[Score]:
        return [score for score in self.known if score.conventions == conventions]

    def add(self, scores: Sequence[Score]) -> None:
        """Raises OSError that names the file where the disk is full."""
        self.known += scores
        if self._file is None:
            return
        try:
            self._file.write(b"".join(msgspec.json.encode(score) + b"\n" for score in scores))
            self._file.flush()
        except OSError as error:
            raise OSError(error.errno, error.strerror, self._file.name) from error


def writable(home: Path) -> None:
    """Make the directory, and find out whether files can be written in it.  Raises ValueError."""
    probe = home / f".{os.getpid()}.part"
    try:
        home.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise ValueError(f"{home} cannot be written in: {error.strerror}; choose another --out") from error


@contextmanager
def continued(home: Path, settings: Mapping[str, Any], totals: Mapping[str, int], batch: int) -> Iterator[Scores]:
    """The directory's scores, whole batches of them, with the file open for more.

    totals: rows by conventions.  A last line that a crash cut off goes, and so does the rest of its batch, so that what
    is added does not depend on where a run was killed.  Raises ValueError where another run is at work, where the
    settings were others, with what differs, or where the file is none of scores.
    """
    with (home / SCORES).open("ab+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(f"another run is at work in {home}: wait for it, or choose another --out") from error
        _agree(home, settings)
        file.seek(0)
        known, size = _read(file, home / SCORES, totals, batch)
        file.truncate(size)
        yield Scores(known, file)


def save(home: Path, result: msgspec.Struct) -> None:
    """The result beside its scores, whole or not at all."""
    _write(home / RESULT, msgspec.json.format(msgspec.json.encode(result), indent=2) + b"\n")


def fingerprint(home: Path) -> str:
    """Of a checkpoint: of its files' names, sizes and both ends, which training changes."""
    found = hashlib.sha256()
    inside = [p for p in home.iterdir() if p.suffix in CHECKPOINT] if home.is_dir() else [home]
    for path in sorted(p for p in inside if p.is_file()):
        size = path.stat().st_size
        found.update(f"{path.name} {size}\n".encode())
        with path.open("rb") as file:
            found.update(file.read(EDGE))
            file.seek(max(0, size - EDGE))
            found.update(file.read(EDGE))
    return found.hexdigest()[:16]


def _agree(home: Path, settings: Mapping[str, Any]) -> None:
    """Raises ValueError unless the directory's settings are these, or it has no scores yet."""
    path, empty = home / SETTINGS, (home / SCORES).stat().st_size == 0
    if not path.exists() or empty:
        if not empty:
            raise ValueError(f"{home / SCORES} has no {SETTINGS} beside it: choose another --out")
        _write(path, msgspec.json.format(msgspec.json.encode(settings), indent=2) + b"\n")
        return
    try:
        before = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except msgspec.DecodeError as error:
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


def _read(file: IO[bytes], path: Path, totals: Mapping[str, int], batch: int) -> tuple[list[Score], int]:
    """(scores of whole batches, the bytes that they take)"""
    lines = file.read().splitlines(keepends=True)
    known: list[Score] = []
    done = dict.fromkeys(totals, 0)
    for number, line in enumerate(lines, 1):
        if not line.endswith(b"\n"):
            break
        try:
            score = msgspec.json.decode(line, type=Score)
        except msgspec.DecodeError as error:
            raise ValueError(f"{path}, line {number} is damaged ({error}): choose another --out") from error
        if score.row != done.get(score.conventions) or score.row >= totals[score.conventions]:
            raise ValueError(f"{path}, line {number} is out of place: choose another --out")
        done[score.conventions] += 1
        known.append(score)
    if known and done[known[-1].conventions] < totals[known[-1].conventions]:
        known = known[: len(known) - done[known[-1].conventions] % batch]
    return known, sum(map(len, lines[: len(known)]))


def _write(path: Path, data: bytes) -> None:
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    os.replace(part, path)
