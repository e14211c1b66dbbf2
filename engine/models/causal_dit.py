"""The autoregressive twin of the DIT: the same blocks without modulation, causal, as MDLM's release trains it.

`CausalDIT` holds the parameters by the names of its checkpoints.  `CachedCausal` samples from it: a denoiser that
looks to the left alone and remembers the keys and values of the prefixes it has seen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.models.attention import choose_attention
from engine.models.dit import BlockLayers, DITConfig, Embedding, Norm, Rotary, rotate, vocabulary_logits
from engine.models.linear import LinearMap, linear

CACHE_BYTES = 1 << 30
"""Keys and values that are kept at most; a batch that needs more is computed without."""
PAIRED = 1 << 22
"""Comparisons of tokens made at most to find rows that have changed places."""


class CausalBlock(BlockLayers):
    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Map x [B, L, D] float32 to [B, L, D] float32."""
        batch, length, dim = x.shape
        qkv = self.attn_qkv(self.norm1(x)).view(batch, length, 3, self.n_heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        q, k = rotate(q, cos, sin).to(v.dtype), rotate(k, cos, sin).to(v.dtype)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(batch, length, dim)
        x = x + self._drop(self.attn_out(mixed))
        return x + self._drop(self.mlp(self.norm2(x)))


class CausalOutput(nn.Module):
    def __init__(self, config: DITConfig) -> None:
        super().__init__()
        self.norm_final = Norm(config.hidden_size)
        self.linear = nn.Linear(config.hidden_size, config.vocab_size)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map x [B, L, D] to hidden [B, L, D], normed for the vocabulary."""
        return self.norm_final(x)


class CausalDIT(nn.Module):
    """Next-token logits; `cond_dim` and `time_conditioning` of the configuration have no meaning here."""

    def __init__(self, config: DITConfig) -> None:
        super().__init__()
        self.config = config
        self.vocab_embed = Embedding(config.vocab_size, config.hidden_size)
        self.rotary_emb = Rotary(config.hidden_size // config.n_heads)
        self.blocks = nn.ModuleList(CausalBlock(config) for _ in range(config.n_blocks))
        self.output_layer = CausalOutput(config)

    @property
    def device(self) -> torch.device:
        return self.vocab_embed.embedding.device

    def encode(self, inputs: Tensor) -> Tensor:
        """Map inputs long [B, L] to normed hidden [B, L, D] after each."""
        cos, sin = self.rotary_emb(inputs.shape[1])
        x = self.vocab_embed(inputs).float()
        for block in self.blocks:
            x = block(x, cos, sin)
        return self.output_layer(x)

    def project(self, hidden: Tensor) -> Tensor:
        """Map hidden [N, D] to logits [N, V] of the token that follows each; the mask's own means nothing."""
        return vocabulary_logits(self.output_layer.linear, hidden)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map inputs long [B, L] to logits [B, L, V]."""
        return self.project(self.encode(inputs))


class CausalLayer(NamedTuple):
    """One block with its norms' weights inside the matrices that follow them."""

    qkv: LinearMap
    out: LinearMap
    up: LinearMap
    """with its GELU"""
    down: LinearMap


class Prefixes:
    """Keys and values of a batch: valid for the first `known` inputs of every row.

    inputs long [B, L]; kv, for each layer (k, v), each [B, L, H, h].
    """

    def __init__(self, inputs: Tensor, layers: int, heads: int, width: int, dtype: torch.dtype) -> None:
        self.inputs, self.known = inputs, 0
        shape = (2, *inputs.shape, heads, width)
        self.kv = [torch.empty(shape, dtype=dtype, device=inputs.device) for _ in range(layers)]

    def common(self, inputs: Tensor, needed: int) -> tuple[int, Tensor | None]:
        """Return how many first inputs [B, L] every row shares with a row in here: (n, rows [B]; None: each with its
        own).

        Rows are looked for elsewhere only where their own do not give the `needed` number.
        """
        span = min(self.known, inputs.shape[1])
        known = self.inputs[:, :span]
        own = _shared(inputs[:, :span], known) if len(inputs) == len(known) else 0
        if own >= min(needed, span) or len(inputs) * self.inputs.numel() > PAIRED:
            return own, None
        longest = _lengths(inputs[:, None, :span] == known).max(-1)
        best = int(longest.values.min())
        return (best, longest.indices) if best > own else (own, None)


def _lengths(same: Tensor) -> Tensor:
    """Return how many of bool [..., L] hold before the first that does not, [...]."""
    return same.long().cumprod(-1).sum(-1)


def _shared(a: Tensor, b: Tensor) -> int:
    """Return how many first tokens all rows of a and b, [B, L] each, have in common."""
    return int(_lengths((a == b).all(0)))


class CachedCausal:
    """A denoiser for sampling from a CausalDIT: residual stream in float32, matrices in `dtype`.

    The hidden state of canvas position i is the network's at input i of (bos, token 0, ..., token L - 2), which
    predicts token i.  Nothing to the right of a position counts, masks to its left are read like any token.
    """

    time_conditioned = False

    @torch.no_grad()
    def __init__(
        self,
        model: CausalDIT,
        bos: int,
        dtype: torch.dtype = torch.float32,
        attention: str = "auto",
        cache_bytes: int = CACHE_BYTES,
        done: Callable[[nn.Module], object] = lambda module: None,
    ) -> None:
        """Build the sampler.  done: called with each part of the model once it is no longer needed."""
        config = model.config
        self.vocab_size, self.mask_id, self.bos = config.vocab_size, config.mask_id, bos
        self.max_length: int | None = config.length
        self.dtype, self.n_heads, self.cache_bytes = dtype, config.n_heads, cache_bytes
        self.parameters = sum(p.numel() for p in model.parameters())
        self.embedding = model.vocab_embed.embedding.detach().to(dtype)
        done(model.vocab_embed)
        self.device = self.embedding.device
        self.attention, self._attend = choose_attention(attention, self.device, dtype)
        self._width = config.hidden_size // config.n_heads
        cos, sin = model.rotary_emb(config.length)
        self._cos, self._sin = cos[:, None].to(dtype), sin[:, None].to(dtype)
        self.layers = []
        for block in model.blocks:
            self.layers.append(self._layer(cast(CausalBlock, block)))
            done(block)
        last = model.output_layer
        self.head = ((last.linear.weight * last.norm_final.weight).to(dtype), last.linear.bias.detach().to(dtype))
        done(last)
        self._cache: Prefixes | None = None

    def _layer(self, block: CausalBlock) -> CausalLayer:
        first, second, to = cast(nn.Linear, block.mlp[0]), cast(nn.Linear, block.mlp[2]), self.dtype
        return CausalLayer(
            qkv=linear((block.attn_qkv.weight * block.norm1.weight).to(to), None),
            out=linear(block.attn_out.weight.detach().to(to), None),
            up=linear((first.weight * block.norm2.weight).to(to), first.bias.detach().to(to), gelu=True),
            down=linear(second.weight.detach().to(to), second.bias.detach().to(to)),
        )

    @torch.inference_mode()
    def encode(self, tokens: Tensor, t: Tensor) -> Tensor:
        """Map tokens long [B, L] to normed hidden [B, L, D], without the cache."""
        return self._run(self._inputs(tokens), 0, None)

    @torch.inference_mode()
    def follow(self, inputs: Tensor) -> Tensor:
        """Map inputs long [B, L], without a start token, to normed hidden [B, L, D] after each."""
        return self._run(inputs, 0, None)

    @torch.inference_mode()
    def encode_rows(self, tokens: Tensor, t: Tensor, where: Tensor) -> Tensor:
        """Return `encode` at the positions `where`, bool [B, L], from what is known of the prefixes: [N, D]."""
        columns = where.any(0).nonzero()[:, 0]
        if len(columns) == 0:
            return self.embedding.new_empty((0, self.embedding.shape[1]))
        first, end = int(columns[0]), int(columns[-1]) + 1
        inputs = self._inputs(tokens)
        cache = self._prefixes(inputs, first)
        if cache is None:
            return self._run(inputs[:, :end], 0, None)[where[:, :end]]
        # a hidden state is not kept, so what is needed is computed even where its keys are known
        known = cache.known
        start = min(known, first)
        hidden = self._run(inputs[:, start:end], start, cache)
        cache.inputs[:, start:end] = inputs[:, start:end]
        cache.known = max(known, end)
        return hidden[where[:, start:end]]

    @torch.inference_mode()
    def project(self, hidden: Tensor) -> Tensor:
        return F.linear(hidden, *self.head)

    def _inputs(self, tokens: Tensor) -> Tensor:
        """Map tokens [B, L] to (bos, all but the last) [B, L]."""
        return F.pad(tokens[:, :-1], (1, 0), value=self.bos)

    def _prefixes(self, inputs: Tensor, needed: int) -> Prefixes | None:
        """Return the cache made to fit these rows, `known` as far as it holds for all; None where it would be too
        large.
        """
        need = inputs.numel() * 2 * len(self.layers) * self.embedding.shape[1] * self.embedding.element_size()
        old, self._cache = self._cache, None
        if need > self.cache_bytes:
            return None
        known, rows = old.common(inputs, needed) if old is not None else (0, None)
        if old is not None and rows is None and old.inputs.shape == inputs.shape:
            cache = old
        else:
            cache = Prefixes(inputs.clone(), len(self.layers), self.n_heads, self._width, self.dtype)
            if old is not None and known:
                for new, kept in zip(cache.kv, old.kv, strict=True):
                    new[:, :, :known] = kept[:, :, :known] if rows is None else kept[:, rows, :known]
        cache.known, self._cache = known, cache
        return cache

    def _run(self, inputs: Tensor, start: int, cache: Prefixes | None) -> Tensor:
        """Map inputs [B, n], which stand at `start` and after to normed hidden [B, n, D]; earlier keys are the
        cache's.
        """
        batch, count = inputs.shape
        end = start + count
        x = F.embedding(inputs, self.embedding).float()
        cos, sin = self._cos[start:end], self._sin[start:end]
        for number, layer in enumerate(self.layers):
            q, k, v = layer.qkv(self._norm(x)).view(batch, count, 3, self.n_heads, -1).unbind(2)
            q, k = rotate(q, cos, sin), rotate(k, cos, sin)
            if cache is not None:
                kept = cache.kv[number]
                kept[0, :, start:end], kept[1, :, start:end] = k, v
                k, v = kept[:, :, :end]
            x += layer.out(self._mix(q, k, v).flatten(2))
            x += layer.down(layer.up(self._norm(x)))
        return self._norm(x)

    def _mix(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Return the causal attention of the last n of m inputs: q [B, n, H, h], k and v [B, m, H, h] -> [B, n, H,
        h].
        """
        count, end = q.shape[1], k.shape[1]
        scale = self._width**-0.5
        if count == end:
            return self._attend(q, k, v, scale, True)
        if count == 1:
            return self._attend(q, k, v, scale, False)
        seen = torch.ones((count, end), dtype=torch.bool, device=q.device).tril(end - count)
        q, k, v = (part.transpose(1, 2) for part in (q, k, v))
        return F.scaled_dot_product_attention(q, k, v, attn_mask=seen, scale=scale).transpose(1, 2)

    def _norm(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, x.shape[-1:]).to(self.dtype)
