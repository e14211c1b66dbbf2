"""Tokenised training data: prepared once, memory-mapped, cut into rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from engine.data.catalogue import hub_stream, source_of
from engine.data.directories import text_files
from engine.data.document import Document
from engine.data.documents import FromHub, documents_of, paragraphs
from engine.data.formats import text_format
from engine.data.rows import spread
from engine.data.shards import (
    TOKENIZER,
    OnPrepared,
    discard_damaged,
    lock_for_writing,
    open_streams,
    try_open_streams,
    with_progress,
    write_streams,
)
from engine.data.special_tokens import END_OF_TEXT, MASK, PLAIN, is_own_tokenizer
from engine.files.checksums import replace_checked
from engine.files.digests import file_digest
from engine.files.regular import regular_file
from engine.models.files.tokenizer_file import read_tokenizer
from engine.models.text import Codec
from engine.system.callbacks import ignore
from engine.system.foreign import library_errors
from engine.training.config import SMALLEST, TrainConfig
from engine.training.rows import TrainingData
from engine.training.tokenizers import existing_tokenizer, train_tokenizer

HELD_OUT = 20
"""One token in HELD_OUT is for validation if the data name no validation split."""

READING = 2
"""The version of how files are read; raise it to have data prepared again."""


@dataclass(frozen=True)
class Corpus:
    """Tokenised splits, each one memory-mapped stream in which documents end with END_OF_TEXT.

    wrapped: rows are length - 2 tokens of the stream, one such piece after the other, between two END_OF_TEXT, as
    MDLM's code has them; else windows, which begin anywhere.
    """

    tokenizer: Tokenizer
    splits: dict[str, np.ndarray]
    wrapped: bool = False

    @property
    def mask_id(self) -> int:
        return self._id(MASK)

    @property
    def end_id(self) -> int:
        """Return the token that ends a document."""
        return self._id(END_OF_TEXT)

    def _id(self, token: str) -> int:
        found = self.tokenizer.token_to_id(token)
        if found is None:
            raise ValueError(f"the tokenizer has no {token} token")
        return found

    def windows(self, split: str, length: int, count: int, generator: np.random.Generator) -> np.ndarray:
        """Return count rows of the split at uniformly random offsets, int64 [count, length]."""
        return self.at(split, self.starts(split, length, count, generator), length)

    def starts(self, split: str, length: int, count: int, generator: np.random.Generator) -> np.ndarray:
        """Return count uniformly random offsets of windows in the split, int64 [count]."""
        return generator.integers(0, len(self.splits[split]) - length + 1, count)

    def batch(self, length: int, count: int, seed: int, step: int, generator: np.random.Generator) -> np.ndarray:
        """Return the offsets of the rows of one training step, int64 [count].

        Windows are random; each piece comes once an epoch, in an order that (seed, step) alone decide.
        """
        if not self.wrapped:
            return self.starts("train", length, count, generator)
        inside = length - 2
        pieces = len(self.splits["train"]) // inside
        epochs, places = np.divmod(np.arange(step * count, (step + 1) * count), pieces)
        order = [_shuffled(seed, int(epoch), pieces)[place] for epoch, place in zip(epochs, places, strict=True)]
        return np.array(order, np.int64) * inside

    def at(self, split: str, starts: np.ndarray, length: int) -> np.ndarray:
        """Return the rows of the split at these offsets, int64 [count, length]."""
        stream, inside = self.splits[split], length - 2 if self.wrapped else length
        rows = np.empty((len(starts), length), np.int64)
        within = rows[:, 1:-1] if self.wrapped else rows
        for row, start in zip(within, starts, strict=True):
            row[:] = stream[start : start + inside]
        if self.wrapped:
            rows[:, [0, -1]] = self.end_id
        return rows

    def spread(self, split: str, length: int, count: int) -> np.ndarray:
        """Return count rows at even offsets, the same ones every time, int64 [count, length]."""
        stream = self.splits[split]
        if not self.wrapped:
            return spread(stream, length, count)
        inside = length - 2
        return self.at(split, np.linspace(0, len(stream) // inside - 1, count).astype(np.int64) * inside, length)


def reading_speed(corpus: Corpus, length: int, count: int, seconds: float, clock: Callable[[], float]) -> float:
    """Measure the tokens a second at which batches of `count` random rows of the training split are read.

    seconds: the least time to measure for.  clock: returns seconds.
    """
    generator, tokens, began = np.random.default_rng(0), 0, clock()
    while (spent := clock() - began) < seconds or not tokens:
        tokens += corpus.at("train", corpus.starts("train", length, count, generator), length).size
    return tokens / spent


@lru_cache(maxsize=2)
def _shuffled(seed: int, epoch: int, count: int) -> np.ndarray:
    return np.random.default_rng((seed, epoch, count)).permutation(count)


def prepare(
    sources: Sequence[Path],
    vocab_size: int,
    cache: Path,
    *,
    tokenizer: str | None = None,
    wrapped: bool = False,
    progress: OnPrepared = ignore,
    from_hub: FromHub = hub_stream,
    notice: Callable[[str], None] = ignore,
) -> Corpus:
    """Tokenise files, directories and data sets once into `cache`, keyed by content and settings; then map them.

    tokenizer: the name or path of an existing one, in place of one trained on the text; typography is unified for
    those that were trained here.  wrapped: see `Corpus`.  If no document names a split, the end of the text is held
    out for validation.  An interrupted call is resumed by the same call.  notice: called with a sentence that names
    the skipped files of a directory.

    Raises FileNotFoundError for a missing file, ValueError for one that is malformed, damaged or has no text.
    """
    sources = [file for source in sources for file in (text_files(source, notice) if source.is_dir() else [source])]
    given = None if tokenizer is None else existing_tokenizer(tokenizer)
    home = cache / _key(sources, vocab_size, given, wrapped)

    def docs(typography: Mapping[int, str | None] = PLAIN) -> Iterator[Document]:
        for source in sources:
            yield from documents_of(source, typography, from_hub)

    splits = try_open_streams(home)
    if splits is None:
        with lock_for_writing(home):
            splits = try_open_streams(home)
            if splits is None:
                discard_damaged(home)
                made = _tokenizer(home / TOKENIZER, given, vocab_size, docs, progress)
                size = made.get_vocab_size()
                read = docs(PLAIN if is_own_tokenizer(made.id_to_token(0), made.id_to_token(size - 1)) else {})
                write_streams(home, read, _encoding(made, wrapped), size, progress, Codec(made).encode)
                splits = open_streams(home)
    if list(splits) == ["train"]:
        stream = splits["train"]
        cut = len(stream) - len(stream) // HELD_OUT
        splits = {"train": stream[:cut], "validation": stream[cut:]}
    return Corpus(read_tokenizer(home / TOKENIZER), splits, wrapped)


def _key(sources: Sequence[Path], vocab_size: int, tokenizer: Tokenizer | None, wrapped: bool) -> str:
    """Return a key of all that decides the tokens: READING, the tokenizer, and each source's format and content."""
    digest = None if tokenizer is None else hashlib.sha256(tokenizer.to_str().encode()).hexdigest()
    parts: list[object] = [READING, vocab_size if tokenizer is None else 0, digest, wrapped]
    for source in sources:
        dataset = None if source.exists() else source_of(str(source))
        if dataset is not None:
            parts.append([str(source), dataset.path, dataset.config, dataset.column, sorted(dataset.splits.items())])
        else:
            form = text_format(source)
            parts.append([form.kind, form.packing, file_digest(regular_file(source))])
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _tokenizer(
    path: Path, given: Tokenizer | None, vocab_size: int, docs: Callable[[], Iterator[Document]], progress: OnPrepared
) -> Tokenizer:
    """Return the tokenizer at `path`, which is written first if none can be read there."""
    try:
        return read_tokenizer(path)
    except ValueError:
        path.unlink(missing_ok=True)
    if given is not None:
        made = given
    else:
        texts = (doc.text for doc in with_progress(docs(), "reading", progress) if doc.split == "train")
        made = train_tokenizer(texts, vocab_size)
    replace_checked(path, made.to_str(pretty=True).encode())
    return read_tokenizer(path)


def _encoding(tokenizer: Tokenizer, whole: bool) -> Callable[[Sequence[str]], list[list[int]]]:
    """Return a function from texts to tokens, each followed by the end of a document.

    whole: tokenise whole texts, not paragraph by paragraph.  The function raises ValueError for a text that the
    tokenizer rejects.
    """
    end = int(tokenizer.token_to_id(END_OF_TEXT) or 0)
    tokenizer.encode_special_tokens = True  # a mask written in the text is ordinary text
    codec = Codec(tokenizer)

    def encode(texts: Sequence[str]) -> list[list[int]]:
        pieces = [[text] if whole else paragraphs(text) for text in texts]
        flat = [codec.prepared(p) for of_text in pieces for p in of_text]
        with library_errors("the tokenizer cannot read the text"):
            found = iter(tokenizer.encode_batch_fast(flat, add_special_tokens=False))
        return [[i for _ in of_text for i in next(found).ids] + [end] for of_text in pieces]

    return encode


def check_corpus(config: TrainConfig, corpus: TrainingData) -> None:
    """Raise ValueError for a corpus whose vocabulary or size is not what the configuration needs."""
    size = corpus.tokenizer.get_vocab_size()
    if size != config.model.vocab_size:
        more = f"set it to {size}"
        if config.data.tokenizer is None and config.data.generated is None:
            # a configuration cannot set a vocabulary below SMALLEST for a tokenizer that is trained here
            smaller = "a smaller vocabulary" if size >= SMALLEST else "name a tokenizer by data.tokenizer"
            more = f"use more text or {smaller}"
        raise ValueError(
            f"the data gave a vocabulary of {size} tokens, not the configured {config.model.vocab_size}: {more}"
        )
    for split in ("train", "validation"):
        held = len(corpus.splits.get(split, ()))
        if held < config.model.length:
            raise ValueError(f"the data's {split} split holds {held} tokens: a window needs {config.model.length}")
