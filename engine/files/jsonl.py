"""Files of JSON lines: a line is whole or absent, whenever a process is killed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from engine.files.atomic import named_errors, replace
from engine.files.json_lines import decode_line, encode_line
from engine.files.regular import regular_file
from engine.system.callbacks import ignore

DAMAGED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes that are no JSON of the wanted kind."""

Line = TypeVar("Line")


class Appended(Generic[Line]):
    """A file of JSON lines that is added to.  A line is whole or, after a crash, absent."""

    def __init__(self, path: Path) -> None:
        repair(path)
        self.path = path
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def add(self, lines: Iterable[Line]) -> None:
        """Append all lines; if the disk is full, append none and raise OSError."""
        data = b"".join(map(encode_line, lines))
        end = os.lseek(self._file, 0, os.SEEK_END)
        with named_errors(self.path):
            try:
                written = 0
                while written < len(data):
                    written += os.write(self._file, data[written:])
                os.fsync(self._file)
            except OSError:
                os.ftruncate(self._file, end)
                raise

    def close(self) -> None:
        os.close(self._file)


def repair(path: Path) -> None:
    """Cut off a last line that has no end."""
    if not path.exists():
        return
    with regular_file(path).open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        end, step = size, 1 << 16
        while end > 0:
            begin = max(0, end - step)
            file.seek(begin)
            found = file.read(end - begin).rfind(b"\n")
            if found >= 0:
                end = begin + found + 1
                break
            end = begin
        if end < size:
            file.truncate(end)


def lines(path: Path, kind: type[Line], notice: Callable[[str], None] = ignore) -> Iterator[tuple[int, Line]]:
    """Yield the lines of a file of JSON lines with their places, counted from 1; nothing for a missing file.

    A last line that has no end is left out; so is a damaged one, which is named to `notice`.
    """
    if not path.exists():
        return
    with regular_file(path).open("rb") as file:
        for place, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            try:
                yield place, decode_line(line, kind)
            except DAMAGED as error:
                notice(describe_unused_line(path, place, f"it is damaged ({error})"))


def describe_unused_line(path: Path, place: int, fault: str) -> str:
    """Return the sentence about a line that is not used."""
    return f"{path}, line {place} is left out and made again where need be: {fault}"


def sift(
    path: Path, kind: type[Line], fault: Callable[[Line], str | None], notice: Callable[[str], None] = ignore
) -> None:
    """Take out of a file of JSON lines those that are damaged or in which `fault` finds a fault; name them."""
    repair(path)
    kept: list[Line] = []
    for place, line in lines(path, kind, notice):
        wrong = fault(line)
        if wrong is None:
            kept.append(line)
        else:
            notice(describe_unused_line(path, place, wrong))
    if len(kept) < count(path):
        replace(path, b"".join(map(encode_line, kept)))


def count(path: Path) -> int:
    """Return how many whole lines a file has; 0 if it does not exist."""
    if not path.exists():
        return 0
    with regular_file(path).open("rb") as file:
        return sum(line.endswith(b"\n") for line in file)
