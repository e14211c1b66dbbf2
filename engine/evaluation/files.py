"""Files that survive being killed: lines that are whole or absent, files that are old or new, one writer at a time."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from engine.locks import BusyError as BusyError
from engine.locks import taken as taken

CHECKPOINT = (".safetensors", ".bin", ".ckpt", ".pt", ".gguf", ".json", ".model")
"""Files that decide what a model says."""
EDGE = 1 << 20
"""Bytes at either end of a file that its fingerprint reads."""

Line = TypeVar("Line")


def writable(home: Path) -> None:
    """Make the directory, and find out whether files can be written in it.  Raises ValueError."""
    probe = home / f".{os.getpid()}.part"
    try:
        home.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"\0")
        probe.unlink()
    except OSError as error:
        raise ValueError(f"{home} cannot be written in: {error.strerror}; choose another --out") from error


def fingerprint(home: Path) -> str:
    """Of a checkpoint: of its files' names, sizes and both ends, which training changes; 16 hexadecimal digits."""
    found = hashlib.sha256()
    inside = [path for path in home.rglob("*") if path.suffix in CHECKPOINT] if home.is_dir() else [home]
    for path in sorted(path for path in inside if path.is_file()):
        size = path.stat().st_size
        name = path.relative_to(home).as_posix() if home.is_dir() else path.name
        found.update(f"{name} {size}\n".encode())
        with path.open("rb") as file:
            found.update(file.read(EDGE))
            file.seek(max(0, size - EDGE))
            found.update(file.read(EDGE))
    return found.hexdigest()[:16]


class Appended(Generic[Line]):
    """A file of JSON lines that is added to.  A line is whole or, after a crash, absent."""

    def __init__(self, path: Path) -> None:
        repair(path)
        self.path = path
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def add(self, lines: Iterable[Line]) -> None:
        """All of them or, where the disk is full, none: OSError."""
        data = b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
        end = os.lseek(self._file, 0, os.SEEK_END)
        try:
            written = 0
            while written < len(data):
                written += os.write(self._file, data[written:])
            os.fsync(self._file)
        except OSError as error:
            os.ftruncate(self._file, end)
            raise OSError(error.errno, error.strerror, str(self.path)) from error

    def close(self) -> None:
        os.close(self._file)


def repair(path: Path) -> None:
    """Cut off a last line that has no end."""
    if not path.exists():
        return
    with path.open("r+b") as file:
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


def lines(path: Path, kind: type[Line]) -> Iterator[Line]:
    """Of a file of JSON lines; none where there is no file, and without a last line that has no end."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            try:
                yield msgspec.json.decode(line, type=kind)
            except msgspec.DecodeError as error:
                raise ValueError(
                    f"{path}, line {number} is no line of ours: {error}; take it out, or another --out"
                ) from error


def replace(path: Path, data: bytes) -> None:
    """The whole file at once: a reader sees the old one or the new one."""
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        part.unlink(missing_ok=True)
        raise
    os.replace(part, path)
