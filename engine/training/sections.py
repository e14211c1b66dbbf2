"""The sections of a training configuration that belong to no objective; every default is declared here."""

from __future__ import annotations

from typing import Literal

import msgspec

from engine.training.precision import Precision


class GridSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The layout of a network for grids (`engine.models.grid`)."""

    rows: int = 9
    columns: int = 9
    box_rows: int = 3
    box_columns: int = 3
    loops: int = 1
    """Times that the blocks are applied one after the other."""


class ModelSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The network's shape; a file may give `size`, a name in configs/models, in place of the fields set there."""

    vocab_size: int = 8192
    hidden_size: int = 384
    n_blocks: int = 6
    n_heads: int = 6
    cond_dim: int = 128
    length: int = 256
    dropout: float = 0.1
    time_conditioning: bool | None = None
    """Whether the network takes the noise level; None: as is usual for the objective."""
    grid: GridSection | None = None
    """A network that knows rows, columns and boxes; None: one for text."""


class DataSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    rows: Literal["windows", "wrapped"] = "windows"
    """Windows begin anywhere in the text; wrapped ones are its pieces one after the other, an end of text at both ends
    of each, as MDLM's code has them."""
    tokenizer: str | None = None
    """One that exists, by name or path, a mask put behind its last token; None: trained on the text."""
    generated: Literal["sudoku"] | None = None
    """Data that are made here and come with their tokenizer; None: those of --data."""
    grids: int = 1000
    """How many full grids are made, each shown in ever new symmetric copies."""


class OptimSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`muon` orthogonalises the updates of the blocks' matrices and leaves the rest to AdamW."""

    name: Literal["adamw", "muon"] = "adamw"
    lr: float = 3e-4
    matrix_lr: float = 3e-4
    """Learning rate of the matrices under `muon`, scaled so that their updates are as large as AdamW's."""
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    clip: float = 1.0
    warmup: int = 2500
    cooldown: int = 0
    """Steps at the end over which the learning rate falls linearly to zero."""


class RunSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    init: str | None = None
    """A model to begin with the weights of, as --model takes it; it also gives the default shape and tokenizer."""
    steps: int = 100_000
    batch: int = 512
    rows_together: int = 0
    """Rows of a batch that go through the network at a time, their gradients added up; 0: all."""
    max_weight: float = 1000.0
    """Cap on the bound's weight 1/t in training: below 1/eps it trades bias at small t for less noise."""
    curriculum: int = 0
    """Steps over which the largest time trained on grows from 0.3 to 1."""
    ema: float = 0.9999
    seed: int = 1
    spike: float = 0.0
    """Stop when the loss exceeds its average by this factor; 0: never."""
    checkpoint_every: int = 500
    keep: int = 0
    """How many of the latest checkpoints to keep as step files, besides the last and the best; 0: none."""
    validate_every: int = 500
    validation_windows: int = 256
    sample_every: int = 0
    """Steps between texts that are sampled from the averaged weights, which are saved for it; 0: none."""
    precision: Precision = "auto"
    """Of the matrix products; auto: bfloat16 where the device has instructions for it, else float32."""
    compile: bool | None = None
    """Whether the network's blocks are compiled; None: on CUDA."""
    recompute: bool = False
    """Whether activations are computed again for the gradients in place of being kept."""
    strategy: Literal["ddp", "fsdp"] = "ddp"
    """Whether each of several processes holds the whole network, or a share of each tensor."""
