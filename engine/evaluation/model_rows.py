"""The rows of tokens that a model's likelihood is taken on: as near to those of its training as is known."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.data import rows as cut
from engine.data.document import Document
from engine.data.refused import RefusedTextError, naming_place
from engine.data.special_tokens import PLAIN, trained_here
from engine.data.texts import Texts
from engine.models import TextModel
from engine.models.text import Codec
from engine.models.tokenizer import STARTS, special

LAYOUTS = ("windows", "wrap")
WINDOWS = 1024
"""Windows at most where no number was asked for."""
MAX_LENGTH = 1024
"""Tokens of a row at most where no length was asked for."""
ENDS = ("<|endoftext|>", "</s>", "[SEP]", "<eos>", "[EOS]", "<|end_of_text|>", "<|eot|>")
"""What tokens are called that end a text."""


@dataclass(frozen=True, eq=False)
class Rows:
    """N rows of L tokens, and how they came about."""

    tokens: NDArray[np.int64]
    """[N, L]"""
    layout: str
    start: int | None
    """the token that every row begins with by construction"""
    said: str
    """a sentence that belongs with every figure"""

    @property
    def digest(self) -> str:
        """Equal for equal rows."""
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
    """The rows of a model that some texts make.

    layout: of LAYOUTS; by default windows for tokenizers that were trained here, else wrapped as MDLM's and ReMDM's
    code does.  windows: how many; by default as many as fit side by side, up to `most`.  length: by default the
    model's, up to LONGEST.  limit: the first rows alone.  together: documents that are wrapped at a time.
    Raises ValueError with one sentence, also for a text that the tokenizer rejects, whose place it names, or that
    fills no row.
    """
    own = is_own(model.codec)
    layout = layout or ("windows" if own else "wrap")
    if layout not in LAYOUTS:
        raise ValueError(f"unknown layout of rows {layout!r}: choose {', '.join(LAYOUTS)}")
    length = min(model.max_length or MAX_LENGTH, MAX_LENGTH) if length is None else length
    _check(model, length, windows, limit)
    start, end = ends_of(model)
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
        said = f"{count:,} windows of {length:,} tokens at even offsets of the text's {len(stream):,}{overlap}"
    else:
        with naming:
            tokens, begin = cut.wrap(plain, encode, length, start, end, together), start
        said = f"wrapped: start token, {length - 2:,} tokens and end token, documents joined by end tokens"
    if limit is not None and limit < len(tokens):
        tokens, said = tokens[:limit], f"{said}, the first {limit:,} of {len(tokens):,}"
    typography = "; typographic quotes and dashes are unified, as they were in training" if own else ""
    return Rows(tokens, layout, begin, f"Rows are {said}{typography}.")


def is_own(codec: Codec) -> bool:
    """Whether a tokenizer was trained here: its first token ends documents, its last is the mask."""
    return codec.size > 1 and trained_here(codec.piece(0), codec.piece(codec.size - 1))


def _check(model: TextModel, length: int, windows: int | None, limit: int | None) -> None:
    if model.max_length is not None and length > model.max_length:
        raise ValueError(f"rows of {length} tokens are asked for, and {model.name} takes {model.max_length} at most")
    for name, value in (("length", length), ("windows", windows), ("limit", limit)):
        if value is not None and value < 1:
            raise ValueError(f"{name} must be at least 1, not {value}")


def ends_of(model: TextModel) -> tuple[int, int]:
    """The tokens that begin and end a text.  Raises ValueError where the tokenizer has none."""
    start, end = special(model.codec, STARTS), special(model.codec, ENDS)
    if end is None:
        raise ValueError(
            f"the tokenizer of {model.name} has no token that ends a text, such as {ENDS[0]}: pass another one with "
            "--tokenizer PATH"
        )
    return end if start is None else start, end


def _encoder(model: TextModel) -> cut.Encode:
    """Its tokenizer, whose refusals are one sentence."""

    def encode(text: str) -> list[int]:
        try:
            return model.codec.encode(text)
        except (TypeError, ValueError, OverflowError) as error:
            said = " ".join(str(error).split()) or "no reason given"
            raise RefusedTextError(f"the tokenizer of {model.name} rejects the text {text[:40]!r}: {said}") from error

    return encode
