"""Cut texts into the rows of tokens that a likelihood is computed on, as close to those of training as is known."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.data import rows as cut
from engine.data.document import Document
from engine.data.refused import RefusedTextError, naming_place
from engine.data.special_tokens import PLAIN, is_own_tokenizer
from engine.data.texts import Texts
from engine.models import TextModel
from engine.models.text import Codec
from engine.models.tokenizer import ENDS, STARTS, special

LAYOUTS = ("windows", "wrap")
WINDOWS = 1024
"""The largest default number of windows."""
MAX_LENGTH = 1024
"""The largest default length of a row, in tokens."""


@dataclass(frozen=True, eq=False)
class Rows:
    """N rows of L tokens, and how they were made."""

    tokens: NDArray[np.int64]
    """[N, L]"""
    layout: str
    start: int | None
    """the token that every row begins with by construction"""
    description: str
    """how the rows were made, a sentence that is reported with every figure"""

    @property
    def digest(self) -> str:
        """Return 16 hexadecimal digits that are equal for equal rows."""
        return hashlib.sha256(self.tokens.tobytes() + str(self.tokens.shape).encode()).hexdigest()[:16]


def model_rows(
    model: TextModel,
    texts: Texts,
    *,
    layout: str | None = None,
    windows: int | None = None,
    length: int | None = None,
    limit: int | None = None,
    together: int | None = None,
    most: int = WINDOWS,
) -> Rows:
    """Return the rows that texts make for a model.

    layout: one of LAYOUTS; by default windows for a tokenizer that was trained here, else wrapped as MDLM's and
    ReMDM's code does.  windows: the number of windows; by default as many as fit without overlap, up to `most`.
    length: by default the model's, up to MAX_LENGTH.  limit: keep only the first rows.  together: documents that are
    wrapped at a time.  Raises ValueError for bad settings, for text that fills no row, and for a text that the
    tokenizer rejects, whose place it names.
    """
    own = is_own(model.codec)
    layout = layout or ("windows" if own else "wrap")
    if layout not in LAYOUTS:
        raise ValueError(f"unknown layout of rows {layout!r}: choose {', '.join(LAYOUTS)}")
    length = min(model.max_length or MAX_LENGTH, MAX_LENGTH) if length is None else length
    _check(model, length, windows, limit)
    start, end = row_ends(model)
    plain = tuple(text.translate(PLAIN) for text in texts.texts) if own else texts.texts
    begin, encode = None, _encoder(model)
    documents = [Document(text, texts.split, place) for text, place in zip(plain, texts.places)]
    naming = naming_place(documents, encode, RefusedTextError)
    if layout == "windows":
        with naming:
            stream = cut.stream(plain, encode, end)
        count = min(most, max(1, len(stream) // length)) if windows is None else windows
        tokens = cut.even(stream, length, count)
        overlap = ", which overlap" if count * length > len(stream) else ""
        description = f"{count:,} windows of {length:,} tokens at even offsets of the text's {len(stream):,}{overlap}"
    else:
        with naming:
            tokens, begin = cut.wrap(plain, encode, length, start, end, together), start
        description = f"wrapped: start token, {length - 2:,} tokens and end token, documents joined by end tokens"
    if limit is not None and limit < len(tokens):
        tokens, description = tokens[:limit], f"{description}, the first {limit:,} of {len(tokens):,}"
    typography = "; typographic quotes and dashes are unified, as they were in training" if own else ""
    return Rows(tokens, layout, begin, f"Rows are {description}{typography}.")


def is_own(codec: Codec) -> bool:
    """Return whether a tokenizer was trained here: its first token ends documents, its last is the mask."""
    return codec.size > 1 and is_own_tokenizer(codec.piece(0), codec.piece(codec.size - 1))


def _check(model: TextModel, length: int, windows: int | None, limit: int | None) -> None:
    if model.max_length is not None and length > model.max_length:
        raise ValueError(f"rows of {length} tokens are too long: {model.name} takes {model.max_length} at most")
    for name, value in (("length", length), ("windows", windows), ("limit", limit)):
        if value is not None and value < 1:
            raise ValueError(f"{name} must be at least 1, not {value}")


def row_ends(model: TextModel) -> tuple[int, int]:
    """Return the tokens that begin and end a text.  Raises ValueError if the tokenizer has none."""
    start, end = special(model.codec, STARTS), special(model.codec, ENDS)
    if end is None:
        raise ValueError(
            f"the tokenizer of {model.name} has no token that ends a text, such as {ENDS[0]}: pass another one with "
            "--tokenizer PATH"
        )
    return end if start is None else start, end


def _encoder(model: TextModel) -> cut.Encode:
    """Return the model's encoder, which raises RefusedTextError with one sentence for a text that it rejects."""

    def encode(text: str) -> list[int]:
        try:
            return model.codec.encode(text)
        except (TypeError, ValueError, OverflowError) as error:
            reason = " ".join(str(error).split()) or "no reason given"
            raise RefusedTextError(f"the tokenizer of {model.name} rejects the text {text[:40]!r}: {reason}") from error

    return encode
