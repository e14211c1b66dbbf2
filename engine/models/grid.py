"""A masked diffusion network for grids such as Sudokus: it is told which cells share a row, a column and a box.

The blocks of the network are looped: few weights, applied several times.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.models.causal_dit import CausalOutput
from engine.models.dit import BlockLayers, DITConfig, Embedding, vocabulary_logits
from engine.models.folded import FoldedLayer
from engine.models.linear import linear
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
        """Map x [B, L, D] float32 and the bias of attention, [1 or B, H, L, L], to [B, L, D] float32."""
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
        # made on the CPU in any context: for the meta device torch brings in its compiler, whose import takes a second
        cpu, there = torch.device("cpu"), torch.get_default_device()
        self.place_embed = nn.ParameterList(
            nn.Parameter((torch.randn(count, config.hidden_size, device=cpu) * SPREAD).to(there)) for count in counts
        )
        """of a row, a column and a box"""
        # at first every fourth head looks at all cells, and the others at a row, a column or a box each
        first = FOCUS * torch.eye(len(RELATIONS), device=cpu)
        first[0] = 0.0
        heads = torch.arange(config.n_heads, device=cpu) % len(RELATIONS)
        self.relation_bias = nn.Parameter(first[heads].repeat(config.n_blocks, 1, 1).to(there))
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
        biases = self.biases(cells, sees)
        for _ in range(self.config.loops):
            for block, bias in zip(self.blocks, biases, strict=True):
                x = block(x, bias)
        return self.output_layer(x)

    def biases(self, cells: Tensor, sees: Tensor | None) -> list[Tensor]:
        """Return the bias of each block's attention, [1 or B, H, L, L], between cells as `_encode` takes them."""
        pairs = self.related[cells[..., :, None], cells[..., None, :]].to(self.relation_bias.dtype)
        found = [torch.einsum("...ijr,hr->...hij", pairs, bias) for bias in self.relation_bias]
        if sees is not None:
            found = [bias.masked_fill(~sees[:, None], -torch.inf) for bias in found]
        return [bias.expand(len(bias) if bias.dim() == 4 else 1, *bias.shape[-3:]) for bias in found]


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
    """A denoiser for sampling: no autograd, norms folded into what follows them, matrices in `dtype`."""

    time_conditioned = False
    shadows = True
    attention = "sdpa"

    @torch.no_grad()
    def __init__(self, model: GridDIT, dtype: torch.dtype = torch.float32) -> None:
        self._model, self._loops = model, model.config.loops
        self.vocab_size, self.mask_id, self.max_length = model.vocab_size, model.mask_id, model.max_length
        self.device, self.dtype, self._n_heads = model.device, dtype, model.config.n_heads
        self.parameters = sum(p.numel() for p in model.parameters())
        self._embedding = model.vocab_embed.embedding.to(dtype)
        embeddings = zip(model.place_embed, model.places, strict=True)
        self._places = torch.stack([embedding.to(dtype).float()[place] for embedding, place in embeddings]).sum(0)
        """of each cell, float32 [L, D]"""
        self._biases = [
            bias.to(dtype) for bias in model.biases(torch.arange(model.config.length, device=self.device), None)
        ]
        self._layers = [self._fold(cast(GridBlock, block)) for block in model.blocks]
        last = model.output_layer
        self._head = (last.linear.weight * last.norm_final.weight).to(dtype), last.linear.bias.to(dtype)

    def _fold(self, block: GridBlock) -> FoldedLayer:
        first, second, to = cast(nn.Linear, block.mlp[0]), cast(nn.Linear, block.mlp[2]), self.dtype
        return FoldedLayer(
            qkv=linear((block.attn_qkv.weight * block.norm1.weight).to(to), None),
            out=linear(block.attn_out.weight.to(to), None),
            up=linear((first.weight * block.norm2.weight).to(to), first.bias.to(to), gelu=True),
            down=linear(second.weight.to(to), second.bias.to(to)),
        )

    @torch.inference_mode()
    def encode(self, tokens: Tensor, t: Tensor) -> Tensor:
        """Map tokens long [B, L] to normed hidden [B, L, D] in the compute type."""
        length = tokens.shape[1]
        x = F.embedding(tokens, self._embedding).float() + self._places[:length]
        return self._blocks(x, [bias[..., :length, :length] for bias in self._biases])

    @torch.inference_mode()
    def encode_shadow(self, tokens: Tensor, t: Tensor, where: Tensor, block: Tensor) -> Tensor:
        """See `engine.models.protocol.ShadowDenoiser`."""
        given = shadowed(tokens, where, block, self.mask_id)
        x = F.embedding(given.tokens, self._embedding).float() + self._places[given.positions]
        biases = [bias.to(self.dtype) for bias in self._model.biases(given.positions, given.sees)]
        return self._blocks(x, biases)[given.sequence, given.place]

    @torch.inference_mode()
    def project(self, hidden: Tensor) -> Tensor:
        return F.linear(hidden, *self._head)

    def _blocks(self, x: Tensor, biases: list[Tensor]) -> Tensor:
        """Map x float32 [B, L, D] through all loops to normed hidden, in place."""
        batch, length, dim = x.shape
        for _ in range(self._loops):
            for layer, bias in zip(self._layers, biases, strict=True):
                qkv = layer.qkv(self._norm(x)).view(batch, length, 3, self._n_heads, -1)
                q, k, v = qkv.permute(2, 0, 3, 1, 4)
                mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
                x += layer.out(mixed.transpose(1, 2).reshape(batch, length, dim))
                x += layer.down(layer.up(self._norm(x)))
        return self._norm(x)

    def _norm(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, x.shape[-1:]).to(self.dtype)
