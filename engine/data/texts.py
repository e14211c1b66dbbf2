"""Load texts from local files or a data set's name, without blank ones and, if requested, without duplicates."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from engine.data.catalogue import DATASETS, hub_texts
from engine.data.directories import text_files
from engine.data.documents import FromHub, documents
from engine.data.formats import text_format
from engine.data.text_files import encodable
from engine.system.callbacks import ignore

SPLIT = "validation"

"""(a name of DATASETS, split) -> its texts, as published"""


@dataclass(frozen=True)
class Texts:
    """Texts in the order in which they were read."""

    source: str
    split: str
    """all: the files name no split"""
    texts: tuple[str, ...]
    blank: int
    """texts that held nothing but white space, left out"""
    places: tuple[str, ...] = field(default=(), compare=False)
    """where each text is from, see `Document`; empty where that is not known"""

    @property
    def digest(self) -> str:
        """Return 16 hexadecimal digits that are equal for equal texts."""
        found = hashlib.sha256()
        for text in self.texts:
            found.update(f"{len(text)}\n{text}".encode(errors="surrogatepass"))
        return found.hexdigest()[:16]


def load_texts(
    source: str | Sequence[Path],
    split: str = SPLIT,
    *,
    limit: int | None = None,
    from_hub: FromHub = hub_texts,
    notice: Callable[[str], None] = ignore,
) -> Texts:
    """Load the texts of files, directories or a data set, which is detokenised by its own rules.

    source: a name of DATASETS, a path, or paths; an existing path has precedence over a name.  split: of files, the
    documents that name it, or all if none names any.  limit: the largest number of texts.  notice: called with a
    sentence that names the skipped files of a directory.  Raises ValueError if there is no such text.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"a limit must be at least 1, got {limit}")
    found: Iterator[tuple[str, str]]
    if isinstance(source, str) and source in DATASETS and not Path(source).exists():
        name, found = source, _detokenized(source, split, from_hub(source, split))
    else:
        paths = [Path(source).expanduser()] if isinstance(source, str) else list(source)
        name = ", ".join(map(str, paths))
        split, found = _from_files(paths, split, name, notice)
    texts: list[str] = []
    places: list[str] = []
    blank = 0
    for text, place in found:
        if text.strip():
            texts.append(text)
            places.append(place)
        else:
            blank += 1
        if len(texts) == limit:
            break
    if not texts:
        raise ValueError(f"{name} holds no text")
    return Texts(name, split, tuple(texts), blank, tuple(places))


def _detokenized(source: str, split: str, texts: Iterator[str]) -> Iterator[tuple[str, str]]:
    for number, text in enumerate(texts, 1):
        yield encodable(DATASETS[source].detokenize(text)), f"{source}, {split} text {number}"


def _from_files(
    paths: Sequence[Path], split: str, name: str, notice: Callable[[str], None]
) -> tuple[str, Iterator[tuple[str, str]]]:
    """Return the split that was found, and its texts with their places."""
    try:
        read = list(documents(files(paths, notice), {}))
    except OSError as error:
        raise ValueError(f"{name} cannot be read: {error}") from error
    # a document that names no split belongs to "train"
    splits = sorted({document.split for document in read})
    if splits == ["train"] and split != "train":
        return "all", ((document.text, document.place) for document in read)
    if read and split not in splits:
        raise ValueError(f"{name} has no split {split!r}: choose {', '.join(splits)}")
    return split, ((document.text, document.place) for document in read if document.split == split)


def files(paths: Sequence[Path], notice: Callable[[str], None] = ignore) -> list[Path]:
    """Return the text files among the paths and in the directories, see `text_files`.  Raises ValueError."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += text_files(path, notice)
        elif not path.exists():
            raise ValueError(f"there is no file or directory {str(path)!r}, nor a data set: {', '.join(DATASETS)}")
        else:
            text_format(path)
            found.append(path)
    return found


def unique(texts: Sequence[str], count: int | None = None) -> list[str]:
    """Return the first `count` different texts, or all of them, in their order."""
    return list(islice(dict.fromkeys(texts), count))
