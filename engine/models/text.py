"""Between text and token ids: encode a prompt, decode a sample, and each token's own piece of text."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from copy import copy
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from tokenizers import Tokenizer

from engine.models.files.tokenizer_file import read_tokenizer
from engine.models.token_text import Spelling, are_letters, spelling
from engine.records import GridLayout
from engine.system.foreign import is_panic, library_errors
from engine.text.infill import NAMED, tokens_carry_space

SAMPLE = "A text, Ünï 漢字 🙂\n 1234"
TRIED = 1000
"""Tokens that a new tokenizer has to decode."""
TOKENS = 16
"""Of those the ones that a tokenizer of a closed vocabulary has to encode."""

BLANKS = re.compile(r"\s+")


class TokenizerAdapter(Protocol):
    """A tokenizer of any make."""

    size: int
    named: frozenset[str]
    """tokens that are names and not text, specials among them"""

    def ids(self, text: str, special: bool) -> list[int]: ...

    def text(self, ids: list[int]) -> str: ...

    def name(self, token: int) -> str | None: ...

    def spelling(self) -> Spelling: ...


class FileWords:
    """A tokenizer.json."""

    def __init__(self, tokenizer: Tokenizer, whose: str = "the tokenizer") -> None:
        self._whose = whose
        # a file may ask that every text be cut or filled up to some length
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        # its library counts names, of which there are fewer where a number between has none
        self.size = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1) + 1
        self.named = frozenset(token.content for token in tokenizer.get_added_tokens_decoder().values())

    def ids(self, text: str, special: bool) -> list[int]:
        self._tokenizer.encode_special_tokens = not special
        with library_errors(f"{self._whose} cannot encode a text"):
            return self._tokenizer.encode(text, add_special_tokens=False).ids

    def text(self, ids: list[int]) -> str:
        with library_errors(f"{self._whose} cannot decode a text"):
            return self._tokenizer.decode(ids, skip_special_tokens=False)

    def name(self, token: int) -> str | None:
        return self._tokenizer.id_to_token(token)

    def spelling(self) -> Spelling:
        return spelling({**json.loads(self._tokenizer.to_str())})


class PythonWords:
    """A tokenizer of transformers that is a program rather than a file."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._names = {token: name for name, token in tokenizer.get_vocab().items()}
        self.size = max(self._names, default=-1) + 1
        self.named = frozenset(tokenizer.all_special_tokens) | frozenset(tokenizer.get_added_vocab())

    def ids(self, text: str, special: bool) -> list[int]:
        with library_errors("the tokenizer cannot encode a text"):
            return self._tokenizer.encode(text, add_special_tokens=False, split_special_tokens=not special)

    def text(self, ids: list[int]) -> str:
        known = [i for i in ids if i in self._names]
        with library_errors("the tokenizer cannot decode a text"):
            return self._tokenizer.decode(known, skip_special_tokens=False, clean_up_tokenization_spaces=False)

    def name(self, token: int) -> str | None:
        return self._names.get(token)

    def spelling(self) -> Spelling:
        join = self._tokenizer.convert_tokens_to_string
        two = [name for name in self._names.values() if name not in self.named][:2]
        # half a character alone comes out as nothing
        return Spelling(lambda name: join([name]) or "\ufffd", spaced=join(two) == " ".join(two))


class Codec:
    """A tokenizer, as the engine and the terminal need it.

    Where the vocabulary is an alphabet that is put together with spaces, as of residues, text is written without
    them, and read with or without.
    """

    layout: GridLayout | None = None
    """how positions lie, where a text is a grid; None: one after the other"""

    def __init__(self, tokenizer: Tokenizer | TokenizerAdapter) -> None:
        self._words: TokenizerAdapter = FileWords(tokenizer) if isinstance(tokenizer, Tokenizer) else tokenizer
        self.size = self._words.size
        self._spell, spaced, self._raw = self._words.spelling()
        names = (self._words.name(i) for i in range(self.size))
        self._letters = spaced and are_letters(n for n in names if n is not None and n not in self._words.named)
        self._spaces = frozenset(name for i in range(self.size) if (name := self._words.name(i) or "").isspace())
        """white space that is a token, as in an alphabet of written text"""
        self._together = self._letters and self._reads_together()
        """whether an alphabet's letters are read without spaces between them"""

    @classmethod
    def from_file(cls, path: Path) -> Codec:
        """Read a tokenizer.json.  Raises ValueError for a file that is not a tokenizer."""
        tokenizer = read_tokenizer(path)
        with library_errors(f"{path} is not a tokenizer file"):
            codec = cls(FileWords(tokenizer, str(path)))
        codec.check()
        return codec

    def arranged(self, layout: GridLayout) -> Codec:
        """Return this codec for texts that are grids."""
        made = copy(self)
        made.layout = layout
        return made

    def check(self) -> None:
        """Raise ValueError for a tokenizer that reads as a file and fails at its work: some fail only then.

        A closed vocabulary, as of letters or k-mers, need not know every text that there is, but its own tokens.
        """
        if not self._letters:
            try:
                self.decode(self.encode(SAMPLE))
            except ValueError as error:
                if (error.__cause__ is not None and is_panic(error.__cause__)) or not self._encodes_own():
                    raise
        self.decode([i for i in range(min(self.size, TRIED)) if self._words.name(i) is not None])

    def _encodes_own(self) -> bool:
        """Return whether the tokens of the vocabulary, judged by a few, are read as themselves."""
        names = {i: self._words.name(i) for i in range(min(self.size, TRIED))}
        own = [i for i, name in names.items() if name and name.strip() and name not in self._words.named][:TOKENS]
        try:
            return bool(own) and all(self.encode(self.piece(i)) == [i] for i in own)
        except ValueError:
            return False

    @classmethod
    def of(cls, tokenizer: Any) -> Codec:
        """Return the codec of a tokenizer of transformers, fast or slow; it is shared, not copied."""
        backend = getattr(tokenizer, "backend_tokenizer", None)
        return cls(backend if isinstance(backend, Tokenizer) else PythonWords(tokenizer))

    def encode(self, text: str, special: bool = False) -> list[int]:
        """Return token ids of the text; no special token is added, and none is read out of it unless `special`."""
        return self._words.ids(self.prepared(text, special), special)

    def prepared(self, text: str, special: bool = False) -> str:
        """Return the text as the tokenizer takes it: of an alphabet, without white space that it has no token for."""
        if not self._letters:
            return text
        if not (self._spaces or self._together):
            return self._apart(text, special)
        between = " " if " " in self._spaces else ""
        return BLANKS.sub(lambda run: run[0] if self._spaces.issuperset(run[0]) else between, text)

    def _reads_together(self) -> bool:
        """Return whether two adjacent letters are two tokens."""
        names = [self._words.name(i) for i in range(self.size)]
        two = [n for n in names if n and not n.isspace() and n not in self._words.named and len(n) == 1][:2]
        try:
            return len(two) == 2 and [*map(self._words.name, self._words.ids("".join(two), False))] == two
        except Exception:
            return False

    def continued(self, text: str, special: bool = False) -> list[int]:
        """Return token ids of a text in the middle of another, without the space that a tokenizer may put before all
        texts.
        """
        if not self._adds_space:
            return self.encode(text, special)
        before, both = self.encode("\n"), self.encode(f"\n{text}", special)
        return both[len(before) :] if both[: len(before)] == before else self.encode(text, special)

    @cached_property
    def words_bring_space(self) -> bool:
        """Return whether the space before a word is part of its token."""
        return not self._letters and tokens_carry_space(map(self.piece, range(self.size)))

    @cached_property
    def _adds_space(self) -> bool:
        """Return whether a space is put before every text, which no alphabet has."""
        return not self._letters and "".join(map(self.piece, self.encode("a"))).startswith(" ")

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of the ids, special tokens shown by name."""
        known = [i for i in ids if 0 <= i < self.size]
        return "".join(map(self.piece, known)) if self._letters else self._words.text(known)

    def piece(self, token: int) -> str:
        """Return the text of one token; bytes that are no text on their own become U+FFFD."""
        name = self._words.name(token) if 0 <= token < self.size else None
        if name is None:
            return f"<{token}>"
        return name if self._letters or name in self._words.named else self._spell(name)

    def strangers(self, vocab_size: int, mask_id: int) -> tuple[int, ...]:
        """Return the ids of a vocabulary that are neither a token nor the mask; empty if that were all but the mask."""
        found = tuple(i for i in range(vocab_size) if i != mask_id and (i >= self.size or self._words.name(i) is None))
        return found if len(found) < vocab_size - 1 else ()

    def pieces(self, vocab_size: int) -> tuple[str, ...]:
        return tuple(self.piece(i) for i in range(vocab_size))

    def fragments(self, pieces: Sequence[str]) -> dict[int, bytes]:
        """Return the bytes of tokens that hold a part of a character, by number; pieces: the texts of all."""
        names = {i: self._words.name(i) for i, piece in enumerate(pieces[: self.size]) if "\ufffd" in piece}
        found = {i: self._raw(name) for i, name in names.items() if name is not None and name not in self._words.named}
        return {i: data for i, data in found.items() if data}

    @staticmethod
    def _apart(text: str, special: bool) -> str:
        """Return letters with a space between them; named tokens stay whole where they may be read."""
        kept: list[str] = []
        at = 0
        for found in NAMED.finditer(text) if special else ():
            kept += [*text[at : found.start()], found[0]]
            at = found.end()
        return " ".join(part for part in (*kept, *text[at:]) if not part.isspace())
