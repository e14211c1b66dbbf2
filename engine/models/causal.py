"""A causal language model of the transformers library as a denoiser that looks to the left alone."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.models.heads import FAULTS, close, head_of

PROBE = (1, 2, 3, 2, 4, 1)
"""Tokens on which a network shows what it can do."""


class CausalLM:
    """The hidden state of canvas position i is the network's at input i of (start, token 0, ..., token L - 2).

    The mask is a token of our own behind the vocabulary; the network never sees it, nor anything right of the first
    position that is requested.  Keys and values of the last call's prefixes are kept and used again as far as all rows
    begin with the same tokens as before.
    """

    time_conditioned, causal = False, True

    @torch.inference_mode()
    def __init__(self, model: Any, start: int | None) -> None:
        """Wrap a network.  start: the token before every text; None: the model has none and needs a prompt.

        Raises ValueError for a network that looks to the right.
        """
        self._model, self._start = model, start
        self.device, self.dtype = model.device, model.dtype
        self.parameters = int(model.num_parameters())
        probe = torch.tensor([PROBE], device=self.device)
        logits = model(input_ids=probe, use_cache=False).logits
        self.mask_id = int(logits.shape[-1])
        self.vocab_size = self.mask_id + 1
        longest = getattr(model.config, "max_position_embeddings", None)
        self.max_length: int | None = longest if isinstance(longest, int) and longest > 0 else None
        self._head = head_of(model, probe)
        changed = model(input_ids=F.pad(probe[:, :-1], (0, 1), value=0), use_cache=False).logits
        if not close(changed[:, :-1], logits[:, :-1]):
            raise ValueError(f"{type(model).__name__} looks to the right of what it predicts: it is not a causal model")
        self._cache: Any = None
        self._seen = probe[:0]
        self.cached = self._can_cache(probe)

    @property
    def separable(self) -> bool:
        """Return whether the head runs on the requested rows alone; else it runs on all."""
        return self._head is not None

    @torch.inference_mode()
    def encode(self, tokens: Tensor, t: Tensor) -> Tensor:
        """Map tokens long [B, L] to hidden [B, L, D], without the cache; nan where a mask or nothing is to the left."""
        hidden = self._run(self._inputs(tokens), None)
        if self._start is None:
            hidden = F.pad(hidden, (0, 0, 1, 0), value=torch.nan)[:, : tokens.shape[1]]
        return hidden.masked_fill(~self._answerable(tokens)[:, :, None], torch.nan)

    @torch.inference_mode()
    def encode_rows(self, tokens: Tensor, t: Tensor, where: Tensor) -> Tensor:
        """Return `encode` at the positions `where`, bool [B, L], from what is known of the prefixes: [N, D].

        Raises ValueError where a mask or nothing is to the left of one of them.
        """
        sequence, position = where.nonzero(as_tuple=True)
        if len(position) == 0:
            return self.encode(tokens[:, :1], t)[:0, 0]
        self._check(tokens, where)
        at = position - int(self._start is None)
        first, end = int(at.min()), int(at.max()) + 1
        inputs = self._inputs(tokens)[:, :end]
        if not self.cached:
            return self._run(inputs, None)[sequence, at]
        kept = min(self._common(inputs), first)
        cache, self._cache = self._cropped(kept), None  # a pass that fails leaves no half-written keys
        hidden = self._run(inputs[:, kept:], cache)
        self._cache, self._seen = cache, inputs
        return hidden[sequence, at - kept]

    @torch.inference_mode()
    def project(self, hidden: Tensor) -> Tensor:
        """Map [N, D] to logits [N, V], -inf at the mask."""
        logits = hidden if self._head is None else self._head(hidden)
        return F.pad(logits, (0, 1), value=-torch.inf)

    def _inputs(self, tokens: Tensor) -> Tensor:
        """Return what the network is given: tokens but the last, behind the start; a mask, which nothing reads, as
        0.
        """
        known = tokens.masked_fill(tokens == self.mask_id, 0)
        if self._start is None:
            return known if tokens.shape[1] == 1 else known[:, :-1]
        return F.pad(known[:, :-1], (1, 0), value=self._start)

    def _answerable(self, tokens: Tensor) -> Tensor:
        """Return bool [B, L]: where everything to the left is known, and something does."""
        known = (tokens != self.mask_id).cummin(-1).values
        return F.pad(known[:, :-1], (1, 0), value=self._start is not None)

    def _check(self, tokens: Tensor, where: Tensor) -> None:
        if self._start is None and bool(where[:, 0].any()):
            raise ValueError("the model has no token to begin a text with: give it a prompt")
        beyond = where & ~self._answerable(tokens)
        if bool(beyond.any()):
            raise ValueError(
                f"position {int(beyond.nonzero()[0, 1])} is masked and cannot be predicted from the left: "
                "choose --strategy left-to-right with a step for each position"
            )

    def _common(self, inputs: Tensor) -> int:
        """Return how many first tokens all rows have in common with what the cache holds."""
        if self._cache is None or len(self._seen) != len(inputs):
            return 0
        length = min(inputs.shape[1], self._seen.shape[1])
        same = (inputs[:, :length] == self._seen[:, :length]).all(0)
        return int(same.cummin(0).values.sum())

    def _cropped(self, kept: int) -> Any:
        """Return the cache cut down to the first tokens, or an empty one."""
        from transformers import DynamicCache

        if kept == 0:
            return DynamicCache()
        surplus = self._seen.shape[1] - kept
        if surplus:
            self._cache.crop(-surplus)
        return self._cache

    def _run(self, inputs: Tensor, cache: Any) -> Tensor:
        """Map inputs [B, n] behind what the cache holds to hidden [B, n, D], or logits where the head is not
        separable.
        """
        given = {"input_ids": inputs, "past_key_values": cache, "use_cache": cache is not None}
        return self._model(**given).logits if self._head is None else self._model.base_model(**given)[0]

    def _can_cache(self, probe: Tensor) -> bool:
        """Return whether keys and values taken back and used again give what a fresh pass gives."""
        from transformers import DynamicCache

        try:
            cache = DynamicCache()
            self._run(probe.flip(-1).index_copy(1, torch.tensor([0, 1], device=probe.device), probe[:, :2]), cache)
            cache.crop(2 - probe.shape[1])
            again = self._run(probe[:, 2:], cache)
        except FAULTS:
            return False
        return close(again, self._run(probe, None)[:, 2:])
