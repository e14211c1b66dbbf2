"""A loaded model as the terminal knows it, and its loss on a short text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.records.layout import GridLayout


@dataclass(frozen=True)
class ModelInfo:
    """A loaded model as the terminal needs it; `pieces[i]` is the text of token i."""

    name: str
    parameters: int
    dtype: str
    device: str
    vocab_size: int
    mask_id: int
    max_length: int | None
    time_conditioned: bool
    pieces: tuple[str, ...]
    backend: str = ""
    """attention kernel"""
    kind: str = ""
    """MDLM, SEDD, AR, LLaDA, BertForMaskedLM ..."""
    causal: bool = False
    """whether it predicts from the left alone, so that only left-to-right means anything"""
    notes: tuple[str, ...] = ()
    """remarks on how it was loaded"""
    fragments: Mapping[int, bytes] = field(default_factory=dict, hash=False)
    """bytes of the tokens that hold a part of a character"""
    fingerprint: str = ""
    """of the whole content of its files and its tokenizer's; empty if unknown"""
    layout: GridLayout | None = None
    """how its positions lie on screen; None: one after the other, as text"""

    def differs(self, other: ModelInfo) -> bool:
        """Return whether it is known that the two are not the same network and tokenizer."""
        return bool(self.fingerprint and other.fingerprint) and self.fingerprint != other.fingerprint


@dataclass(frozen=True)
class ModelCheck:
    """A model's loss on a short text, in nats a token; `chance` is the loss of a uniform guess."""

    loss: float
    chance: float
    tokens: int
    """of the text"""

    @property
    def garbled(self) -> bool:
        """Return whether the model knows little more than which tokens are common, as one with shuffled weights
        does.
        """
        return not self.loss < 0.85 * self.chance

    def __str__(self) -> str:
        known = f"loss {self.loss:.1f} nats a token (chance is {self.chance:.1f})"
        return f"{known}: hardly better than chance, so weights or tokenizer may be wrong" if self.garbled else known
