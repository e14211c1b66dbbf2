"""A denoiser with its tokenizer and its name, as the rest of the engine uses it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from engine.models.loading import Loaded
from engine.models.protocol import (
    ShadowDenoiser,
    SimplexDenoiser,
    encode_at,
    encode_rows,
    has_fixed_shapes,
    has_shadows,
    has_simplex,
)
from engine.models.tokenizer import ENDS, TURN_ENDS
from engine.models.tokenizer import special as special_token
from engine.records import ModelInfo
from engine.text import infill as masks


class TextModel:
    """A denoiser with its tokenizer and name; itself a denoiser."""

    def __init__(self, name: str, loaded: Loaded) -> None:
        self.name, self.loaded = name, loaded
        self.network, self.codec = loaded.network, loaded.codec
        self.vocab_size, self.mask_id = self.network.vocab_size, self.network.mask_id
        self.max_length, self.time_conditioned = self.network.max_length, self.network.time_conditioned
        self.causal, self.recovered = loaded.causal, loaded.recovered
        self.shadows, self.simplex = has_shadows(self.network), has_simplex(self.network)
        self.fixed_shapes = has_fixed_shapes(self.network)
        self.quality = None if loaded.quality is None else self._quality
        """the trained head, where the model has one (`engine.models.protocol.QualityDenoiser`)"""
        self.fingerprint = ""
        """of its files; empty if the loader did not compute it"""
        self.never = self.codec.strangers(self.vocab_size, self.mask_id)
        # the samplers' arithmetic is float64, which MPS does not have: there it stays on the CPU
        self.device = torch.device("cpu") if self.network.device.type == "mps" else self.network.device

    def encode(self, tokens: Tensor, t: Tensor) -> Tensor:
        return self.network.encode(*self._on_device(tokens, t))

    def encode_rows(self, tokens: Tensor, t: Tensor, where: Tensor) -> Tensor:
        return encode_rows(self.network, *self._on_device(tokens, t, where))

    def encode_at(self, tokens: Tensor, t: Tensor, places: Tensor) -> Tensor:
        return encode_at(self.network, *self._on_device(tokens, t, places))

    def encode_shadow(self, tokens: Tensor, t: Tensor, where: Tensor, block: Tensor) -> Tensor:
        return cast(ShadowDenoiser, self.network).encode_shadow(*self._on_device(tokens, t, where, block))

    def mix(self, shares: Tensor, first: int) -> Tensor:
        (placed,) = self._on_device(shares)
        return cast(SimplexDenoiser, self.network).mix(placed, first).to(self.device)

    def encode_simplex(self, tokens: Tensor, t: Tensor, where: Tensor, mixed: Tensor) -> Tensor:
        return cast(SimplexDenoiser, self.network).encode_simplex(*self._on_device(tokens, t, where, mixed))

    def project(self, hidden: Tensor) -> Tensor:
        return self.network.project(hidden).to(self.device)

    @cached_property
    def ends(self) -> tuple[int, ...]:
        """Return the ids of the tokens that end a text or an answer."""
        return self._special((*ENDS, *TURN_ENDS))

    @cached_property
    def turn_ends(self) -> tuple[int, ...]:
        """Return the ids of those that end an answer alone."""
        return self._special(TURN_ENDS)

    def _special(self, names: Sequence[str]) -> tuple[int, ...]:
        found = (special_token(self.codec, (name,)) for name in names)
        return tuple(dict.fromkeys(token for token in found if token is not None and token != self.mask_id))

    def _quality(self, hidden: Tensor) -> Tensor:
        assert self.loaded.quality is not None
        return self.loaded.quality(hidden).to(self.device)

    def prompt(self, text: str, chat: bool = False, infill: bool = True, special: bool = False) -> list[int]:
        """Return token ids of a prompt, in the model's chat template if requested.

        No special token is read out of the text, only out of the template.  infill: masks written in the text become
        the mask token, which samplers fill (`engine.text.infill.parts`); else they stay letters.  special: the text is
        from the template, with special tokens in it.

        Raises ValueError for a template that is missing or changes what must be found again, and for masks that cannot
        be read.
        """
        if not text:
            return []
        if chat and self.loaded.chat is None:
            raise ValueError(f"{self.name} has no chat template: leave out --chat")
        wrap = self.loaded.chat if chat else None
        own = self.codec.piece(self.mask_id)
        parts = masks.parts(text, own, self.codec.words_bring_space) if infill else [text]
        if wrap is None:
            ids = self._ids((part, special) for part in parts)
        elif not any(isinstance(part, str) and self._names_special(part) for part in parts):
            # in one piece, since the template's text and the prompt's may share a token
            ids = self._ids((part, True) for part in masks.apply_template(wrap, parts))
        else:
            before, inside, after = masks.split_template(wrap, parts)
            ids = self._ids([(before, True), *((part, False) for part in inside), (after, True)])
        if not infill and self.mask_id in ids:
            raise ValueError(f"{self.name} reads {own} in the prompt as its mask: leave it out")
        return ids

    def _names_special(self, text: str) -> bool:
        """Return whether a text contains the text of a special token."""
        return self.codec.encode(text, special=True) != self.codec.encode(text)

    def _ids(self, parts: Iterable[tuple[masks.Part, bool]]) -> list[int]:
        """Return the token ids of pieces of text and counts of masks, each with whether it may hold special tokens."""
        ids: list[int] = []
        for part, special in parts:
            if isinstance(part, int):
                ids += [self.mask_id] * part
            else:
                ids += self.codec.continued(part, special) if ids else self.codec.encode(part, special)
        return ids

    @property
    def outside(self) -> tuple[Path, ...]:
        """Return the files that decide what the model says, besides the checkpoint's own and those the user named."""
        borrowed = self.loaded.borrowed_tokenizer
        return (*(() if borrowed is None else (borrowed,)), *self.loaded.code)

    def _on_device(self, *tensors: Tensor) -> list[Tensor]:
        """Return tensors on the network's device, times in a type that it has."""
        return [(x.float() if x.is_floating_point() else x).to(self.network.device) for x in tensors]

    def _padding(self) -> tuple[str, ...]:
        count = len(self.never)
        return (f"{count:,} ids of the vocabulary are not tokens and are never drawn",) if count else ()

    @property
    def info(self) -> ModelInfo:
        pieces = self.codec.pieces(self.vocab_size)
        return ModelInfo(
            name=self.name,
            parameters=self.network.parameters,
            dtype=str(self.network.dtype).removeprefix("torch."),
            device=str(self.network.device),
            vocab_size=self.vocab_size,
            mask_id=self.mask_id,
            max_length=self.max_length,
            time_conditioned=self.time_conditioned,
            pieces=pieces,
            backend=self.loaded.attention,
            kind=self.loaded.kind,
            causal=self.causal,
            notes=(*self.loaded.notes, *self._padding(), *filter(None, [self.recovered])),
            fragments=self.codec.fragments(pieces),
            fingerprint=self.fingerprint,
            layout=self.codec.layout,
        )
