"""Find the text that a tokenizer cannot encode, as one with a closed vocabulary may lack letters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol


class RefusedTextError(ValueError):
    """A text that a tokenizer cannot encode."""


class Placed(Protocol):
    """A text and where it is from, see `Document`."""

    @property
    def text(self) -> str: ...

    @property
    def place(self) -> str: ...


@contextmanager
def naming_place(
    documents: Iterable[Placed], encode: Callable[[str], object], errors: type[ValueError] = ValueError
) -> Iterator[None]:
    """Prefix such an error with the place of the first document that `encode` rejects, if it is known."""
    try:
        yield
    except errors as error:
        where = next(filter(None, (rejected_place(encode, document) for document in documents)), "")
        raise type(error)(f"{where}: {error}" if where else str(error)) from error


def rejected_place(encode: Callable[[str], object], document: Placed) -> str:
    """Return the place of a document that `encode` rejects, with the line in a text file; else an empty string."""
    if _encodes(encode, document.text):
        return ""
    if not document.place or ", " in document.place.rpartition("/")[2]:
        return document.place
    lines = enumerate(document.text.split("\n"), 1)
    number = next((number for number, line in lines if not _encodes(encode, line)), 1)
    return f"{document.place}, line {number}"


def _encodes(encode: Callable[[str], object], text: str) -> bool:
    try:
        encode(text)
    except ValueError:
        return False
    return True
