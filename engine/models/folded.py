"""A trained DIT that ignores the noise level, as the plain transformer it then is.

Without time conditioning every modulation is a constant.  Shifts, scales and norm weights go into the
matrix that follows, gates into the matrix before: the same function with no per-step modulation.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.models.dit import DIT, Block, rotate


class Layer(NamedTuple):
    """One block, folded: every tensor is in the compute type."""

    qkv: tuple[Tensor, Tensor]
    out: Tensor
    up: tuple[Tensor, Tensor]
    down: tuple[Tensor, Tensor]


def _after_norm(
    weight: Tensor, bias: Tensor | None, norm: Tensor, shift: Tensor, scale: Tensor
) -> tuple[Tensor, Tensor]:
    """(W, b) such that W n + b = weight (n * norm * (1 + scale) + shift) + bias."""
    folded = weight @ shift
    return weight * (norm * (1 + scale)), folded if bias is None else folded + bias


class FoldedDIT:
    """A denoiser for sampling: no autograd, residual stream in float32, matrices in `dtype`."""

    time_conditioned = False

    @torch.no_grad()
    def __init__(self, model: DIT, dtype: torch.dtype = torch.float32) -> None:
        if model.time_conditioned:
            raise ValueError("a time-conditioned model has no constant modulation to fold")
        self.vocab_size, self.mask_id, self.max_length = model.vocab_size, model.mask_id, model.max_length
        self.dtype = dtype
        self.n_heads = model.config.n_heads
        self.parameters = sum(p.numel() for p in model.parameters())
        self._rotary = model.rotary_emb
        weight = model.vocab_embed.embedding
        self.device = weight.device
        c = model.conditioning(torch.zeros(1, device=weight.device))[0]
        self.embedding = weight.detach().to(dtype)
        self.layers = [self._fold(cast(Block, block), c) for block in model.blocks]
        last = model.output_layer
        shift, scale = last.adaLN_modulation(c).chunk(2)
        head = _after_norm(last.linear.weight, last.linear.bias, last.norm_final.weight, shift, scale)
        self.head = (head[0].to(dtype), head[1].to(dtype))

    def _fold(self, block: Block, c: Tensor) -> Layer:
        first, second = cast(nn.Linear, block.mlp[0]), cast(nn.Linear, block.mlp[2])
        shift1, scale1, gate1, shift2, scale2, gate2 = block.adaLN_modulation(c).chunk(6)
        qkv = _after_norm(block.attn_qkv.weight, None, block.norm1.weight, shift1, scale1)
        up = _after_norm(first.weight, first.bias, block.norm2.weight, shift2, scale2)
        out = gate1[:, None] * block.attn_out.weight
        down = (gate2[:, None] * second.weight, gate2 * second.bias)
        to = self.dtype
        return Layer(
            (qkv[0].to(to), qkv[1].to(to)), out.to(to), (up[0].to(to), up[1].to(to)), (down[0].to(to), down[1].to(to))
        )

    @torch.inference_mode()
    def encode(self, tokens: Tensor, t: Tensor) -> Tensor:
        """tokens [B, L] -> normed hidden [B, L, D] in the compute type."""
        x, cos, sin = self._start(tokens)
        for layer in self.layers:
            q, k, v = self._qkv(layer, x, cos, sin)
            self._finish(layer, x, _attend(q, k, v))
        return self._norm(x)

    @torch.inference_mode()
    def encode_rows(self, tokens: Tensor, t: Tensor, where: Tensor) -> Tensor:
        """As `encode`, with the last block's queries, output and MLP at the chosen positions only: [N, D]."""
        x, cos, sin = self._start(tokens)
        for layer in self.layers[:-1]:
            q, k, v = self._qkv(layer, x, cos, sin)
            self._finish(layer, x, _attend(q, k, v))
        layer = self.layers[-1]
        normed = self._norm(x)
        dim = x.shape[-1]
        (weight, bias), batch, length = layer.qkv, *tokens.shape
        kv = F.linear(normed, weight[dim:], bias[dim:]).view(batch, length, 2, self.n_heads, -1)
        k, v = kv.permute(2, 0, 3, 1, 4)
        k = rotate(k, cos, sin)
        # ragged rows: every sequence asks as many queries as the longest; the surplus ones are dropped
        width = int(where.sum(-1).max())
        picks = where.to(torch.uint8).topk(width, dim=-1, sorted=True).indices.sort(-1).values
        real = where.gather(-1, picks)
        q = F.linear(_take(normed, picks), weight[:dim], bias[:dim]).view(batch, width, self.n_heads, -1)
        q = rotate(q, cos[picks][:, :, None], sin[picks][:, :, None]).transpose(1, 2)
        rows = _take(x, picks)
        self._finish(layer, rows, _attend(q, k, v))
        return self._ordered(self._norm(rows), picks, real)

    @torch.inference_mode()
    def project(self, hidden: Tensor) -> Tensor:
        return F.linear(hidden, *self.head)

    @staticmethod
    def _ordered(rows: Tensor, picks: Tensor, real: Tensor) -> Tensor:
        """The real rows, by sequence and then by position."""
        order = picks.masked_fill(~real, 1 << 40).argsort(-1)
        return _take(rows, order)[real.gather(-1, order)]

    def _start(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        cos, sin = self._rotary(tokens.shape[1])
        return F.embedding(tokens, self.embedding).float(), cos.to(self.dtype), sin.to(self.dtype)

    def _norm(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, x.shape[-1:]).to(self.dtype)

    def _qkv(self, layer: Layer, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        batch, length, _ = x.shape
        qkv = F.linear(self._norm(x), *layer.qkv).view(batch, length, 3, self.n_heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        return rotate(q, cos, sin), rotate(k, cos, sin), v

    def _finish(self, layer: Layer, x: Tensor, mixed: Tensor) -> None:
        """Add attention and MLP to the residual stream x [B, L, D] in place."""
        x += F.linear(mixed, layer.out)
        x += F.linear(F.gelu(F.linear(self._norm(x), *layer.up), approximate="tanh"), *layer.down)


def _attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Full attention: q [B, H, R, h], k and v [B, H, L, h] -> [B, R, H h]."""
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


def _take(x: Tensor, positions: Tensor) -> Tensor:
    """x [B, L, D] at positions [B, R] -> [B, R, D]."""
    return x.gather(1, positions[:, :, None].expand(-1, -1, x.shape[-1]))
