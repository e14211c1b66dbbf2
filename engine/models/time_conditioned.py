"""Sampling a DIT conditioned on the noise level: SEDD's score network, and D3PM trained with time."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.models.attention import choose_attention, sdpa_where
from engine.models.dit import DIT, Block, modulate, rotate
from engine.models.folded import attend_rows
from engine.models.linear import LinearMap, linear
from engine.models.shadow import Shadowed, shadowed

SMALL_SIGMA = 0.5
"""Below it SEDD's code takes expm1(sigma), above it exp(sigma) - 1."""


class TimeConditionedLayer(NamedTuple):
    """One block's matrices in the compute type, its norms' weights in float32."""

    norm1: Tensor
    qkv: LinearMap
    out: LinearMap
    norm2: Tensor
    up: LinearMap
    """with its GELU"""
    down: LinearMap


class Modulation(NamedTuple):
    """What the noise level does to one block, each float32 [B, 1, D]."""

    shift1: Tensor
    scale1: Tensor
    gate1: Tensor
    shift2: Tensor
    scale2: Tensor
    gate2: Tensor

    def at(self, sequence: Tensor) -> Modulation:
        """Return the modulation of N rows, each of one of the sequences [N]: [N, D]."""
        return Modulation(*(part[sequence, 0] for part in self))


class TimedDIT:
    """The denoiser that `DIT.encode` is: residual stream and modulation in float32, matrices in `dtype`."""

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
        config = model.config
        self.vocab_size, self.mask_id, self.max_length = model.vocab_size, model.mask_id, model.max_length
        self.time_conditioned = model.time_conditioned
        self.dtype, self.n_heads = dtype, config.n_heads
        self.parameters = sum(p.numel() for p in model.parameters())
        self.embedding = model.vocab_embed.embedding.detach().to(dtype)
        done(model.vocab_embed)
        self.device = self.embedding.device
        self.attention, self._attend = choose_attention(attention, self.device, dtype)
        self._scale = (config.hidden_size // config.n_heads) ** -0.5
        cos, sin = model.rotary_emb(config.length)
        self._cos, self._sin = cos[:, None].to(dtype), sin[:, None].to(dtype)
        self._sigma_map = model.sigma_map
        blocks = [cast(Block, block) for block in model.blocks]
        last = model.output_layer
        # every block's modulation is one row of one product
        modulations = [*(block.adaLN_modulation for block in blocks), last.adaLN_modulation]
        self._modulation = (torch.cat([m.weight for m in modulations]), torch.cat([m.bias for m in modulations]))
        dim, weight = config.hidden_size, blocks[-1].attn_qkv.weight
        self._last_q, self._last_kv = (linear(part.detach().to(dtype), None) for part in (weight[:dim], weight[dim:]))
        self.layers = []
        for block in blocks:
            self.layers.append(self._layer(block))
            done(block)
        self._norm_final = last.norm_final.weight.detach()
        self.head = (last.linear.weight.detach().to(dtype), last.linear.bias.detach().to(dtype))
        done(last)

    def _layer(self, block: Block) -> TimeConditionedLayer:
        first, second, to = cast(nn.Linear, block.mlp[0]), cast(nn.Linear, block.mlp[2]), self.dtype
        return TimeConditionedLayer(
            norm1=block.norm1.weight.detach(),
            qkv=linear(block.attn_qkv.weight.detach().to(to), None),
            out=linear(block.attn_out.weight.detach().to(to), None),
            norm2=block.norm2.weight.detach(),
            up=linear(first.weight.detach().to(to), first.bias.detach().to(to), gelu=True),
            down=linear(second.weight.detach().to(to), second.bias.detach().to(to)),
        )

    @torch.inference_mode()
    def encode(self, tokens: Tensor, t: Tensor) -> Tensor:
        """Map tokens long [B, L], t float [B], the masked fraction to hidden [B, L, D] in the compute type."""
        return self._encode(tokens, self._noise(t))

    @torch.inference_mode()
    def encode_rows(self, tokens: Tensor, t: Tensor, where: Tensor) -> Tensor:
        """Return `encode`, with the last block's queries, output and MLP at the positions `where` only: [N, D]."""
        parts, final = self._modulations(self._noise(t))
        x = self._blocks(tokens, parts[:-1])
        layer, (batch, length) = self.layers[-1], tokens.shape
        normed = self._normed(x, layer.norm1, parts[-1].shift1, parts[-1].scale1)
        k, v = self._last_kv(normed).view(batch, length, 2, self.n_heads, -1).unbind(2)
        k = rotate(k, self._cos[:length], self._sin[:length])
        sequence, position = where.nonzero(as_tuple=True)
        q = self._last_q(normed[sequence, position]).view(len(sequence), self.n_heads, -1)
        q = rotate(q, self._cos[position], self._sin[position])
        rows = x[sequence, position]
        mixed = attend_rows(self._attend, q, k, v, where, self._scale)
        self._finish(layer, parts[-1].at(sequence), rows, mixed)
        shift, scale = (part[sequence, 0] for part in final)
        return self._normed(rows, self._norm_final, shift, scale)

    @torch.inference_mode()
    def encode_shadow(self, tokens: Tensor, t: Tensor, where: Tensor, block: Tensor) -> Tensor:
        """See `engine.models.protocol.ShadowDenoiser`."""
        given = shadowed(tokens, where, block, self.mask_id)
        parts, final = self._modulations(self._noise(t))
        rows = self._blocks(given.tokens, parts, given)[given.sequence, given.place]
        return self._normed(rows, self._norm_final, *(part[given.sequence, 0] for part in final))

    @torch.inference_mode()
    def project(self, hidden: Tensor) -> Tensor:
        """Map hidden [N, D] to logits [N, V]."""
        return F.linear(hidden, *self.head)

    def _noise(self, t: Tensor) -> Tensor:
        """Return sigma of the loglinear schedule at t [B], 0 where the network was trained without it."""
        return -torch.log1p(-(1 - 1e-3) * t.float()) if self.time_conditioned else torch.zeros_like(t.float())

    def _encode(self, tokens: Tensor, sigma: Tensor) -> Tensor:
        parts, final = self._modulations(sigma)
        return self._normed(self._blocks(tokens, parts), self._norm_final, *final)

    def _modulations(self, sigma: Tensor) -> tuple[list[Modulation], tuple[Tensor, Tensor]]:
        """Map sigma [B] to each block's, and the (shift, scale) before the head, each [B, 1, D]."""
        flat = F.linear(F.silu(self._sigma_map(sigma)), *self._modulation)[:, None]
        parts = torch.split(flat, self.embedding.shape[1], dim=-1)
        blocks = [Modulation(*parts[6 * i : 6 * i + 6]) for i in range(len(self.layers))]
        return blocks, (parts[-2], parts[-1])

    def _blocks(self, tokens: Tensor, parts: list[Modulation], given: Shadowed | None = None) -> Tensor:
        """Map tokens [B, L] through the embedding and the first blocks to the residual stream, float32 [B, L, D].

        given: the text and its shadows that the tokens are; None: they are a text alone.
        """
        batch, length = tokens.shape
        x = F.embedding(tokens, self.embedding).float()
        places = slice(length) if given is None else given.positions
        cos, sin = self._cos[places], self._sin[places]
        for layer, part in zip(self.layers, parts, strict=False):
            qkv = layer.qkv(self._normed(x, layer.norm1, part.shift1, part.scale1))
            q, k, v = qkv.view(batch, length, 3, self.n_heads, -1).unbind(2)
            q, k = rotate(q, cos, sin), rotate(k, cos, sin)
            if given is None:
                mixed = self._attend(q, k, v, self._scale, False)
            else:
                mixed = sdpa_where(q, k, v, self._scale, given.sees)
            self._finish(layer, part, x, mixed.flatten(2))
        return x

    def _finish(self, layer: TimeConditionedLayer, part: Modulation, x: Tensor, mixed: Tensor) -> None:
        """Add attention and MLP, gated, to the residual stream in place."""
        x += part.gate1 * layer.out(mixed)
        x += part.gate2 * layer.down(layer.up(self._normed(x, layer.norm2, part.shift2, part.scale2)))

    def _normed(self, x: Tensor, weight: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
        return modulate(F.layer_norm(x, x.shape[-1:]) * weight, shift, scale).to(self.dtype)


class ScoreDIT(TimedDIT):
    """SEDD's network (arXiv 2310.16834): its output is the log of the concrete score but for a constant.

    The constant, -log(exp(sigma) - 1) - log(V - 1), cancels in the softmax over tokens, so that as a denoiser the
    network needs none.  louaaron's code has it inside the forward, the Kuleshov group's outside: one function.
    """

    @torch.inference_mode()
    def scores(self, tokens: Tensor, sigma: Tensor) -> Tensor:
        """Map tokens [B, L], sigma [B] to p_t(y) / p_t(x) for every y at every position, float32 [B, L, V].

        A token's own score is 1.
        """
        noise = sigma.float() if self.time_conditioned else torch.zeros_like(sigma.float())
        logits = self.project(self._encode(tokens, noise).flatten(0, 1)).view(*tokens.shape, -1)
        log_score = logits.float() - log_scale(sigma, self.vocab_size).float()[:, None, None]
        return log_score.scatter_(-1, tokens[:, :, None], 0.0).exp_()


def log_scale(sigma: Tensor, vocab_size: int) -> Tensor:
    """Return log(exp(sigma) - 1) + log(V - 1), float64 [B]: what SEDD subtracts from its output (`scale_by_sigma`)."""
    exact = sigma.double()
    return torch.where(exact < SMALL_SIGMA, exact.expm1(), exact.exp() - 1).log() + math.log(vocab_size - 1)
