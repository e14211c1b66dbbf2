"""A safetensors file, its header checked in full, its tensors mapped into memory one by one."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.files.regular import regular_file
from engine.models.files.mapped import DIMENSIONS, LazyTensor, Mapped, Storage, printable
from engine.models.files.weights import plain_names

HEADER = 1 << 23
"""Bytes of the longest header that is read: room for some 80,000 tensors."""

TYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U64": torch.uint64,
    "U32": torch.uint32,
    "U16": torch.uint16,
    "U8": torch.uint8,
    "BOOL": torch.bool,
    "C64": torch.complex64,
}


class SafeWeights:
    """Weights in one safetensors file."""

    def __init__(self, path: Path) -> None:
        """Raise ValueError for a header that claims what is not in the file, or a byte twice."""
        self.path = path
        self._tensors = plain_names(path, _tensors(path))
        self._shapes = {name: tensor.shape for name, tensor in self._tensors.items()}
        self.total_bytes = sum(tensor.nbytes for tensor in self._tensors.values())

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        return self._shapes

    def get(self, name: str) -> Tensor:
        return self._tensors[name].get()

    def release(self, name: str) -> None:
        self._tensors[name].release()


def read_json(text: bytes) -> Any:
    """Parse JSON in which no name is given twice.  Raises ValueError, also for nesting too deep to read."""
    try:
        return json.loads(text, object_pairs_hook=_once)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"{printable(twice)} is there twice")
    return made


def _tensors(path: Path) -> dict[str, LazyTensor]:
    mapped = Mapped(regular_file(path))
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if mapped.size < 8 or length > mapped.size - 8:
                raise ValueError(f"its header of {length} bytes is longer than its {mapped.size} bytes")
            if length > HEADER:
                raise ValueError(f"its header of {length} bytes is longer than the {HEADER} that are read")
            header = read_json(file.read(length))
        if not isinstance(header, dict):
            raise ValueError("its header is not an object")
        header.pop("__metadata__", None)
        tensors = {name: _tensor(name, entry, mapped, 8 + length) for name, entry in header.items()}
        _check_cover(tensors, 8 + length, mapped.size)
    except ValueError as error:
        raise ValueError(f"{path} is not a safetensors file: {error}") from error
    return tensors


def _tensor(name: str, entry: Any, mapped: Mapped, start: int) -> LazyTensor:
    """Return a tensor as its header's entry {dtype, shape, data_offsets} has it; start: the byte that offsets count
    from.
    """
    try:
        kind, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
        dtype = TYPES.get(kind) if isinstance(kind, str) else None
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{printable(name)} is not described by a dtype, a shape and two offsets") from error
    if dtype is None:
        raise ValueError(f"{printable(name)} is of type {printable(kind)}; known are {', '.join(TYPES)}")
    if not isinstance(shape, list) or len(shape) > DIMENSIONS or not all(_whole(n) for n in (*shape, begin, end)):
        raise ValueError(f"{printable(name)} has a shape or offsets that are not whole numbers from 0 to 2^48")
    numel = math.prod(shape)
    if end - begin != numel * dtype.itemsize:
        raise ValueError(f"{printable(name)} has {numel} numbers of {kind}, but {end - begin} bytes")
    stride = [math.prod(shape[i + 1 :]) for i in range(len(shape))] if numel else [1] * len(shape)
    storage = Storage(mapped, start + begin, numel, dtype)
    return LazyTensor(storage, dtype, tuple(shape), tuple(stride))


def _whole(number: object) -> bool:
    return type(number) is int and 0 <= number <= 1 << 48


def _check_cover(tensors: Mapping[str, LazyTensor], start: int, size: int) -> None:
    """Raise ValueError unless the tensors lie one after the other from `start` to the file's end."""
    at = start
    for name, tensor in sorted(tensors.items(), key=lambda item: (item[1].start, item[1].nbytes)):
        if tensor.start != at:
            raise ValueError(f"{printable(name)} {'overlaps another tensor' if tensor.start < at else 'follows a gap'}")
        at += tensor.nbytes
    if at != size:
        raise ValueError(
            f"its tensors end at byte {at}, the file at {size}" + (": half a download?" if at > size else "")
        )
