"""Tensors by name, read one at a time, whatever file they lie in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from torch import Tensor

from engine.models.files.safe import SafeWeights

NAMES = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
"""What weights are called in a directory, best first."""


class Weights(Protocol):
    """Tensors that lie in files until they are asked for."""

    @property
    def path(self) -> Path:
        """what to name in an error"""
        ...

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]: ...

    @property
    def total_bytes(self) -> int:
        """of all tensors together"""
        ...

    def get(self, name: str) -> Tensor:
        """The tensor on the CPU in the file's own type, mapped rather than copied where the format allows it."""
        ...


def open_weights(path: Path) -> Weights:
    """The weights in a file or a directory.  Raises ValueError that names what is wrong with them."""
    if path.is_dir():
        found = [path / name for name in NAMES if (path / name).is_file()]
        if not found:
            raise ValueError(f"{path} has no weights: looked for {', '.join(NAMES)}")
        path = found[0]
    if path.name.endswith(".safetensors.index.json"):
        return SafeWeights.sharded(path)
    return SafeWeights.single(path)
