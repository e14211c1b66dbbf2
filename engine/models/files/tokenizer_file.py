"""Read an untrusted tokenizer.json: check it first, and catch its library's panics."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from tokenizers import Tokenizer

from engine.files.checksums import check_checksum
from engine.files.regular import regular_file
from engine.models.files.refusals import START, check_start
from engine.system.foreign import library_errors


def read_tokenizer(path: Path) -> Tokenizer:
    """Return the tokenizer of a file.  Raises ValueError that names the file for one that is missing or unreadable."""
    path = regular_file(path)
    check_checksum(path)
    with suppress(OSError), path.open("rb") as file:
        check_start(path, file.read(START))
    with library_errors(f"{path} is not a tokenizer file"):
        return Tokenizer.from_file(str(path))
