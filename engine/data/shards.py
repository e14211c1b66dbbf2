"""Token files: written once as a stream that can be interrupted and resumed, then memory-mapped."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import msgspec
import numpy as np

from engine.data.document import Document
from engine.data.refused import naming_place
from engine.files.atomic import named_errors, replace, tidy
from engine.files.checksums import CHECKSUM, checksum
from engine.files.digests import file_digest, remembered
from engine.files.jsonl import DAMAGED
from engine.system.callbacks import ignore

MANIFEST = "manifest.json"
UNFINISHED = "unfinished.json"
TOKENIZER = "tokenizer.json"
FORMAT = 2
TOGETHER = 256
"""The largest number of documents that are tokenised at a time."""
CHARACTERS = 1 << 20
"""Characters after which a batch of documents ends, as a tokenizer needs a hundred bytes for each."""
RECORDED = 16 << 20
"""The number of tokens after which progress is recorded in UNFINISHED."""
CHECKED = 1 << 30
"""Files up to this many bytes are checked whenever they are opened; larger ones once until they change."""
CHUNK = 1 << 22


@dataclass(frozen=True)
class Prepared:
    """The progress of a preparation."""

    what: str
    """reading, tokenising or making"""
    documents: int
    tokens: int
    """written so far"""


OnPrepared = Callable[[Prepared], None]
"""A callback with the progress of a preparation."""


class Stream(msgspec.Struct, forbid_unknown_fields=True):
    """The content of one file."""

    tokens: int = 0
    crc32: int = 0


class Manifest(msgspec.Struct, forbid_unknown_fields=True):
    """The content of a directory: one file of little-endian numbers for each split."""

    dtype: str
    splits: dict[str, Stream]
    documents: int = 0
    tokenizer: str = ""
    """SHA-256 of the tokenizer's file, where there is one"""
    format: int = FORMAT


def with_progress(documents: Iterable[Document], what: str, progress: OnPrepared) -> Iterator[Document]:
    """Yield the documents, calling `progress` after every TOGETHER of them."""
    for number, document in enumerate(documents, 1):
        if number % TOGETHER == 0:
            progress(Prepared(what, number, 0))
        yield document


@contextmanager
def lock_for_writing(home: Path) -> Iterator[None]:
    """Lock the directory for writing, waiting for another writer; a killed writer holds no lock."""
    import fcntl

    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        tidy(home, (MANIFEST, UNFINISHED, TOKENIZER, TOKENIZER + CHECKSUM))
        yield


def try_open_streams(home: Path) -> dict[str, np.ndarray] | None:
    """Return `open_streams`, or None if the data are unfinished or damaged."""
    try:
        return open_streams(home)
    except ValueError:
        return None


def discard_damaged(home: Path) -> None:
    """Delete finished data, which are damaged if they are made again; existing memory maps stay valid."""
    if not (home / MANIFEST).exists():
        return
    tokenizer = home / TOKENIZER
    for path in (*home.glob("*.tokens"), tokenizer, checksum(tokenizer), home / UNFINISHED, home / MANIFEST):
        path.unlink(missing_ok=True)


def batches(documents: Iterator[Document]) -> Iterator[list[Document]]:
    """Yield batches of documents that are tokenised together."""
    batch: list[Document] = []
    size = 0
    for document in documents:
        batch.append(document)
        size += len(document.text)
        if len(batch) == TOGETHER or size >= CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def write_streams(
    home: Path,
    documents: Iterator[Document],
    encode: Callable[[Sequence[str]], list[list[int]]],
    vocab_size: int,
    progress: OnPrepared = ignore,
    encode_one: Callable[[str], object] = ignore,
) -> None:
    """Append the tokens of each document to its split's file, then write the manifest.

    Resumes after the documents that an interrupted call has recorded.  encode_one: rejects the texts that `encode`
    rejects.  Raises ValueError if there is no text, or if one is rejected, naming its place.
    """
    done = _read_unfinished(home) or Manifest(
        "<u2" if vocab_size <= 1 << 16 else "<u4", {}, tokenizer=_tokenizer_digest(home)
    )
    for name, stream in done.splits.items():
        os.truncate(_file(home, name), stream.tokens * np.dtype(done.dtype).itemsize)
    recorded = sum(stream.tokens for stream in done.splits.values())
    text = recorded > 0
    documents = islice(documents, done.documents, None)
    for batch in batches(documents):
        text = text or any(document.text.strip() for document in batch)
        with naming_place(batch, encode_one):
            ids = encode([document.text for document in batch])
        for split in sorted({document.split for document in batch}):
            tokens = [i for document, row in zip(batch, ids, strict=True) if document.split == split for i in row]
            _append(home, done, split, np.array(tokens, dtype=done.dtype))
        done.documents += len(batch)
        total = sum(stream.tokens for stream in done.splits.values())
        progress(Prepared("tokenising", done.documents, total))
        if total - recorded >= RECORDED:
            recorded = total
            _write_manifest(home / UNFINISHED, done)
    if not text:
        raise ValueError("the data files hold no text")
    _write_manifest(home / MANIFEST, done)
    (home / UNFINISHED).unlink(missing_ok=True)


def _file(home: Path, split: str) -> Path:
    return home / f"{split}.tokens"


def _append(home: Path, done: Manifest, split: str, tokens: np.ndarray) -> None:
    path = _file(home, split)
    if split not in done.splits:
        path.unlink(missing_ok=True)
        done.splits[split] = Stream()
    with named_errors(path), path.open("ab") as file:
        file.write(tokens.tobytes())  # tofile hides the system's error
    stream = done.splits[split]
    stream.tokens += len(tokens)
    stream.crc32 = zlib.crc32(tokens.tobytes(), stream.crc32)


def _write_manifest(path: Path, manifest: Manifest) -> None:
    """Write a manifest once the files that it describes are on the disk."""
    for split in manifest.splits:
        with _file(path.parent, split).open("rb") as file:
            os.fsync(file.fileno())
    replace(path, msgspec.json.encode(manifest))


def _tokenizer_digest(home: Path) -> str:
    path = home / TOKENIZER
    return file_digest(path) if path.is_file() else ""


def _read_unfinished(home: Path) -> Manifest | None:
    """Return the manifest of an interrupted call; None if it does not match the files, so that all is done again."""
    try:
        manifest = msgspec.json.decode((home / UNFINISHED).read_bytes(), type=Manifest)
        size = np.dtype(manifest.dtype).itemsize
        whole = manifest.tokenizer == _tokenizer_digest(home) and all(
            crc32(_file(home, name), stream.tokens * size) == stream.crc32 for name, stream in manifest.splits.items()
        )
    except (OSError, *DAMAGED, TypeError):
        return None
    return manifest if whole and manifest.format == FORMAT else None


def open_streams(home: Path) -> dict[str, np.ndarray]:
    """Return every split's tokens, memory-mapped, by name.

    Raises ValueError for missing or damaged files.
    """
    try:
        manifest = msgspec.json.decode((home / MANIFEST).read_bytes(), type=Manifest)
        dtype = np.dtype(manifest.dtype)
    except (OSError, *DAMAGED, TypeError) as error:
        raise ValueError(f"{home} holds no prepared data, or damaged: delete it to have it made again") from error
    if manifest.format != FORMAT or manifest.tokenizer != _tokenizer_digest(home):
        raise ValueError(f"{home / TOKENIZER} is damaged: delete {home} to have it made again")
    found = {}
    for name, stream in sorted(manifest.splits.items()):
        path = _file(home, name)
        size = path.stat().st_size if path.exists() else 0
        if size != stream.tokens * dtype.itemsize or (size and _crc32_of_whole(path, size) != stream.crc32):
            raise ValueError(f"{path} is damaged: delete {home} to have it made again")
        # a plain array over the map, as slicing a memmap costs more than the copy
        found[name] = np.asarray(np.memmap(path, dtype, "r")) if size else np.zeros(0, dtype)
    return found


def _crc32_of_whole(path: Path, size: int) -> int:
    return crc32(path) if size <= CHECKED else int(remembered(path, "crc32", lambda file: str(crc32(file))))


def crc32(path: Path, size: int | None = None) -> int:
    """Return the CRC-32 of a file's bytes, or of the first `size` of them."""
    found, left = 0, path.stat().st_size if size is None else size
    with path.open("rb") as file:
        while chunk := file.read(min(CHUNK, left)):
            found, left = zlib.crc32(chunk, found), left - len(chunk)
    return found
