"""What readers of checkpoints are given and what they return."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from engine.models.chat import ChatTemplate
from engine.models.progress import LoadProgress
from engine.models.protocol import Denoiser
from engine.models.text import Codec
from engine.system.callbacks import ignore

T = TypeVar("T")


class ReaderError(TypeError):
    """A reader's own mistake, which no file can cause."""


class Network(Denoiser, Protocol):
    """A denoiser that a reader has made: it also says where and in what it computes."""

    @property
    def device(self) -> torch.device: ...

    @property
    def dtype(self) -> torch.dtype: ...

    @property
    def parameters(self) -> int:
        """Return how many numbers the network has"""
        ...


class ScoreNetwork(Protocol):
    """A network that gives SEDD's concrete score, which the analytic predictor needs."""

    def scores(self, tokens: Tensor, sigma: Tensor) -> Tensor:
        """Map tokens [B, L], sigma [B] to p_t(y) / p_t(x) for every y, [B, L, V]."""
        ...


@dataclass(frozen=True)
class LoadRequest:
    """One checkpoint to be read: `home` is a directory or a file that exists."""

    name: str
    home: Path
    device: torch.device
    dtype: torch.dtype
    ema: bool = True
    """averaged weights where the file has them"""
    attention: str = "auto"
    """a name in engine.models.attention.BACKENDS, or auto"""
    mask_id: int | None = None
    """where the file does not say which token is the mask"""
    tokenizer: str | None = None
    """a directory, file or hub id, where the checkpoint has no tokenizer of its own"""
    trust_remote_code: bool = False
    progress: LoadProgress = ignore


MOST_STEPS = 10**6
"""T of D3PM beyond which a number is no setting but damage."""


@dataclass(frozen=True)
class Discrete:
    """How a D3PM network was trained, where its checkpoint says."""

    steps: int
    """T"""
    subs_masking: bool = False
    """whether the network was kept from giving the mask a share"""

    @classmethod
    def of(cls, steps: object, subs_masking: object) -> Discrete | None:
        """Return the settings; None where T is missing, 0 (continuous time) or no number of steps."""
        return cls(steps, subs_masking is True) if type(steps) is int and 0 < steps <= MOST_STEPS else None


def _blames_the_reader(kind: type[T]) -> type[T]:
    """Turn the TypeError of a dataclass that is made with other arguments than it has into ReaderError."""
    make = kind.__init__

    @wraps(make)
    def init(self: T, *values: Any, **named: Any) -> None:
        try:
            make(self, *values, **named)
        except TypeError as error:
            raise ReaderError(*error.args) from None

    kind.__init__ = init  # type: ignore[assignment]
    return kind


@_blames_the_reader
@dataclass(frozen=True)
class Loaded:
    """A network that can be sampled."""

    network: Network
    codec: Codec
    kind: str
    """what it is, in a few words: MDLM, SEDD, AR, BertForMaskedLM, LLaDA ..."""
    notes: tuple[str, ...] = ()
    """what a careful person would want to know: averaged weights used, tensors ignored, a tied head"""
    recovered: str = ""
    """why a training run's model is not of its last checkpoint; empty if it is"""
    causal: bool = False
    """whether it predicts from the left alone, so that only left-to-right means anything"""
    attention: str = "sdpa"
    chat: ChatTemplate | None = None
    """what the model's prompts were wrapped in, where it was trained on one"""
    borrowed_tokenizer: Path | None = None
    """the file of the tokenizer, where the checkpoint has none and nobody named one"""
    parameterization: str = "subs"
    """the field's word for what turns its logits into probabilities, which its bound follows from"""
    discrete: Discrete | None = None
    """how D3PM was trained, where that is known"""
    quality: Callable[[Tensor], Tensor] | None = None
    """maps hidden [N, D] to scores [N] of the committed tokens, where a trained head lies beside the model"""
    quality_digest: str | None = None
    """of the head's file"""
    code: tuple[Path, ...] = ()
    """Python files that were run with the user's consent; those of another repository lie outside the checkpoint"""


class Reader(Protocol):
    """One kind of checkpoint."""

    def recognises(self, home: Path, config: dict[str, object], tensors: frozenset[str]) -> bool:
        """Return whether this reader can read what lies at `home`.

        config: its config.json, empty if the file is missing.  tensors: names of its tensors where they could be
        listed without loading anything, else empty.
        """
        ...

    def read(self, request: LoadRequest) -> Loaded:
        """Read the checkpoint.  Raises ValueError that says what is wrong and what would be valid."""
        ...
