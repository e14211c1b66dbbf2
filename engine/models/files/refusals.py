"""What is often saved under the name of a checkpoint's file and is not that file."""

from __future__ import annotations

import re
from pathlib import Path

from engine.files.pointers import MARK, POINTER
from engine.files.regular import regular_file

START = 256
"""Bytes of a file's beginning that identify it."""
PAGE = "is a web page, most often that of a download that failed: fetch it again"
ERROR = "is a server's error message, most often of a download that failed: fetch it again"
ERROR_BODY = re.compile(rb'\{\s*"(error|errors|detail)"\s*:')
"""How servers begin a JSON object that says what went wrong."""
GGUF = "is a GGUF file, which transformers reads: give it, or its directory, as the model's name"


def check_start(path: Path, start: bytes) -> None:
    """Raise ValueError if a file begins as a git-lfs pointer, a web page, a server's error or a GGUF file does."""
    if start[8:9] == b"{":
        return  # of safetensors, whose first eight bytes are a length and may be any
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    for mark, words in {MARK: POINTER, b"<": PAGE, b"GGUF": GGUF}.items():
        if text.startswith(mark):
            raise ValueError(f"{path} {words}")
    if ERROR_BODY.match(text):
        raise ValueError(f"{path} {ERROR}")


def check_gguf(path: Path) -> None:
    """Raise ValueError if something else has the name of a GGUF file."""
    regular_file(path)
    with path.open("rb") as file:
        start = file.read(START)
    if not start.startswith(b"GGUF"):
        check_start(path, start)
        raise ValueError(f"{path} is no GGUF file: it begins with {start[:4]!r}, not 'GGUF'")
