"""A masked diffusion network for grids such as Sudokus: it is told which cells share a row, a column and a box.

The blocks of the network are looped: few weights, applied several times.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.models.causal_dit import CausalOutput
from engine.models.dit import BlockLayers, DITConfig, Embedding, vocabulary_logits
from engine.models.shadow import shadowed
from engine.records import GridLayout

RELATIONS = ("itself", "row", "column", "box")
"""What one cell may be to another."""
MOST_LOOPS = 64
FOCUS = 3.0
"""Bias of a head towards the cells it looks at, at first."""
SPREAD = 0.02
"""Standard deviation of the embeddings of a cell's place at first."""


@dataclass(frozen=True)
class GridConfig(DITConfig):
    """Shape of a `GridDIT`; `cond_dim` has no meaning here, and the length is that of the grid."""

    rows: int = 9
    columns: int = 9
    box_rows: int = 3
    box_columns: int = 3
    loops: int = 1
    """times that the blocks are applied one after the other"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if type(self.loops) is not int or not 0 < self.loops <= MOST_LOOPS:
            raise ValueError(f"loops must be a whole number in 1 to {MOST_LOOPS}, not {self.loops!r}")
        if self.length != self.layout.cells:
            raise ValueError(f"length must be {self.layout.cells}, the cells of the grid, not {self.length}")
        if self.time_conditioning:
            raise ValueError("the network of a grid takes no noise level: time_conditioning must be false")

    @property
    def layout(self) -> GridLayout:
        """How the cells lie; with as many symbols as cells in a unit, each is to stand there once."""
        units = {self.rows, self.columns, self.box_rows * self.box_columns}
        return GridLayout(self.rows, self.columns, self.box_rows, self.box_columns, units == {self.vocab_size - 1})

    @property
    def depth(self) -> int:
        return self.n_blocks * self.loops


class GridBlock(BlockLayers):
    """A pre-norm block without modulation, its attention biased by how two cells are related."""

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """Map x [B, L, D] float32 and the bias of attention, [H, L, L] or [B, H, L, L], to [B, L, D] float32."""
        batch, length, dim = x.shape
        dtype = self.attn_qkv.weight.dtype
        qkv = self.attn_qkv(self.norm1(x).to(dtype))
        q, k, v = qkv.view(batch, length, 3, self.n_heads, -1).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))
        x = x + self._drop(self.attn_out(mixed.transpose(1, 2).reshape(batch, length, dim)))
        return x + self._drop(self.mlp(self.norm2(x).to(dtype)))


class GridDIT(nn.Module):
    """A denoiser (see `engine.models.protocol`) that ignores the noise level."""

    places: Tensor
    related: Tensor

    def __init__(self, config: GridConfig) -> None:
        super().__init__()
        self.config = config
        self.vocab_size, self.mask_id = config.vocab_size, config.mask_id
        self.max_length: int | None = config.length
        self.time_conditioned = False
        layout, boxes = config.layout, config.layout.boxes
        self.vocab_embed = Embedding(config.vocab_size, config.hidden_size)
        counts = (layout.rows, layout.columns, int(boxes.max()) + 1)
        self.place_embed = nn.ParameterList(
            nn.Parameter(torch.randn(count, config.hidden_size) * SPREAD) for count in counts
        )
        """of a row, a column and a box"""
        # at first every fourth head looks at all cells, and the others at a row, a column or a box each
        first = FOCUS * torch.eye(len(RELATIONS)).index_fill(0, torch.tensor(0), 0.0)
        heads = torch.arange(config.n_heads) % len(RELATIONS)
        self.relation_bias = nn.Parameter(first[heads].repeat(config.n_blocks, 1, 1))
        self.blocks = nn.ModuleList(GridBlock(config) for _ in range(config.n_blocks))
        self.output_layer = CausalOutput(config)
        places = places_of(layout)
        # they follow from the configuration: no file holds them
        self.register_buffer("places", places, persistent=False)
        self.register_buffer("related", related(places), persistent=False)

    @property
    def device(self) -> torch.device:
        return self.vocab_embed.embedding.device

    def encode(self, tokens: Tensor, t: Tensor) -> Tensor:
        """Map tokens long [B, L], the grid's first L cells, to normed hidden [B, L, D]; t is ignored."""
        cells = torch.arange(tokens.shape[1], device=tokens.device)
        return self._encode(tokens, cells, None)

    def encode_shadow(self, tokens: Tensor, t: Tensor, where: Tensor, block: Tensor) -> Tensor:
        """See `engine.models.protocol.ShadowDenoiser`."""
        given = shadowed(tokens, where, block, self.mask_id)
        return self._encode(given.tokens, given.positions, given.sees)[given.sequence, given.place]

    def project(self, hidden: Tensor) -> Tensor:
        """Map hidden [N, D] to logits [N, V]; the mask's own logit means nothing."""
        head = self.output_layer.linear
        return vocabulary_logits(head, hidden.to(head.weight.dtype))

    def forward(self, tokens: Tensor, t: Tensor) -> Tensor:
        """Map tokens [B, L], t [B] to logits [B, L, V]."""
        return self.project(self.encode(tokens, t))

    def _encode(self, tokens: Tensor, cells: Tensor, sees: Tensor | None) -> Tensor:
        """Encode tokens [B, L] that stand in cells, long [L] or [B, L], and see those of bool [B, L, L]; None: all."""
        x = self.vocab_embed(tokens).float()
        for embedding, place in zip(self.place_embed, self.places, strict=True):
            x = x + F.embedding(place[cells], embedding)
        pairs = self.related[cells[..., :, None], cells[..., None, :]].to(self.relation_bias.dtype)
        biases = [torch.einsum("...ijr,hr->...hij", pairs, bias) for bias in self.relation_bias]
        if sees is not None:
            biases = [bias.masked_fill(~sees[:, None], -torch.inf) for bias in biases]
        for _ in range(self.config.loops):
            for block, bias in zip(self.blocks, biases, strict=True):
                x = block(x, bias)
        return self.output_layer(x)


def places_of(layout: GridLayout) -> Tensor:
    """Return the row, column and box of each cell, long [3, L]."""
    cells = torch.arange(layout.cells, device="cpu")
    rows, columns = cells // layout.columns, cells % layout.columns
    return torch.stack((rows, columns, torch.from_numpy(layout.boxes).flatten()))


def related(places: Tensor) -> Tensor:
    """Return which of RELATIONS hold between any two cells, bool [L, L, R], by their places [3, L]."""
    same = places[:, :, None] == places[:, None, :]
    return torch.cat((same.all(0, keepdim=True), same)).permute(1, 2, 0)


class GridSampler:
    """A denoiser for sampling: no autograd, residual stream in float32, matrices in `dtype`."""

    time_conditioned = False
    shadows = True
    attention = "sdpa"

    def __init__(self, model: GridDIT, dtype: torch.dtype = torch.float32) -> None:
        self._model = model.to(dtype)
        self.vocab_size, self.mask_id, self.max_length = model.vocab_size, model.mask_id, model.max_length
        self.device, self.dtype = model.device, dtype
        self.parameters = sum(p.numel() for p in model.parameters())

    @torch.inference_mode()
    def encode(self, tokens: Tensor, t: Tensor) -> Tensor:
        return self._model.encode(tokens, t)

    @torch.inference_mode()
    def encode_shadow(self, tokens: Tensor, t: Tensor, where: Tensor, block: Tensor) -> Tensor:
        """See `engine.models.protocol.ShadowDenoiser`."""
        return self._model.encode_shadow(tokens, t, where, block)

    @torch.inference_mode()
    def project(self, hidden: Tensor) -> Tensor:
        return self._model.project(hidden)
