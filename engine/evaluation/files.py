"""Files of an evaluation that survive being killed, line by line, and what the files of a model are known by."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from engine.files.digests import Told, file_digests
from engine.files.json_lines import decode_line, encode_line
from engine.files.regular import regular_file
from engine.files.run_layout import STEP
from engine.files.whole_files import naming, probe, replace
from engine.system.callbacks import ignore

CHECKPOINT = (
    ".safetensors", ".bin", ".ckpt", ".pt", ".pth", ".gguf", ".json", ".model", ".txt", ".jinja", ".tiktoken", ".py",
    ".yaml",
)  # fmt: skip
"""Files that decide what a model says."""
BESIDE = (
    "config.json",
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "chat_template*",
)
"""What is read from the directory of a checkpoint or tokenizer that is a single file."""
DAMAGED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes that are no JSON of the wanted kind."""

Line = TypeVar("Line")


def writable(home: Path) -> None:
    """Make the directory, and find out whether files can be written in it.  Raises ValueError."""
    try:
        probe(home)
    except OSError as error:
        raise ValueError(f"{home} cannot be written in: {error.strerror}; choose another --out") from error


def fingerprint(home: Path, told: Told = ignore) -> str:
    """Return the digest of a checkpoint or tokenizer: the names and whole contents of all files that decide what it
    says, those beside a single file among them; 64 hexadecimal digits.

    told: is given the bytes read so far and in all.  Raises OSError.
    """
    if home.is_dir():
        base, inside = home, [path for path in home.rglob("*") if path.suffix in CHECKPOINT and path.name != STEP]
        inside = [path for path in inside if not any(part[0] == "." for part in path.relative_to(home).parts)]
    else:
        base = home.parent
        inside = list({home, *(path for pattern in BESIDE for path in base.glob(pattern) if path.suffix in CHECKPOINT)})
    files = sorted(path for path in inside if path.is_file())
    found = hashlib.sha256()
    for path, digest in zip(files, file_digests(files, told), strict=True):
        name = path.relative_to(base).as_posix() if path != home else "the file"
        found.update(f"{name} {digest}\n".encode(errors="surrogateescape"))
    return found.hexdigest()


class Appended(Generic[Line]):
    """A file of JSON lines that is added to.  A line is whole or, after a crash, absent."""

    def __init__(self, path: Path) -> None:
        repair(path)
        self.path = path
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def add(self, lines: Iterable[Line]) -> None:
        """All of them or, where the disk is full, none: OSError."""
        data = b"".join(map(encode_line, lines))
        end = os.lseek(self._file, 0, os.SEEK_END)
        with naming(self.path):
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
    """Yield the lines of a file of JSON lines with their places, counted from 1; none where there is no file.

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
                notice(left_out(path, place, f"it is damaged ({error})"))


def left_out(path: Path, place: int, fault: str) -> str:
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
            notice(left_out(path, place, wrong))
    if len(kept) < count(path):
        replace(path, b"".join(map(encode_line, kept)))


def count(path: Path) -> int:
    """Return how many whole lines a file has; 0 where there is none."""
    if not path.exists():
        return 0
    with regular_file(path).open("rb") as file:
        return sum(line.endswith(b"\n") for line in file)
