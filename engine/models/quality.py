"""A head that scores how likely each token is right, as PRISM trains one (arXiv 2510.01384), and its file."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from engine.files.atomic import tidy
from engine.files.checksums import CHECKSUM, check_checksum, replacing_checked
from engine.files.run_layout import QUALITY
from engine.models.files.safe import SafeWeights
from engine.models.files.strict_load import fill
from engine.models.protocol import Denoiser, device_of

WIDTH = 64
"""Hidden units."""


class QualityHead(nn.Module):
    """Maps what a network gives of a position to the log-odds that the token there is right."""

    def __init__(self, size: int, width: int = WIDTH) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(size, width), nn.Linear(width, 1)

    def forward(self, hidden: Tensor) -> Tensor:
        """Map hidden [N, D] to scores [N], float32."""
        return self.down(nn.functional.gelu(self.up(hidden.float())))[:, 0]


def hidden_size(model: Denoiser) -> int:
    """Return D, the numbers that a model's network gives of a position."""
    place = device_of(model)
    tokens = torch.full((1, 1), model.mask_id, dtype=torch.long, device=place)
    return int(model.encode(tokens, torch.ones(1, device=place)).shape[-1])


def write_head(head: QualityHead, home: Path) -> Path:
    """Write a head into a directory, beside the model that it reads; return its file."""
    home.mkdir(parents=True, exist_ok=True)
    tidy(home, (QUALITY, QUALITY + CHECKSUM))
    with replacing_checked(home / QUALITY) as part:
        save_file(
            {name: tensor.detach().float().cpu().contiguous() for name, tensor in head.state_dict().items()}, part
        )
        part.chmod(0o644)
    return home / QUALITY


def read_head(path: Path, size: int, device: torch.device) -> QualityHead:
    """Return the head in a file for networks that give `size` numbers of a position.

    Raises ValueError naming what does not fit.
    """
    weights = SafeWeights(path)
    check_checksum(path)
    width = weights.shapes.get("down.weight", (1, WIDTH))[-1]
    with torch.device("meta"):
        head = QualityHead(size, width)
    try:
        fill(head, weights, device=device, dtype=lambda _: torch.float32)
    except ValueError as error:
        raise ValueError(f"{path}: {error}; train a head for this model, or remove the file") from error
    return head.eval().requires_grad_(False)
