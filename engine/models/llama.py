"""The transformer of Llama and Qwen without its causal mask, as the diffusion LLMs trained it.

`Body` holds the parameters by names of its own; `Bidirectional` is the denoiser that computes with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.models.attention import choose_attention, sdpa_where
from engine.models.dit import rotate
from engine.models.folded import attend_rows
from engine.models.shadow import shadowed

LARGEST = 1 << 20
"""No count in a configuration is larger."""
LAYERS = 1024


@dataclass(frozen=True)
class LlamaShape:
    """What a configuration says of the network.  Raises ValueError for what no network can have."""

    vocab_size: int
    """rows of the embedding, which may be more than the tokenizer has tokens"""
    hidden_size: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    """each shared by n_heads / n_kv_heads query heads"""
    head_dim: int
    mlp_size: int
    max_length: int
    rope_theta: float = 10_000.0
    eps: float = 1e-6
    """of the RMS norms"""
    qkv_bias: bool = False
    qk_norm: bool = False
    """whether queries and keys have an RMS norm of their own, as in Qwen3"""
    tied: bool = False
    """whether the head is the embedding"""
    shifted: bool = False
    """whether position i is predicted by the output at i - 1, as a model made from an autoregressive one may do"""

    def __post_init__(self) -> None:
        for name in (
            "vocab_size", "hidden_size", "n_layers", "n_heads", "n_kv_heads", "head_dim", "mlp_size", "max_length",
        ):  # fmt: skip
            value, most = getattr(self, name), LAYERS if name == "n_layers" else LARGEST
            if type(value) is not int or not 0 < value <= most:
                raise ValueError(f"{name} must be a whole number in 1 to {most}, not {value!r}")
        for name in ("rope_theta", "eps"):
            value = getattr(self, name)
            if type(value) not in (int, float) or not 0 < value < 1e12:
                raise ValueError(f"{name} must be a positive number, not {value!r}")
        if self.n_heads % self.n_kv_heads or self.head_dim % 2:
            raise ValueError(
                f"{self.n_heads} heads must share {self.n_kv_heads} key heads evenly, "
                f"and their width {self.head_dim} must be even"
            )


class LlamaLayer(nn.Module):
    """One block's parameters."""

    def __init__(self, shape: LlamaShape) -> None:
        super().__init__()
        dim, queries, keys = shape.hidden_size, shape.n_heads * shape.head_dim, shape.n_kv_heads * shape.head_dim
        self.norm1 = nn.RMSNorm(dim, shape.eps)
        self.q = nn.Linear(dim, queries, bias=shape.qkv_bias)
        self.k = nn.Linear(dim, keys, bias=shape.qkv_bias)
        self.v = nn.Linear(dim, keys, bias=shape.qkv_bias)
        if shape.qk_norm:
            self.q_norm, self.k_norm = nn.RMSNorm(shape.head_dim, shape.eps), nn.RMSNorm(shape.head_dim, shape.eps)
        self.out = nn.Linear(queries, dim, bias=False)
        self.norm2 = nn.RMSNorm(dim, shape.eps)
        self.gate = nn.Linear(dim, shape.mlp_size, bias=False)
        self.up = nn.Linear(dim, shape.mlp_size, bias=False)
        self.down = nn.Linear(shape.mlp_size, dim, bias=False)


class Body(nn.Module):
    """All parameters; build it on the meta device and let `engine.models.files.fill` give it a file's."""

    def __init__(self, shape: LlamaShape) -> None:
        super().__init__()
        self.shape = shape
        self.embed = nn.Embedding(shape.vocab_size, shape.hidden_size)
        self.layers = nn.ModuleList(LlamaLayer(shape) for _ in range(shape.n_layers))
        self.norm = nn.RMSNorm(shape.hidden_size, shape.eps)
        if not shape.tied:
            self.head = nn.Linear(shape.hidden_size, shape.vocab_size, bias=False)


class Bidirectional:
    """A denoiser for sampling: no autograd, residual stream and norms in float32, matrices in the weights' type."""

    time_conditioned = False

    def __init__(self, body: Body, mask_id: int, known: int | None = None, attention: str = "auto") -> None:
        """Build the sampler.  known: how many of the vocabulary's first ids are tokens; the rest are never proposed."""
        shape = body.shape
        self.shape, self.mask_id, self.known = shape, mask_id, shape.vocab_size if known is None else known
        self.vocab_size, self.max_length = shape.vocab_size, shape.max_length
        # a shifted one predicts a position by its left neighbour's row, which a shadow does not have
        self.shadows = not shape.shifted
        self.parameters = sum(p.numel() for p in body.parameters())
        body = body.eval().requires_grad_(False)
        self.embedding, self.norm = body.embed.weight, body.norm
        self.layers = [cast(LlamaLayer, layer) for layer in body.layers]
        self.head = self.embedding if shape.tied else body.head.weight
        self.device, self.dtype = self.embedding.device, self.embedding.dtype
        self.attention, self._attend = choose_attention(attention, self.device, self.dtype)
        half = torch.arange(0, shape.head_dim, 2, dtype=torch.float64)
        self._rates = (float(shape.rope_theta) ** (-half / shape.head_dim)).float().to(self.device)

    @torch.inference_mode()
    def encode(self, tokens: Tensor, t: Tensor) -> Tensor:
        """Map tokens [B, L] to hidden [B, L, D], from which `project` predicts the token at the same position."""
        cos, sin = self._rotation(tokens.shape[1])
        x = self._through(self.layers, tokens, cos, sin)
        normed = self.norm(x).to(self.dtype)
        return torch.cat((normed[:, :1], normed[:, :-1]), 1) if self.shape.shifted else normed

    @torch.inference_mode()
    def encode_rows(self, tokens: Tensor, t: Tensor, where: Tensor) -> Tensor:
        """Return `encode`, with the last block's queries, output and MLP at the chosen positions only: [N, D]."""
        cos, sin = self._rotation(tokens.shape[1])
        x = self._through(self.layers[:-1], tokens, cos, sin)
        layer, scale = self.layers[-1], self.shape.head_dim**-0.5
        normed = layer.norm1(x).to(self.dtype)
        k, v = self._keys_values(layer, normed, cos, sin)
        sequence, position = where.nonzero(as_tuple=True)
        if self.shape.shifted:
            position = (position - 1).clamp(min=0)
        q = self._queries(layer, normed[sequence, position], cos[position], sin[position])
        mixed = attend_rows(self._attend, q, k, v, where, scale)
        return self.norm(self._finish(layer, x[sequence, position], mixed)).to(self.dtype)

    @torch.inference_mode()
    def encode_shadow(self, tokens: Tensor, t: Tensor, where: Tensor, block: Tensor) -> Tensor:
        """See `engine.models.protocol.ShadowDenoiser`."""
        given = shadowed(tokens, where, block, self.mask_id)
        cos, sin = (part[given.positions] for part in self._rotation(tokens.shape[1]))
        x = self._through(self.layers, given.tokens, cos, sin, given.sees)
        return self.norm(x[given.sequence, given.place]).to(self.dtype)

    @torch.inference_mode()
    def project(self, hidden: Tensor) -> Tensor:
        logits = F.linear(hidden, self.head)
        logits[:, self.known :] = -torch.inf
        return logits

    def _rotation(self, length: int) -> tuple[Tensor, Tensor]:
        """Return cos and sin of every position, float32 [L, 1, h]."""
        angles = torch.outer(torch.arange(length, device=self.device).float(), self._rates)
        angles = torch.cat((angles, angles), -1)[:, None]
        return angles.cos(), angles.sin()

    def _through(
        self, layers: list[LlamaLayer], tokens: Tensor, cos: Tensor, sin: Tensor, sees: Tensor | None = None
    ) -> Tensor:
        """Map tokens [B, L] through the embedding and these layers to the residual stream, float32 [B, L, D].

        sees: where each row looks, bool [B, L, L]; None: everywhere.
        """
        x = F.embedding(tokens, self.embedding).float()
        scale = self.shape.head_dim**-0.5
        for layer in layers:
            normed = layer.norm1(x).to(self.dtype)
            q = self._queries(layer, normed, cos, sin)
            k, v = self._keys_values(layer, normed, cos, sin)
            mixed = self._attend(q, k, v, scale, False) if sees is None else sdpa_where(q, k, v, scale, sees)
            x = self._finish(layer, x, mixed.flatten(2))
        return x

    def _queries(self, layer: LlamaLayer, normed: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Map normed [..., D] to rotated queries [..., H, h]."""
        q = layer.q(normed).unflatten(-1, (self.shape.n_heads, -1))
        return self._turn(layer.q_norm(q.float()) if self.shape.qk_norm else q, cos, sin)

    def _keys_values(self, layer: LlamaLayer, normed: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
        """Map normed [B, L, D] to turned keys, and values, each [B, L, heads, h] with as many heads as the kernel
        wants.
        """
        k, v = (part(normed).unflatten(-1, (self.shape.n_kv_heads, -1)) for part in (layer.k, layer.v))
        k = self._turn(layer.k_norm(k.float()) if self.shape.qk_norm else k, cos, sin)
        if not self.attention.startswith("flash"):  # which shares them by itself
            shared = self.shape.n_heads // self.shape.n_kv_heads
            k, v = (part.repeat_interleave(shared, -2) for part in (k, v))
        return k, v

    def _turn(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        return rotate(x.float(), cos, sin).to(self.dtype)

    def _finish(self, layer: LlamaLayer, x: Tensor, mixed: Tensor) -> Tensor:
        """Return the residual stream x [..., D] after a block's attention and SwiGLU MLP."""
        x = x + layer.out(mixed)
        normed = layer.norm2(x).to(self.dtype)
        return x + layer.down(F.silu(layer.gate(normed)) * layer.up(normed))
