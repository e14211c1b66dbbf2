"""Tensors by name, read one at a time, whatever file they lie in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, TypeVar

from torch import Tensor

WRAPPED = re.compile(r"^(?:module\.)+|(?<![^.])(?:_orig_mod|_fsdp_wrapped_module)\.")
"""What DDP puts before names, and torch.compile and FSDP into them."""
Tensors = TypeVar("Tensors")


def plain_name(name: str) -> str:
    """Return a tensor's name without what DDP, FSDP and torch.compile add to it."""
    return WRAPPED.sub("", WRAPPED.sub("", name))


def plain_names(path: Path, tensors: Mapping[str, Tensors]) -> dict[str, Tensors]:
    """Return the tensors by their plain names.  Raises ValueError if two have the same."""
    plain = {plain_name(name): tensor for name, tensor in tensors.items()}
    if len(plain) != len(tensors):
        raise ValueError(f"{path} has a tensor both with and without the prefix of DDP or torch.compile")
    return plain


class Weights(Protocol):
    """Tensors that lie in files until they are read."""

    @property
    def path(self) -> Path:
        """Return the path to name in an error"""
        ...

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]: ...

    @property
    def total_bytes(self) -> int:
        """Return the bytes of all tensors together"""
        ...

    def get(self, name: str) -> Tensor:
        """Return the tensor on the CPU in the file's own type, mapped rather than copied where the format allows it."""
        ...

    def release(self, name: str) -> None:
        """Release the pages of `get`'s result, which is no longer used."""
        ...
