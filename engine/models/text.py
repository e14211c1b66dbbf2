"""Between text and token ids: encode a prompt, decode a sample, and each token's own piece of text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer


def _byte_alphabet() -> dict[str, int]:
    """GPT-2's printable stand-ins for the 256 bytes, as character -> byte."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in plain]
    return {chr(b): b for b in plain} | {chr(256 + i): b for i, b in enumerate(rest)}


BYTES = _byte_alphabet()


class Codec:
    """A tokenizer file, as the engine and the terminal need it."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self.size = tokenizer.get_vocab_size(with_added_tokens=True)

    @classmethod
    def from_file(cls, path: Path) -> Codec:
        """Raises ValueError for a file that is not a tokenizer."""
        try:
            return cls(Tokenizer.from_file(str(path)))
        except Exception as error:  # the library raises bare Exception
            raise ValueError(f"{path} is not a tokenizer file: {error}") from error

    def encode(self, text: str, special: bool = False) -> list[int]:
        """Token ids of the text; no special token is added, and none is read out of it unless `special`."""
        self._tokenizer.encode_special_tokens = not special
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def decode(self, ids: Sequence[int]) -> str:
        """Text of the ids, special tokens shown by name."""
        return self._tokenizer.decode(list(ids), skip_special_tokens=False)

    def piece(self, token: int) -> str:
        """The text of one token; bytes that are no text on their own become U+FFFD."""
        name = self._tokenizer.id_to_token(token)
        if name is None:
            return f"<{token}>"
        if all(c in BYTES for c in name):
            return bytes(BYTES[c] for c in name).decode("utf-8", errors="replace")
        return name

    def pieces(self, vocab_size: int) -> tuple[str, ...]:
        return tuple(self.piece(i) for i in range(vocab_size))
