"""Formats of text files, decided by their names, the same for training, perplexity and references."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DOCUMENT_KINDS = {
    ".txt": "text",
    ".jsonl": "json lines",
    ".ndjson": "json lines",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
}
"""What is in a file, by its suffix in any case."""


def _zstd(path: Path, mode: str = "rb") -> Any:
    """Open a Zstandard file with pyarrow, as Python has no zstd before 3.14.  Raises ModuleNotFoundError without it."""
    try:
        import pyarrow
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"{path} needs the package pyarrow: pip install pyarrow", name=error.name) from error
    return pyarrow.CompressedInputStream(pyarrow.OSFile(str(path), mode), "zstd")


OPENERS: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open, ".zst": _zstd}
"""How a packed file is opened, by its last suffix in any case."""
DAMAGED = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)
"""The errors of reading a truncated or changed packed file."""
KNOWN = f"{', '.join(DOCUMENT_KINDS)}, all but .parquet also with {', '.join(OPENERS)} behind"
"""The suffixes, for messages."""


@dataclass(frozen=True)
class TextFormat:
    """kind: a value of DOCUMENT_KINDS.  packing: a key of OPENERS; None for a file that is as it is."""

    kind: str
    packing: str | None = None

    def open(self, path: Path) -> Any:
        """Open a file for reading its unpacked bytes."""
        return path.open("rb") if self.packing is None else OPENERS[self.packing](path, "rb")


def find_format(path: Path) -> TextFormat | None:
    """Return the format of a file's name; None if it is unknown."""
    suffixes = [suffix.lower() for suffix in path.suffixes[-2:]]
    packing = suffixes.pop() if suffixes and suffixes[-1] in OPENERS else None
    kind = DOCUMENT_KINDS.get(suffixes[-1]) if suffixes else None
    return None if kind is None or (packing and kind == "parquet") else TextFormat(kind, packing)


def text_format(path: Path) -> TextFormat:
    """Return the format of a file's name.  Raises ValueError that lists the suffixes if it is unknown."""
    found = find_format(path)
    if found is None:
        raise ValueError(f"{path} is not a text file of a known kind: {KNOWN}")
    return found
