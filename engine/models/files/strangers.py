"""What is often saved under the name of a checkpoint's file and is not that file."""

from __future__ import annotations

from pathlib import Path

START = 256
"""Bytes of a file's beginning that tell what it is."""
LFS = "is a pointer of git-lfs, not the file itself: run `git lfs pull` where it came from"
PAGE = "is a web page, most often that of a download that failed: fetch it again"
GGUF = "is a GGUF file, which transformers reads: give it, or its directory, as the model's name"


def check_start(path: Path, start: bytes) -> None:
    """Raise ValueError if a file begins as a git-lfs pointer, a web page or a GGUF file does."""
    if start[8:9] == b"{":
        return  # of safetensors, whose first eight bytes are a length and may be any
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    for mark, words in {b"version https://git-lfs": LFS, b"<": PAGE, b"GGUF": GGUF}.items():
        if text.startswith(mark):
            raise ValueError(f"{path} {words}")
