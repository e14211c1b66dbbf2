"""Tensors that lie in a file until they are read, and then are the file's own pages."""

from __future__ import annotations

import math
import mmap
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

SHOWN = 120
"""Letters of a name in an error; names come from the file."""


def printable(name: object) -> str:
    """Return a name out of a file, fit for one line of a message; of other values the type, since they may be
    endless.
    """
    text = name if isinstance(name, str) else f"<{type(name).__name__}>"
    cut = text[:SHOWN] + ("..." if len(text) > SHOWN else "")
    return cut if cut.isprintable() else ascii(cut)


DIMENSIONS = 16
"""More than any tensor of a network has."""
LARGEST = 1 << 60


class Mapped:
    """A file of weights, mapped into memory when first read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = path.stat().st_size
        self._map: mmap.mmap | None = None

    def tensor(self, start: int, count: int, dtype: torch.dtype) -> Tensor:
        """Return `count` numbers from byte `start` on, [count]; writing to them changes this process's copy alone."""
        if count == 0:
            return torch.empty(0, dtype=dtype)
        pages = self._pages()
        if start % dtype.itemsize:
            # kernels may assume that a number lies at a multiple of its size
            nbytes = count * dtype.itemsize
            copied = torch.frombuffer(pages, dtype=torch.uint8, count=nbytes, offset=start).clone().view(dtype)
            self.release(start, nbytes)
            return copied
        return torch.frombuffer(pages, dtype=dtype, count=count, offset=start)

    def release(self, start: int, nbytes: int) -> None:
        """Let go of the pages wholly inside the span; reading them again fetches them again."""
        first = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE
        length = (start + nbytes) // mmap.PAGESIZE * mmap.PAGESIZE - first
        if self._map is not None and length > 0 and hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED, first, length)

    def _pages(self) -> mmap.mmap:
        if self._map is None:
            try:
                with self.path.open("rb") as file:
                    pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
            except OSError as error:
                raise ValueError(f"{self.path} cannot be read: {error.strerror or error}") from error
            if len(pages) != self.size:
                raise ValueError(f"{self.path} changed while it was being read")
            self._map = pages
        return self._map


@dataclass(eq=False)
class Storage:
    """A run of numbers of one type in a file, of which tensors are views."""

    file: Mapped
    start: int
    """the byte where it begins; set late where a format says so at its end"""
    numel: int
    dtype: torch.dtype


@dataclass(frozen=True, eq=False)
class LazyTensor:
    """A tensor in a file: what it would be, and `get` to have it."""

    storage: Storage
    dtype: torch.dtype
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int = 0
    """in numbers, from the storage's start"""

    def __post_init__(self) -> None:
        """Raise ValueError where the view does not lie inside its storage, or repeats the storage's numbers."""
        sizes = (*self.shape, *self.stride, self.offset)
        whole = all(type(n) is int and 0 <= n < LARGEST for n in sizes)
        if not whole or len(self.shape) != len(self.stride) or len(self.shape) > DIMENSIONS:
            raise ValueError("a tensor has a shape, strides or an offset that no tensor can have")
        if math.prod(n or 1 for n in self.shape) >= LARGEST:
            raise ValueError(f"a shape of {list(self.shape)} is too large for any tensor")
        room = self.storage.numel * self.storage.dtype.itemsize // self.dtype.itemsize
        if self.numel > room or self.offset + self.extent > room:
            raise ValueError(
                f"a shape of {list(self.shape)} with strides of {list(self.stride)} from {self.offset} on "
                f"does not fit its storage of {room} numbers"
            )

    @property
    def numel(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.numel * self.dtype.itemsize

    @property
    def extent(self) -> int:
        """Return the count of the storage's numbers from the first to the last that is used"""
        return 1 + sum((n - 1) * step for n, step in zip(self.shape, self.stride)) if self.numel else 0

    @property
    def start(self) -> int:
        """Return the byte of the file where the first number lies"""
        return self.storage.start + self.offset * self.dtype.itemsize

    def get(self) -> Tensor:
        """Return the tensor on the CPU in the file's own type, mapped rather than copied."""
        flat = self.storage.file.tensor(self.start, self.extent, self.dtype)
        return flat.as_strided(self.shape, self.stride)

    def release(self) -> None:
        """Release the pages of `get`'s result, which is no longer used."""
        self.storage.file.release(self.start, self.extent * self.dtype.itemsize)
