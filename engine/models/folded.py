"""A trained DIT that ignores the noise level, as the plain transformer it then is.

Without time conditioning every modulation is a constant.  Shifts, scales and norm weights go into the
matrix that follows, gates into the matrix before: the same function with no per-step modulation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.models.attention import Attention, choose_attention, sdpa_where
from engine.models.chunking import portion
from engine.models.dit import DIT, Block
from engine.models.linear import LinearMap, linear
from engine.models.shadow import Shadowed, shadowed

HEAD_ROWS = 4096
"""Rows of the vocabulary head folded at once."""
MLP_ROWS = 256
"""Rows put through an MLP at once on a processor, which bounds its working memory."""


class FoldedLayer(NamedTuple):
    """One block, folded; queries come scaled by 1 / sqrt(head width)."""

    qkv: LinearMap
    out: LinearMap
    up: LinearMap
    """with its GELU"""
    down: LinearMap


def _after_norm(
    weight: Tensor, bias: Tensor | None, norm: Tensor, shift: Tensor, scale: Tensor
) -> tuple[Tensor, Tensor]:
    """Return (W, b) such that W n + b = weight (n * norm * (1 + scale) + shift) + bias."""
    folded = weight @ shift
    return weight * (norm * (1 + scale)), folded if bias is None else folded + bias


class FoldedDIT:
    """A denoiser for sampling: no autograd, residual stream in float32, matrices in `dtype`."""

    time_conditioned = False
    shadows = True
    fixed_shapes = True

    @torch.no_grad()
    def __init__(
        self,
        model: DIT,
        dtype: torch.dtype = torch.float32,
        attention: str = "auto",
        done: Callable[[nn.Module], object] = lambda module: None,
    ) -> None:
        """Build the sampler.  done: called with each part of the model once it is no longer needed."""
        if model.time_conditioned:
            raise ValueError("a time-conditioned model has no constant modulation to fold")
        self.vocab_size, self.mask_id, self.max_length = model.vocab_size, model.mask_id, model.max_length
        self.dtype = dtype
        self.n_heads = model.config.n_heads
        self.parameters = sum(p.numel() for p in model.parameters())
        self.embedding = model.vocab_embed.embedding.detach().to(dtype)
        done(model.vocab_embed)
        self.device = self.embedding.device
        self.attention, self._attend = choose_attention(attention, self.device, dtype)
        cos, sin = model.rotary_emb(model.config.length)
        half = cos.shape[-1] // 2
        self._cos, self._sin = cos[:, None, :half].to(dtype), sin[:, None, :half].to(dtype)
        c = model.conditioning(torch.zeros(1, device=self.device))[0]
        *blocks, last_block = (cast(Block, block) for block in model.blocks)
        self.layers = []
        for block in blocks:
            self.layers.append(self._fold(block, c))
            done(block)
        self.layers.append(self._fold(last_block, c))
        # the last block once more, its queries apart from its keys and values
        weight, bias = self._projections(last_block, c)
        done(last_block)
        dim = weight.shape[1]
        self._last_q, self._last_kv = linear(weight[:dim], bias[:dim]), linear(weight[dim:], bias[dim:])
        last = model.output_layer
        shift, scale = last.adaLN_modulation(c).chunk(2)
        head = torch.empty_like(last.linear.weight, dtype=dtype)
        # the largest matrix of all: no second copy in float32
        for rows, into in zip(torch.split(last.linear.weight, HEAD_ROWS), torch.split(head, HEAD_ROWS)):
            into.copy_(rows * (last.norm_final.weight * (1 + scale)))
        self.head = (head, (last.linear.weight @ shift + last.linear.bias).to(dtype))
        done(last)

    def _projections(self, block: Block, c: Tensor) -> tuple[Tensor, Tensor]:
        """Return (W [3 D, D], b) of a block's queries, keys and values, in the compute type."""
        shift, scale = block.adaLN_modulation(c).chunk(6)[:2]
        weight, bias = _after_norm(block.attn_qkv.weight, None, block.norm1.weight, shift, scale)
        dim = weight.shape[1]
        for part in (weight, bias):
            part[:dim] /= (dim / self.n_heads) ** 0.5
        return weight.to(self.dtype), bias.to(self.dtype)

    def _fold(self, block: Block, c: Tensor) -> FoldedLayer:
        first, second = cast(nn.Linear, block.mlp[0]), cast(nn.Linear, block.mlp[2])
        gate1, shift2, scale2, gate2 = block.adaLN_modulation(c).chunk(6)[2:]
        weight, bias = _after_norm(first.weight, first.bias, block.norm2.weight, shift2, scale2)
        to = self.dtype
        return FoldedLayer(
            qkv=linear(*self._projections(block, c)),
            out=linear((gate1[:, None] * block.attn_out.weight).to(to), None),
            up=linear(weight.to(to), bias.to(to), gelu=True),
            down=linear((gate2[:, None] * second.weight).to(to), (gate2 * second.bias).to(to)),
        )

    @torch.inference_mode()
    def encode(self, tokens: Tensor, t: Tensor) -> Tensor:
        """Map tokens [B, L] to normed hidden [B, L, D] in the compute type."""
        x = self._blocks(tokens, self.layers)
        return self._norm(x)

    @torch.inference_mode()
    def encode_rows(self, tokens: Tensor, t: Tensor, where: Tensor) -> Tensor:
        """Return `encode`, with the last block's queries, output and MLP at the chosen positions only: [N, D]."""
        x = self._blocks(tokens, self.layers[:-1])
        normed = self._norm(x)
        batch, length = tokens.shape
        k, v = self._last_kv(normed).view(batch, length, 2, self.n_heads, -1).unbind(2)
        self._rotate(k, self._cos[:length], self._sin[:length])
        sequence, position = where.nonzero(as_tuple=True)
        q = self._last_q(normed[sequence, position]).view(len(sequence), self.n_heads, -1)
        self._rotate(q, self._cos[position], self._sin[position])
        rows = x[sequence, position]
        self._finish(self.layers[-1], rows, attend_rows(self._attend, q, k, v, where, 1.0))
        return self._norm(rows)

    @torch.inference_mode()
    def encode_at(self, tokens: Tensor, t: Tensor, places: Tensor) -> Tensor:
        """See `engine.models.protocol.SlotDenoiser`."""
        x = self._blocks(tokens, self.layers[:-1])
        normed = self._norm(x)
        batch, length, width = x.shape
        k, v = self._last_kv(normed).view(batch, length, 2, self.n_heads, -1).unbind(2)
        self._rotate(k, self._cos[:length], self._sin[:length])
        there = places[:, :, None].expand(-1, -1, width)
        q = self._last_q(normed.gather(1, there)).view(*places.shape, self.n_heads, -1)
        self._rotate(q, self._cos[places], self._sin[places])
        rows = x.gather(1, there).flatten(0, 1)
        self._finish(self.layers[-1], rows, self._attend(q, k, v, 1.0, False).flatten(2).flatten(0, 1))
        return self._norm(rows).view(batch, -1, width)

    @torch.inference_mode()
    def encode_shadow(self, tokens: Tensor, t: Tensor, where: Tensor, block: Tensor) -> Tensor:
        """See `engine.models.protocol.ShadowDenoiser`."""
        given = shadowed(tokens, where, block, self.mask_id)
        x = self._blocks(given.tokens, self.layers, given)
        return self._norm(x[given.sequence, given.place])

    @torch.inference_mode()
    def project(self, hidden: Tensor) -> Tensor:
        return F.linear(hidden, *self.head)

    def _blocks(self, tokens: Tensor, layers: list[FoldedLayer], given: Shadowed | None = None) -> Tensor:
        """Map tokens [B, L] through the embedding and these layers to the residual stream, float32 [B, L, D].

        given: the text and its shadows that the tokens are; None: they are a text alone.
        """
        x = F.embedding(tokens, self.embedding).float()
        for layer in layers:
            self._finish(layer, x.flatten(0, 1), self._mix(layer, x, given).flatten(0, 1))
        return x

    def _mix(self, layer: FoldedLayer, x: Tensor, given: Shadowed | None) -> Tensor:
        """Apply the attention of a block, x [B, L, D] to [B, L, D]; its queries, keys and values end here."""
        batch, length, _ = x.shape
        q, k, v = layer.qkv(self._norm(x)).view(batch, length, 3, self.n_heads, -1).unbind(2)
        places = slice(length) if given is None else given.positions
        for turned in (q, k):
            self._rotate(turned, self._cos[places], self._sin[places])
        mixed = self._attend(q, k, v, 1.0, False) if given is None else sdpa_where(q, k, v, 1.0, given.sees)
        return mixed.flatten(2)

    def _norm(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, x.shape[-1:]).to(self.dtype)

    @staticmethod
    def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> None:
        """Apply `engine.models.dit.rotate` in place: x [..., H, h], cos and sin [..., 1, h / 2]."""
        a, b = x.chunk(2, -1)
        turned = a * sin
        a.mul_(cos).addcmul_(b, sin, value=-1)
        b.mul_(cos).add_(turned)

    def _finish(self, layer: FoldedLayer, x: Tensor, mixed: Tensor) -> None:
        """Add attention and MLP to the residual stream x [N, D] in place."""
        x += layer.out(mixed)
        for part in torch.split(x, portion(MLP_ROWS, self.device)):
            part += layer.down(layer.up(self._norm(part)))


def attend_rows(attend: Attention, q: Tensor, k: Tensor, v: Tensor, where: Tensor, scale: float) -> Tensor:
    """Return full attention for the queries q [N, H, h] of the positions `where`, bool [B, L]: [N, H h]."""
    if len(where) == 1:
        return attend(q[None], k, v, scale, False)[0].flatten(1)
    # ragged rows: every sequence asks as many queries as the longest
    counts = where.sum(-1)
    sequence = torch.repeat_interleave(counts)
    slot = torch.arange(len(q), device=q.device) - (counts.cumsum(0) - counts)[sequence]
    padded = q.new_zeros((len(where), int(counts.max()), *q.shape[1:]))
    padded[sequence, slot] = q
    return attend(padded, k, v, scale, False)[sequence, slot].flatten(1)
