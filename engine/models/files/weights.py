"""Tensors by name, read one at a time, whatever file they lie in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from torch import Tensor


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

    def release(self, name: str) -> None:
        """Say that what `get` gave is no longer used, so that the file's pages need not stay in memory."""
        ...
