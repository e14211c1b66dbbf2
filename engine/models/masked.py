"""A masked language model of the transformers library as a denoiser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from engine.models.heads import head_of
from engine.models.pretrained_text import Framing


class MaskedLM:
    """The network sees the canvas between the special tokens that its tokenizer puts around a text."""

    time_conditioned = False

    @torch.inference_mode()
    def __init__(self, model: Any, mask_id: int, around: Framing, never: Sequence[int] = ()) -> None:
        """Wrap a network.  never: tokens without text, which are not proposed.

        Raises ValueError for an impossible mask.
        """
        self._model, self._around = model, around
        self.device, self.dtype = model.device, model.dtype
        self.parameters = int(model.num_parameters())
        before, after = (torch.tensor(part, dtype=torch.long, device=self.device) for part in around)
        self._before, self._after = before, after
        room = _positions(model)
        self.max_length: int | None = None if room is None else room - len(around)
        if not 0 <= mask_id < model.config.vocab_size:
            raise ValueError(f"mask id {mask_id} is outside the vocabulary of {model.config.vocab_size}")
        self.mask_id = mask_id
        probe = self._framed(torch.tensor([[mask_id, *_others(mask_id), mask_id]], device=self.device))
        self.vocab_size = int(model(input_ids=probe).logits.shape[-1])
        self._head = head_of(model, probe)
        self._never = torch.tensor(sorted({i for i in never if i != mask_id}), dtype=torch.long, device=self.device)

    @property
    def separable(self) -> bool:
        """Return whether the head runs on the requested rows alone; else it runs on all."""
        return self._head is not None

    @torch.inference_mode()
    def encode(self, tokens: Tensor, t: Tensor) -> Tensor:
        """Map tokens long [B, L] to what the head reads [B, L, D], or logits [B, L, V] where it is not separable."""
        framed = self._framed(tokens)
        if self._head is None:
            out = self._model(input_ids=framed).logits
        else:
            out = self._model.base_model(input_ids=framed)[0]
        first = len(self._before)
        return out[:, first : first + tokens.shape[1]]

    @torch.inference_mode()
    def project(self, hidden: Tensor) -> Tensor:
        """Map [N, D] to logits [N, V], -inf at the tokens that are never proposed."""
        logits = hidden if self._head is None else self._head(hidden)
        return logits.index_fill(-1, self._never, -torch.inf)

    def _framed(self, tokens: Tensor) -> Tensor:
        rows = len(tokens)
        return torch.cat((self._before.expand(rows, -1), tokens, self._after.expand(rows, -1)), 1)


def _others(mask_id: int) -> list[int]:
    """Return a few tokens that are not the mask."""
    return [i for i in range(5) if i != mask_id][:3]


def _positions(model: Any) -> int | None:
    """Return how many tokens the network has positions for.

    A table with a padding row, as RoBERTa's, counts positions from behind that row.
    """
    for name, module in model.named_modules():
        if isinstance(module, nn.Embedding) and name.endswith("position_embeddings"):
            return module.num_embeddings - (0 if module.padding_idx is None else module.padding_idx + 1)
    room = getattr(model.config, "max_position_embeddings", None)
    return room if isinstance(room, int) and room > 0 else None
