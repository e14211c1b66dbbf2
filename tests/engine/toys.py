"""Small real denoisers: five tokens and a mask, logits that depend on the context, nothing random."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from engine.records import ModelInfo
from engine.text import infill as masks

TOKENS = 5
MASK = TOKENS


class Toy:
    """Each position's logits: a share of its own, one of what stands to its left and one of the whole text."""

    vocab_size = TOKENS + 1
    mask_id = MASK
    max_length: int | None = 128
    time_conditioned = False
    fixed_shapes = True

    def __init__(self) -> None:
        noise = torch.Generator().manual_seed(20_257)
        self.place = torch.randn(self.max_length, self.vocab_size, generator=noise)
        self.left = torch.randn(self.vocab_size, self.vocab_size, generator=noise)
        self.whole = torch.randn(self.vocab_size, self.vocab_size, generator=noise)
        self.encoded = 0
        """sequences that went through `encode` or `encode_rows`"""

    def encode(self, tokens: Tensor, t: Tensor) -> Tensor:
        self.encoded += len(tokens)
        left = self.left[tokens.roll(1, dims=-1)]
        whole = self.whole[tokens].mean(1, keepdim=True)
        return self.place[: tokens.shape[1]] + left + whole

    def project(self, hidden: Tensor) -> Tensor:
        return hidden

    def quality(self, hidden: Tensor) -> Tensor:
        """Return a score, as a model with a trained head does."""
        return hidden[:, 0] - hidden[:, 1]


class RowToy(Toy):
    """The same, with a shortcut to chosen rows."""

    def encode_rows(self, tokens: Tensor, t: Tensor, where: Tensor) -> Tensor:
        return self.encode(tokens, t)[where]


class TimedToy(Toy):
    """A toy that listens to the noise level."""

    time_conditioned = True

    def encode(self, tokens: Tensor, t: Tensor) -> Tensor:
        return super().encode(tokens, t) * (0.5 + t.float())[:, None, None]


class BrokenToy(Toy):
    """A toy whose network fails from call number `good` on, for as long as `broken` holds."""

    def __init__(self, good: int) -> None:
        super().__init__()
        self.good, self.calls, self.broken = good, 0, True

    def encode(self, tokens: Tensor, t: Tensor) -> Tensor:
        self.calls += 1
        if self.broken and self.calls > self.good:
            raise RuntimeError("out of memory")
        return super().encode(tokens, t)


class Letters:
    """A codec of one letter a token."""

    alphabet = "abcde"

    def encode(self, text: str) -> list[int]:
        return [self.alphabet.index(c) for c in text]

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(self.alphabet[i] for i in ids)


class TextToy(BrokenToy):
    """A toy with a tokenizer and a name, as the server wants it."""

    def __init__(self, good: int = 1 << 30) -> None:
        super().__init__(good)
        self.codec = Letters()

    def prompt(self, text: str, chat: bool = False, infill: bool = True, special: bool = False) -> list[int]:
        if chat:
            raise ValueError("toy has no chat template")
        parts = masks.parts(text) if infill else [text]
        ids = ([MASK] * part if isinstance(part, int) else self.codec.encode(part) for part in parts)
        return [token for found in ids for token in found]

    @property
    def info(self) -> ModelInfo:
        return ModelInfo(
            name="toy",
            parameters=0,
            dtype="float32",
            device="cpu",
            vocab_size=self.vocab_size,
            mask_id=self.mask_id,
            max_length=self.max_length,
            time_conditioned=self.time_conditioned,
            pieces=(*self.codec.alphabet, "_"),
        )
