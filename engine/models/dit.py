"""The diffusion transformer of SEDD, MDLM and ReMDM, with the parameter names their checkpoints use.

`DIT` is the network as it is trained: a pre-norm transformer whose norms are modulated by the noise
level (adaLN-zero).  `engine.models.folded` turns a trained one that ignores the noise level into a
plain transformer for sampling.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FREQUENCIES = 256
"""Width of the sinusoidal embedding of the noise level."""
MULTIPLE = 64
"""Widths that a GPU multiplies fast are multiples of it."""


@dataclass(frozen=True)
class DITConfig:
    """Shape of a DIT; the defaults are the field's "small" model on GPT-2's vocabulary plus a mask."""

    vocab_size: int = 50258
    hidden_size: int = 768
    n_blocks: int = 12
    n_heads: int = 12
    cond_dim: int = 128
    length: int = 1024
    mask_id: int = 50257
    time_conditioning: bool = False
    dropout: float = 0.0

    def __post_init__(self) -> None:
        for name in ("vocab_size", "hidden_size", "n_blocks", "n_heads", "cond_dim", "length"):
            value = getattr(self, name)
            if type(value) is not int or not 0 < value <= 1 << 20:
                raise ValueError(f"{name} must be a whole number in 1 to {1 << 20}, not {value!r}")
        if self.hidden_size % self.n_heads or (self.hidden_size // self.n_heads) % 2:
            raise ValueError(f"hidden_size {self.hidden_size} must split into {self.n_heads} heads of even width")
        if type(self.mask_id) is not int or not 0 <= self.mask_id < self.vocab_size:
            raise ValueError(f"mask_id must lie in 0 to {self.vocab_size - 1}, not {self.mask_id!r}")
        if type(self.time_conditioning) is not bool:
            raise ValueError(f"time_conditioning must be true or false, not {self.time_conditioning!r}")
        if type(self.dropout) not in (int, float) or not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be a number from 0 to below 1, not {self.dropout!r}")

    @property
    def depth(self) -> int:
        """Return how many blocks a token goes through."""
        return self.n_blocks

    def to_dict(self) -> dict[str, object]:
        return asdict(self)


class Embedding(nn.Module):
    def __init__(self, vocab_size: int, dim: int) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.empty(vocab_size, dim))
        nn.init.kaiming_uniform_(self.embedding, a=math.sqrt(5))

    def forward(self, tokens: Tensor) -> Tensor:
        return F.embedding(tokens, self.embedding)


class Norm(nn.Module):
    """LayerNorm with a weight and no bias, always computed in float32."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x.float(), x.shape[-1:]) * self.weight


class NoiseEmbedding(nn.Module):
    """sigma [B] -> conditioning [B, cond_dim]: sinusoid, Linear, SiLU, Linear."""

    def __init__(self, cond_dim: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(FREQUENCIES, cond_dim), nn.SiLU(), nn.Linear(cond_dim, cond_dim))

    def forward(self, sigma: Tensor) -> Tensor:
        half = FREQUENCIES // 2
        rates = torch.exp(-math.log(10000.0) * torch.arange(half, device=sigma.device) / half)
        angles = sigma.float()[:, None] * rates
        return self.mlp(torch.cat((angles.cos(), angles.sin()), -1))


class Rotary(nn.Module):
    """Rotary position embedding, base 10000, halves rotated as in GPT-NeoX."""

    inv_freq: Tensor

    def __init__(self, head_dim: int) -> None:
        super().__init__()
        # on the CPU in any context: for the meta device torch brings in its compiler, whose import takes a second
        self.register_buffer("inv_freq", 1 / 10000 ** (torch.arange(0, head_dim, 2, device="cpu").float() / head_dim))

    def forward(self, length: int) -> tuple[Tensor, Tensor]:
        """Return cos and sin, each [L, head_dim]."""
        angles = torch.outer(torch.arange(length, device=self.inv_freq.device).float(), self.inv_freq)
        angles = torch.cat((angles, angles), -1)
        return angles.cos(), angles.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate the last dimension of x by position; cos and sin broadcast against x."""
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat((-b, a), -1) * sin


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    return x * (1 + scale) + shift


class BlockLayers(nn.Module):
    """What all blocks consist of; a kind of network adds its `forward`, and what else it has."""

    def __init__(self, config: DITConfig) -> None:
        super().__init__()
        dim = config.hidden_size
        self.n_heads, self.dropout = config.n_heads, config.dropout
        self.norm1 = Norm(dim)
        self.attn_qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.attn_out = nn.Linear(dim, dim, bias=False)
        self.norm2 = Norm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(approximate="tanh"), nn.Linear(4 * dim, dim))

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training) if self.dropout else x


class Block(BlockLayers):
    def __init__(self, config: DITConfig) -> None:
        super().__init__(config)
        self.adaLN_modulation = nn.Linear(config.cond_dim, 6 * config.hidden_size)
        nn.init.zeros_(self.adaLN_modulation.weight)
        nn.init.zeros_(self.adaLN_modulation.bias)

    def forward(self, x: Tensor, c: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Map x [B, L, D] float32, c [B, cond_dim] to [B, L, D] float32."""
        shift1, scale1, gate1, shift2, scale2, gate2 = self.adaLN_modulation(c)[:, None].chunk(6, -1)
        batch, length, dim = x.shape
        qkv = self.attn_qkv(modulate(self.norm1(x), shift1, scale1))
        q, k, v = qkv.view(batch, length, 3, self.n_heads, -1).permute(2, 0, 3, 1, 4)
        q, k = rotate(q, cos, sin).to(v.dtype), rotate(k, cos, sin).to(v.dtype)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, length, dim)
        x = x + gate1 * self._drop(self.attn_out(mixed))
        return x + gate2 * self._drop(self.mlp(modulate(self.norm2(x), shift2, scale2)))


class Output(nn.Module):
    def __init__(self, config: DITConfig) -> None:
        super().__init__()
        self.norm_final = Norm(config.hidden_size)
        self.linear = nn.Linear(config.hidden_size, config.vocab_size)
        self.adaLN_modulation = nn.Linear(config.cond_dim, 2 * config.hidden_size)
        for layer in (self.linear, self.adaLN_modulation):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """Map x [B, L, D], c [B, cond_dim] to hidden [B, L, D], normed and modulated for the vocabulary."""
        shift, scale = self.adaLN_modulation(c)[:, None].chunk(2, -1)
        return modulate(self.norm_final(x), shift, scale)


def vocabulary_logits(head: nn.Linear, hidden: Tensor, multiple: int = MULTIPLE) -> Tensor:
    """Map hidden [..., D] to logits [..., V] of a network in training.

    A GPU takes three times as long for products as wide as 50,258 as for those of a width that is a `multiple`.
    """
    short = -head.out_features % multiple
    if hidden.device.type != "cuda" or not short:
        return head(hidden)
    return widened(head, hidden, short)


def widened(head: nn.Linear, hidden: Tensor, more: int) -> Tensor:
    """Return head(hidden), computed with this many columns more, which are cut off."""
    weight, bias = F.pad(head.weight, (0, 0, 0, more)), F.pad(head.bias, (0, more))
    return F.linear(hidden, weight, bias)[..., : head.out_features]


class DIT(nn.Module):
    """A denoiser (see `engine.models.protocol`): encode is the whole network but for the vocabulary head."""

    def __init__(self, config: DITConfig) -> None:
        super().__init__()
        self.config = config
        self.vocab_size = config.vocab_size
        self.mask_id = config.mask_id
        self.max_length: int | None = config.length
        self.time_conditioned = config.time_conditioning
        self.vocab_embed = Embedding(config.vocab_size, config.hidden_size)
        self.sigma_map = NoiseEmbedding(config.cond_dim)
        self.rotary_emb = Rotary(config.hidden_size // config.n_heads)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_blocks))
        self.output_layer = Output(config)

    @property
    def device(self) -> torch.device:
        return self.vocab_embed.embedding.device

    def conditioning(self, t: Tensor) -> Tensor:
        """Map t [B], the masked fraction 1 - alpha in [0, 1] to [B, cond_dim].

        The network was trained on sigma = -log alpha of the loglinear schedule, alpha = 1 - (1 - 1e-3) t,
        or, without time conditioning, on sigma = 0.
        """
        sigma = -torch.log1p(-(1 - 1e-3) * t.float()) if self.time_conditioned else torch.zeros_like(t.float())
        return F.silu(self.sigma_map(sigma))

    def encode(self, tokens: Tensor, t: Tensor) -> Tensor:
        """Map tokens long [B, L], t float [B] to hidden [B, L, D], normed and modulated for `project`."""
        c = self.conditioning(t)
        cos, sin = self.rotary_emb(tokens.shape[1])
        x = self.vocab_embed(tokens).float()
        for block in self.blocks:
            x = block(x, c, cos, sin)
        return self.output_layer(x, c)

    def project(self, hidden: Tensor) -> Tensor:
        """Map hidden [N, D] to logits [N, V]; the mask's own logit means nothing."""
        return vocabulary_logits(self.output_layer.linear, hidden)

    def forward(self, tokens: Tensor, t: Tensor) -> Tensor:
        """Map tokens [B, L], t [B] to logits [B, L, V]."""
        return self.project(self.encode(tokens, t))
