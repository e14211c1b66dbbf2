"""What a recording holds besides frames: the header, texts, settings, edits and marks, as checked plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec

from engine.recording.layout import LARGEST_CANVAS, LARGEST_VOCABULARY
from engine.records import Edit, Knob, ModelChoice, ModelInfo, RunChoice, Settings

LONGEST_PIECE = 1_000
"""Characters of one token's text; what is longer is cut when it is written."""
LONGEST_LABEL = 200
LATEST = 1e11
"""Seconds since 1970, some thousands of years."""

T = TypeVar("T")


@dataclass(frozen=True)
class Header:
    """What was watched and with what; `model.pieces` and `model.fragments` stay empty in the file, where texts come as
    they occur."""

    model: ModelInfo
    choice: ModelChoice
    run: RunChoice
    steps: int
    """of the whole run as planned"""
    seed: int
    batch: int
    length: int
    version: str
    """of the program that wrote it"""
    created: float
    """seconds since 1970"""
    versions: dict[str, str] = field(default_factory=dict)
    """of what decided what was computed: torch, the engine's device driver ..."""

    def checked(self) -> Header:
        """Return the header without consent to run a model's code; raise ValueError for an impossible number."""
        vocabulary = self.model.vocab_size
        if not 1 <= vocabulary <= LARGEST_VOCABULARY:
            raise ValueError(f"a recording's vocabulary has 1 to {LARGEST_VOCABULARY} tokens, not {vocabulary}")
        if not 0 <= self.model.mask_id < vocabulary:
            raise ValueError(f"the mask {self.model.mask_id} is outside the recording's vocabulary of {vocabulary}")
        if self.batch < 1 or self.length < 1 or self.batch * self.length > LARGEST_CANVAS:
            raise ValueError(
                f"a recording holds 1 to {LARGEST_CANVAS} positions in all, not {self.batch} times {self.length}"
            )
        if not 0 <= self.steps < 1 << 31:
            raise ValueError(f"a recording's run cannot have {self.steps} steps")
        if not 0 <= self.created < LATEST:
            raise ValueError(f"a recording cannot be of {self.created} seconds since 1970")
        return replace(self, choice=self.choice.without_consent())


@dataclass(frozen=True)
class Mark:
    """A bookmarked position."""

    branch: int
    position: int
    label: str = ""


@dataclass(frozen=True)
class Pieces:
    """Texts of tokens, by number, and the bytes of those that hold a part of a character."""

    texts: dict[int, str]
    fragments: dict[int, bytes] = field(default_factory=dict)
    """absent from older recordings"""

    @classmethod
    def of(
        cls, tokens: Sequence[int], vocabulary: Sequence[str], fragments: Mapping[int, bytes] = MappingProxyType({})
    ) -> Pieces:
        """Return the pieces of some tokens; a token without text has an empty one."""
        found = {token: vocabulary[token] if token < len(vocabulary) else "" for token in tokens}
        # a lone surrogate has no bytes
        texts = {token: text[:LONGEST_PIECE].encode("utf-8", "replace").decode() for token, text in found.items()}
        return cls(texts, {token: fragments[token][:LONGEST_PIECE] for token in tokens if token in fragments})

    def checked(self, header: Header) -> Pieces:
        """Return these; raise ValueError for a token outside the vocabulary or a text that is too long."""
        if any(not 0 <= token < header.model.vocab_size for token in (*self.texts, *self.fragments)):
            raise ValueError("the recording has text for a token outside its vocabulary")
        if any(len(text) > LONGEST_PIECE for text in (*self.texts.values(), *self.fragments.values())):
            raise ValueError(f"the recording has a token of more than {LONGEST_PIECE} characters")
        return self


@dataclass(frozen=True)
class SettingsEntry:
    """How steps are sampled.  Its fields are those of the format, whatever engine and terminal send each other."""

    strategy: str
    knobs: dict[str, Knob]
    top_p: float
    nucleus: str
    temperature: float
    draw: str
    cfg: float = 0.0
    eos_bias: float = 0.0
    eos_confidence: str = "kept"

    @classmethod
    def of(cls, settings: Settings) -> SettingsEntry:
        return cls(
            settings.strategy, dict(settings.knobs), settings.top_p, settings.nucleus, settings.temperature,
            settings.draw, settings.cfg, settings.eos_bias, settings.eos_confidence,
        )  # fmt: skip

    def settings(self) -> Settings:
        return Settings(
            strategy=self.strategy, knobs=self.knobs, top_p=self.top_p, nucleus=self.nucleus,
            temperature=self.temperature, draw=self.draw, cfg=self.cfg, eos_bias=self.eos_bias,
            eos_confidence=self.eos_confidence,
        )  # fmt: skip

    def checked(self) -> SettingsEntry:
        """Return these; raise ValueError where a word of theirs is not fit for a screen."""
        words = [
            self.strategy,
            self.nucleus,
            self.draw,
            self.eos_confidence,
            *self.knobs,
            *map(str, self.knobs.values()),
        ]
        if not all(word.isprintable() and len(word) <= LONGEST_LABEL for word in words):
            raise ValueError("the recording's settings hold a word that is not a name")
        return self


def pack(entry: Any) -> bytes:
    return msgspec.msgpack.encode(entry)


def unpack(kind: type[T], data: bytes) -> T:
    """Decode a value of a type.  Raises ValueError for other bytes."""
    try:
        return msgspec.msgpack.decode(data, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"a record of the recording is no {kind.__name__.lower()}: {error}") from None


def written(header: Header) -> Header:
    """Return a header as stored in a file; raises ValueError where no reader would take it."""
    # a version may be a string of a kind of its own
    plain = {name: str(version) for name, version in header.versions.items()}
    return replace(header, model=replace(header.model, pieces=(), fragments={}), versions=plain).checked()


def check_edit(edit: Edit, header: Header) -> Edit:
    """Return the edit; raise ValueError if its position or token does not exist."""
    if not (0 <= (edit.sample or 0) < header.batch and 0 <= edit.position < header.length):
        raise ValueError(f"there is no position {edit.position} of sample {edit.sample} to edit")
    if len(edit.tokens) > header.length or any(not 0 <= token < header.model.vocab_size for token in edit.tokens):
        raise ValueError("an edit has tokens that the canvas or the vocabulary cannot hold")
    return edit
