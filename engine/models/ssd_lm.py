"""SSD-LM: a masked language model that reads a block as points on the simplex of the vocabulary (arXiv 2210.17432)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from engine.models.masked import MaskedLM
from engine.models.pretrained_text import Framing


class SsdLM(MaskedLM):
    """The network sees the canvas as it is: no special tokens are put around it."""

    simplex = True

    @torch.inference_mode()
    def __init__(
        self, model: Any, mask_id: int, embed_sum: nn.Linear, timestep: nn.Linear, attention: str = "sdpa"
    ) -> None:
        """Wrap a network.  embed_sum: V -> H without bias.  timestep: 1 -> H."""
        super().__init__(model, mask_id, Framing((), ()))
        self.attention = attention
        self._vertices, self._timestep = embed_sum.weight, timestep
        self.parameters += sum(p.numel() for layer in (embed_sum, timestep) for p in layer.parameters())

    @torch.inference_mode()
    def mix(self, shares: Tensor, first: int) -> Tensor:
        """Map the shares [N, C] of the tokens from number `first` on to the sum of their embeddings, float32 [N, H]."""
        vertices = self._vertices[:, first : first + shares.shape[1]]
        return (shares.to(vertices.dtype) @ vertices.T).float()

    @torch.inference_mode()
    def encode_simplex(self, tokens: Tensor, t: Tensor, where: Tensor, mixed: Tensor) -> Tensor:
        """Map tokens long [B, L], t float [B], where bool [B, L], mixed [N, H] to hidden [N, D] at the N positions.

        There the network reads `mixed`, the mean of the embeddings on the simplex, and the time; elsewhere the tokens.
        """
        embedded = self._model.get_input_embeddings()(tokens)
        times = self._timestep(t[:, None].to(self.dtype))
        embedded[where] = mixed.to(embedded.dtype) + times[where.nonzero()[:, 0]]
        if self._head is None:
            return self._model(inputs_embeds=embedded).logits[where]
        return self._model.base_model(inputs_embeds=embedded)[0][where]
