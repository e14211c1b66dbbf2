"""Read the documents of training data from files, or from a data set of the hub."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from engine.data.catalogue import DATASETS, source_of
from engine.data.document import Document
from engine.data.special_tokens import PLAIN
from engine.data.text_files import encodable, read_documents

FromHub = Callable[[str, str], Iterator[str]]
"""(name of a data set, split) -> its texts, as published; the training split includes its held-out tail"""


def documents(paths: Sequence[Path], typography: Mapping[int, str | None] = PLAIN) -> Iterator[Document]:
    """Yield the documents of text files, see `read_documents`, with unified typography.

    Raises ValueError naming the file and line at fault.
    """
    for path in paths:
        for document in read_documents(path):
            yield replace(document, text=document.text.translate(typography))


def documents_of(source: Path, typography: Mapping[int, str | None], from_hub: FromHub) -> Iterator[Document]:
    """Yield the documents of a file, or of the data set of that name: training texts, then validation texts if any."""
    name = str(source)
    dataset = None if source.exists() else source_of(name)
    if dataset is None:
        yield from documents([source], typography)
        return
    held: deque[tuple[int, str]] = deque()

    def made(numbered: tuple[int, str], split: str, part: str) -> Document:
        number, text = numbered
        return Document(encodable(dataset.detokenize(text)), split, f"{name}, {part} text {number}")

    for numbered in enumerate(from_hub(name, "train"), 1):
        held.append(numbered)
        if len(held) > dataset.tail:
            yield made(held.popleft(), "train", "train")
    try:
        if dataset.tail:
            yield from (made(numbered, "validation", "train") for numbered in held)
        else:
            for numbered in enumerate(from_hub(name, "validation"), 1):
                yield made(numbered, "validation", "validation")
    except ValueError as error:
        if name in DATASETS or "Bad split" not in str(error):
            raise


def paragraphs(text: str) -> list[str]:
    """Return the pieces in which a document is tokenised."""
    return [p + "\n\n" for p in text.split("\n\n")]
