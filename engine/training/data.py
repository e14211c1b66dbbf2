"""Text files to token windows: normalised text, a byte-level BPE of our own, one long stream per split."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

END_OF_TEXT = "<|endoftext|>"
MASK = "[MASK]"
HELD_OUT = 20
"""One token in so many is for validation where the data names no validation split."""

SPLIT = re.compile(r"[A-Za-z0-9_-]{1,40}")

PLAIN = str.maketrans(
    {
        **dict.fromkeys("“”„", '"'),
        **dict.fromkeys("‘’`´", "'"),
        **dict.fromkeys("‐‑", "-"),
        "–": "—",
        "\xa0": " ",
        "\xad": None,
        "\r": None,
    }
)


@dataclass(frozen=True)
class Document:
    text: str
    split: str


def documents(paths: Sequence[Path], typography: Mapping[int, str | None] = PLAIN) -> Iterator[Document]:
    """The documents of .jsonl, .jsonl.gz (`text`, optional `split`) and plain text files, typography unified.

    A document without a split belongs to "train".  Raises ValueError naming the file and line at fault.
    """
    for path in paths:
        try:
            yield from _read(path, typography)
        except UnicodeDecodeError as error:
            raise ValueError(f"{path} is not UTF-8 text: {error}") from error
        except (EOFError, zlib.error) as error:
            raise ValueError(f"{path} is damaged: {error}") from error


def _read(path: Path, typography: Mapping[int, str | None]) -> Iterator[Document]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as file:
        if ".jsonl" not in path.suffixes:
            yield Document(file.read().translate(typography), "train")
            return
        for number, line in enumerate(file, 1):
            try:
                row = json.loads(line)
                split = row.get("split", "train")
                if not SPLIT.fullmatch(split):  # it names a file
                    raise ValueError(f"{path}, line {number}: split {split!r} is no plain word")
                yield Document(row["text"].translate(typography), split)
            except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
                raise ValueError(
                    f'{path}, line {number}: expected a JSON object with a string "text", got {error!r}'
                ) from error


def train_tokenizer(texts: Iterator[str], vocab_size: int) -> Tokenizer:
    """A byte-level BPE whose first token ends a document and whose last is the mask."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - 1,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens([MASK])
    return tokenizer


@dataclass(frozen=True)
class Corpus:
    """Tokenised splits, each one memory-mapped stream in which documents end with END_OF_TEXT."""

    tokenizer: Tokenizer
    splits: dict[str, np.ndarray]

    @property
    def mask_id(self) -> int:
        found = self.tokenizer.token_to_id(MASK)
        if found is None:
            raise ValueError(f"the tokenizer has no {MASK} token")
        return found

    @property
    def end_id(self) -> int:
        """The token that ends a document."""
        found = self.tokenizer.token_to_id(END_OF_TEXT)
        if found is None:
            raise ValueError(f"the tokenizer has no {END_OF_TEXT} token")
        return found

    def windows(self, split: str, length: int, count: int, generator: np.random.Generator) -> np.ndarray:
        """count windows of the split at uniformly random offsets, int64 [count, length]."""
        return self.at(split, self.starts(split, length, count, generator), length)

    def starts(self, split: str, length: int, count: int, generator: np.random.Generator) -> np.ndarray:
        """count uniformly random offsets of windows in the split, int64 [count]."""
        return generator.integers(0, len(self.splits[split]) - length + 1, count)

    def at(self, split: str, starts: np.ndarray, length: int) -> np.ndarray:
        """The windows of the split that begin there, int64 [count, length]."""
        stream = self.splits[split]
        return np.stack([stream[i : i + length] for i in starts]).astype(np.int64)

    def spread(self, split: str, length: int, count: int) -> np.ndarray:
        """count windows at even offsets: the same ones every time, int64 [count, length]."""
        return spread(self.splits[split], length, count)


def spread(stream: np.ndarray, length: int, count: int) -> np.ndarray:
    """count windows of the stream at even offsets, int64 [count, length]."""
    starts = np.linspace(0, len(stream) - length, count).astype(np.int64)
    return np.stack([stream[i : i + length] for i in starts]).astype(np.int64)


def paragraphs(text: str) -> list[str]:
    """The pieces that a document is tokenised in."""
    return [p + "\n\n" for p in text.split("\n\n")]


def prepare(paths: Sequence[Path], vocab_size: int, cache: Path) -> Corpus:
    """Tokenise the files once into `cache`, keyed by their content and the vocabulary size; then map it.

    Where no document names a split, the end of the text is held out for validation.

    Raises FileNotFoundError for a missing file, ValueError for one that is malformed or has no text.
    """
    key = hashlib.sha256(str(vocab_size).encode())
    for path in paths:
        key.update(hashlib.sha256(path.read_bytes()).digest())
    home = cache / key.hexdigest()[:16]
    if not (home / "tokenizer.json").exists():
        _tokenise(list(documents(paths)), vocab_size, home)
    tokenizer = Tokenizer.from_file(str(home / "tokenizer.json"))
    splits = {path.stem: np.load(path, mmap_mode="r") for path in sorted(home.glob("*.npy"))}
    return Corpus(tokenizer, splits)


def _tokenise(docs: list[Document], vocab_size: int, home: Path) -> None:
    if not any(doc.text.strip() for doc in docs):
        raise ValueError("the data files hold no text")
    tokenizer = train_tokenizer((doc.text for doc in docs if doc.split == "train"), vocab_size)
    end = tokenizer.token_to_id(END_OF_TEXT)
    tokenizer.encode_special_tokens = True  # a mask spelt out in the text is text
    home.mkdir(parents=True, exist_ok=True)
    streams: dict[str, np.ndarray] = {}
    for split in sorted({doc.split for doc in docs}):
        pieces: list[np.ndarray] = []
        for doc in docs:
            if doc.split == split:
                encoded = tokenizer.encode_batch_fast(paragraphs(doc.text))
                pieces += [np.array(e.ids, dtype=np.uint16) for e in encoded]
                pieces.append(np.array([end], dtype=np.uint16))
        streams[split] = np.concatenate(pieces)
    if list(streams) == ["train"]:
        stream = streams["train"]
        cut = len(stream) - len(stream) // HELD_OUT
        streams = {"train": stream[:cut], "validation": stream[cut:]}
    for split, stream in streams.items():
        np.save(home / f"{split}.npy", stream)
    part = home / "tokenizer.part"
    tokenizer.save(str(part))
    os.replace(part, home / "tokenizer.json")
