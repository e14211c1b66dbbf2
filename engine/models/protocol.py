"""What the samplers ask of a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, cast, runtime_checkable

from torch import Tensor


@runtime_checkable
class Denoiser(Protocol):
    """Anything with these predicts clean tokens from masked ones; a 20-line toy is one."""

    @property
    def vocab_size(self) -> int:
        """Return the number of tokens, mask included."""
        ...

    @property
    def mask_id(self) -> int: ...

    @property
    def max_length(self) -> int | None:
        """Return the longest canvas; None for any length."""
        ...

    @property
    def time_conditioned(self) -> bool: ...

    def encode(self, tokens: Tensor, t: Tensor) -> Tensor:
        """Map tokens long [B, L] and t float [B], the masked fraction 1 - alpha, to hidden [B, L, D]."""
        ...

    def project(self, hidden: Tensor) -> Tensor:
        """Map hidden [N, D] to logits [N, V]; the mask's logit is ignored."""
        ...


@runtime_checkable
class RowDenoiser(Denoiser, Protocol):
    """A denoiser that computes its last layer at chosen positions only, with the same result."""

    def encode_rows(self, tokens: Tensor, t: Tensor, where: Tensor) -> Tensor:
        """Map tokens [B, L], t [B], where bool [B, L] to hidden [N, D] at the N chosen positions, row by row."""
        ...


@runtime_checkable
class ShadowDenoiser(Denoiser, Protocol):
    """A denoiser that predicts committed tokens without seeing them, by masks behind the text."""

    @property
    def shadows(self) -> bool:
        """Return whether this network can; a wrapper may be of one that cannot."""
        ...

    def encode_shadow(self, tokens: Tensor, t: Tensor, where: Tensor, block: Tensor) -> Tensor:
        """Map tokens [B, L], t [B], where and block bool [B, L] to hidden [N, D] at the positions `where`, row by row.

        At masks it is that of `encode`; at tokens, which must lie in the block, that of their shadow
        (`engine.models.shadow`).
        """
        ...


def has_shadows(model: Denoiser) -> bool:
    """Return whether a model computes `ShadowDenoiser.encode_shadow`."""
    return bool(getattr(model, "shadows", False))


@runtime_checkable
class SimplexDenoiser(Denoiser, Protocol):
    """A denoiser that also reads positions as points on the simplex of the vocabulary (SSD-LM, arXiv 2210.17432)."""

    @property
    def simplex(self) -> bool:
        """Return whether this network can; a wrapper may be of one that cannot."""
        ...

    def mix(self, shares: Tensor, first: int) -> Tensor:
        """Map the shares [N, C] of the tokens from number `first` on to the sum of their embeddings, float32 [N, H]."""
        ...

    def encode_simplex(self, tokens: Tensor, t: Tensor, where: Tensor, mixed: Tensor) -> Tensor:
        """Map tokens long [B, L], t float [B], where bool [B, L], mixed [N, H] to hidden [N, D] at the N positions.

        There the network reads `mixed`, the mean of the embeddings on the simplex, and the time; elsewhere the tokens.
        """
        ...


def has_simplex(model: Denoiser) -> bool:
    """Return whether a model computes `SimplexDenoiser.encode_simplex`."""
    return bool(getattr(model, "simplex", False))


@runtime_checkable
class QualityDenoiser(Denoiser, Protocol):
    """A denoiser with a trained head that predicts how likely each token is right (PRISM, arXiv 2510.01384)."""

    def quality(self, hidden: Tensor) -> Tensor:
        """Map hidden [N, D] to the scores [N] of the committed tokens, higher for better ones."""
        ...


def quality_of(model: Denoiser) -> Callable[[Tensor], Tensor] | None:
    """Return a model's head of quality; None where it has none."""
    return cast(Callable[[Tensor], Tensor] | None, getattr(model, "quality", None))


def encode_rows(model: Denoiser, tokens: Tensor, t: Tensor, where: Tensor) -> Tensor:
    """Return hidden [N, D] at the positions where `where` holds, by the model's shortcut if it has one."""
    if hasattr(model, "encode_rows"):  # checking the whole protocol takes .1 ms a step
        return cast(RowDenoiser, model).encode_rows(tokens, t, where)
    return model.encode(tokens, t)[where]


@runtime_checkable
class SlotDenoiser(Denoiser, Protocol):
    """A denoiser that computes its last layer at as many chosen positions of each sequence, with the same result."""

    def encode_at(self, tokens: Tensor, t: Tensor, places: Tensor) -> Tensor:
        """Map tokens [B, L], t [B], places long [B, R] to hidden [B, R, D]; a place may be named twice."""
        ...


def has_fixed_shapes(model: Denoiser) -> bool:
    """Return whether a network computes the same operations for all inputs of one shape, reads none of their values
    and remembers nothing, so that it may be recorded.
    """
    return bool(getattr(model, "fixed_shapes", False))


def encode_at(model: Denoiser, tokens: Tensor, t: Tensor, places: Tensor) -> Tensor:
    """Return hidden [B, R, D] at places long [B, R], by the model's shortcut if it has one."""
    if hasattr(model, "encode_at"):
        return cast(SlotDenoiser, model).encode_at(tokens, t, places)
    hidden = model.encode(tokens, t)
    return hidden.gather(1, places[:, :, None].expand(-1, -1, hidden.shape[-1]))


def never_drawn(model: Denoiser) -> tuple[int, ...]:
    """Return the ids that a model's vocabulary has beyond its tokenizer's tokens; a toy has none."""
    return tuple(getattr(model, "never", ()))


def ends_of(model: Denoiser) -> tuple[int, ...]:
    """Return the ids of a model's tokens that end a text; a toy has none."""
    return tuple(getattr(model, "ends", ()))


def turn_ends_of(model: Denoiser) -> tuple[int, ...]:
    """Return those of `ends_of` that end an answer and not a text, such as LLaDA's <|eot_id|>; a toy has none."""
    return tuple(getattr(model, "turn_ends", ()))


def device_of(model: Denoiser) -> str:
    """Return the device the model's inputs must be on; a toy without one is on the CPU."""
    return str(getattr(model, "device", "cpu"))
