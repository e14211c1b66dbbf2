"""RoBERTa as SSD-LM is trained here: a block holds points on the simplex of the vocabulary, what is before it tokens.

Norms and attention have no biases, which are zeros in the layout of SSD-LM (`engine.models.ssd_lm_layout`).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.models.dit import BlockLayers, DITConfig, Embedding, Norm

SPREAD = 0.02
"""Standard deviation of the embeddings of positions at first."""


class PostNormBlock(BlockLayers):
    """A block that norms what it has added."""

    def forward(self, x: Tensor, there: Tensor) -> Tensor:
        """Map x [B, L, D] float32 and which positions are there, bool [B, 1, 1, L], to [B, L, D] float32."""
        batch, length, dim = x.shape
        q, k, v = self.attn_qkv(x).view(batch, length, 3, self.n_heads, -1).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=there).transpose(1, 2).reshape(batch, length, dim)
        x = self.norm1(x + self._drop(self.attn_out(mixed)))
        return self.norm2(x + self._drop(self.mlp(x)))


class TiedOutput(nn.Module):
    """RoBERTa's head but for the embeddings, which its product with the vocabulary shares."""

    def __init__(self, config: DITConfig) -> None:
        super().__init__()
        self.dense, self.norm = nn.Linear(config.hidden_size, config.hidden_size), Norm(config.hidden_size)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))

    def forward(self, x: Tensor) -> Tensor:
        """Map x [B, L, D] to hidden [B, L, D], normed for the vocabulary."""
        return self.norm(F.gelu(self.dense(x)))


class SimplexRoberta(nn.Module):
    """The network in training; `cond_dim` and `time_conditioning` of the configuration have no meaning here."""

    def __init__(self, config: DITConfig) -> None:
        super().__init__()
        self.config = config
        self.vocab_size, self.mask_id = config.vocab_size, config.mask_id
        self.vocab_embed = Embedding(config.vocab_size, config.hidden_size)
        self.place_embed = nn.Parameter(torch.randn(config.length, config.hidden_size) * SPREAD)
        self.norm_embed = Norm(config.hidden_size)
        self.embed_sum = nn.Linear(config.vocab_size, config.hidden_size, bias=False)
        with torch.no_grad():
            self.embed_sum.weight.copy_(self.vocab_embed.embedding.T)
        self.timestep = nn.Linear(1, config.hidden_size)
        self.blocks = nn.ModuleList(PostNormBlock(config) for _ in range(config.n_blocks))
        self.output_layer = TiedOutput(config)

    @property
    def device(self) -> torch.device:
        return self.vocab_embed.embedding.device

    def encode(self, tokens: Tensor, first: Tensor, shares: Tensor, t: Tensor) -> Tensor:
        """Map tokens long [B, L], a block's first positions long [B], its points shares [B, N, V] and t [B] to hidden
        [B, N, D] there.

        The network sees no further than the block's end; what tokens are inside does not matter.
        """
        length, size = tokens.shape[1], shares.shape[1]
        inside = first[:, None] + torch.arange(size, device=first.device)
        columns = inside[:, :, None].expand(-1, -1, self.config.hidden_size)
        there = torch.arange(length, device=first.device) < first[:, None] + size
        mixed = self.embed_sum(shares) + self.timestep(t.float()[:, None])[:, None]
        x = self.vocab_embed(tokens).float().scatter(1, columns, mixed.float())
        x = self._drop(self.norm_embed(x + self.place_embed[:length]))
        for block in self.blocks:
            x = block(x, there[:, None, None])
        return self.output_layer(x.gather(1, columns))

    def project(self, hidden: Tensor) -> Tensor:
        """Map hidden [N, D] to logits [N, V]; the mask's own logit means nothing."""
        return F.linear(hidden, self.vocab_embed.embedding, self.output_layer.bias)

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.config.dropout, self.training) if self.config.dropout else x
