"""Files that torch.save wrote, read without running anything that they say."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from engine.files.regular import regular_file
from engine.models.files.archive import Archive
from engine.models.files.containers import Rebuild, Refused, Stub
from engine.models.files.mapped import LazyTensor, Mapped, Storage, printable
from engine.models.files.refusals import START, check_start
from engine.models.files.safe_unpickler import SafeUnpickler
from engine.models.files.weights import plain_names

PICKLE = 1 << 25
"""Bytes of the longest pickle that is read; numbers are stored outside it."""
LEGACY = bytes.fromhex("6cfc9c46f9206aa85019")
"""A number whose pickle begins the files of torch before 1.6."""
SHARED = 8
"""How many times a file's own bytes its tensors may claim together: some are stored once under several names."""
WRAPPERS = ("state_dict", "model_state_dict", "model", "module")
"""Under what training programs save a network's tensors: Lightning, torch's tutorials, SEDD, DeepSpeed."""

TYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
    "UntypedStorage": torch.uint8,
}
FLOATS = ("float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "complex64", "complex128")
WHOLES = ("int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8", "bool")
DTYPES = {f"torch.{name}": getattr(torch, name) for name in (*FLOATS, *WHOLES)}


@dataclass(frozen=True)
class PickledFile:
    """What a file of torch.save holds: plain values, `LazyTensor` for tensors, `Stub` for all else."""

    path: Path
    value: Any


def read_pickle(path: Path) -> PickledFile:
    """Return the structure in a .ckpt, .pt, .pth or .bin file; its tensors stay in the file until they are read.

    Raises ValueError with one sentence for a file that is damaged, cut off, compressed, or lies about its sizes.
    """
    try:
        with regular_file(path).open("rb") as file:
            start = file.read(START)
            check_start(path, start)
            if start.startswith(b"PK"):
                return PickledFile(path, _zipped(path, file))
            if LEGACY in start[:32]:
                return PickledFile(path, _legacy(path, file))
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from error
    raise ValueError(f"{path} is not a file of torch.save: it starts with {start[:8]!r}")


def is_pickled(path: Path) -> bool | None:
    """Return whether a file begins as those of torch.save do, or as a safetensors file; None if as neither."""
    try:
        with regular_file(path).open("rb") as file:
            start = file.read(32)
    except OSError:
        return None
    if start.startswith(b"PK") or LEGACY in start:
        return True
    return False if start[8:9] == b"{" else None


def tensors_by_name(path: Path, value: object) -> dict[str, LazyTensor]:
    """Return the tensors of a structure: those under the first of WRAPPERS that it has, else its own.

    Raises ValueError for a structure without tensors, or with one of a kind that is not read.
    """
    found = value
    if isinstance(value, dict):
        found = next((value[name] for name in WRAPPERS if isinstance(value.get(name), dict)), value)
    named = found if isinstance(found, dict) else {}
    for name, tensor in named.items():
        if isinstance(tensor, Stub):
            raise ValueError(f"{path}: {printable(name)} is {tensor!r}, not a plain tensor")
    tensors = {name: tensor for name, tensor in named.items() if isinstance(tensor, LazyTensor) and type(name) is str}
    if not tensors:
        what = repr(found) if isinstance(found, Stub) else f"a {type(found).__name__} without any"
        raise ValueError(f"{path} holds no tensors by name, but {what}")
    return plain_names(path, tensors)


class PickledWeights:
    """Weights in a file of torch.save."""

    def __init__(self, path: Path, tensors: Mapping[str, LazyTensor] | None = None) -> None:
        """Map tensors of a file.  tensors: which of them, by the names to give them; else all that have names in it."""
        self.path = path
        self._tensors = dict(tensors_by_name(path, read_pickle(path).value) if tensors is None else tensors)
        self._shapes = {name: tensor.shape for name, tensor in self._tensors.items()}
        self.total_bytes = sum(tensor.nbytes for tensor in self._tensors.values())
        size = path.stat().st_size
        if self.total_bytes > SHARED * size:
            raise ValueError(f"the tensors of {path} claim {self.total_bytes} bytes, the file has {size}")

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        return self._shapes

    def get(self, name: str) -> Tensor:
        return self._tensors[name].get()

    def release(self, name: str) -> None:
        self._tensors[name].release()


def _zipped(path: Path, file: BinaryIO) -> Any:
    archive = Archive(path, file)
    pickles = [name for name in archive.members if name.split("/")[1:] == ["data.pkl"]]
    if len(pickles) != 1:
        raise ValueError(f"{path} is a zip file, but not of torch.save: it has no data.pkl")
    home = pickles[0].removesuffix("data.pkl")
    if f"{home}byteorder" in archive.members and archive.read(f"{home}byteorder", 16) != b"little":
        raise ValueError(f"{path} was written on a big-endian machine: write it again on a little-endian one")
    mapped = Mapped(path)

    def storage(key: str, dtype: torch.dtype, numel: int) -> Storage:
        member = archive.members.get(f"{home}data/{key}")
        if member is None:
            raise Refused(f"storage {printable(key)} is not in the file")
        if not 0 <= member.size - numel * dtype.itemsize < dtype.itemsize:
            raise Refused(f"storage {printable(key)} claims {numel} numbers of {dtype}, but has {member.size} bytes")
        return Storage(mapped, archive.start(member), numel, dtype)

    return _loaded(path, _machine(_Storages(storage)), io.BytesIO(archive.read(pickles[0], PICKLE)))


def _legacy(path: Path, file: BinaryIO) -> Any:
    """Read pickles of a number, a version, a description, the structure and the storages' keys, then the storages."""
    mapped = Mapped(path)
    storages = _Storages(lambda key, dtype, numel: Storage(mapped, 0, numel, dtype))
    file.seek(0)
    stream = io.BytesIO(file.read(PICKLE))
    machine = _machine(storages)
    _, _, machine_info, value, keys = (_loaded(path, machine, stream) for _ in range(5))
    if not isinstance(machine_info, dict) or machine_info.get("little_endian") is not True:
        raise ValueError(f"{path} was written on a big-endian machine: write it again on a little-endian one")
    if type(keys) is not list or any(type(key) is not str for key in keys) or set(keys) != set(storages.known):
        raise ValueError(f"{path} does not list the storages that its tensors lie in")
    at = stream.tell()
    for key in keys:
        storage = storages.known[key]
        file.seek(at)
        head = file.read(8)
        if len(head) < 8 or struct.unpack("<q", head)[0] != storage.numel:
            raise ValueError(f"{path}: storage {printable(key)} is not of the length it claims: half a download?")
        storage.start = at + 8
        at = storage.start + storage.numel * storage.dtype.itemsize
        if at > mapped.size:
            raise ValueError(f"{path} ends inside storage {printable(key)}: half a download?")
    return value


def _loaded(path: Path, machine: SafeUnpickler, stream: BinaryIO) -> Any:
    try:
        return machine.load(stream)
    except Refused as error:
        raise ValueError(f"{path} cannot be read: {error}") from error


class _Storages:
    """Storages by the keys of persistent ids."""

    def __init__(self, find: Any) -> None:
        self.find = find
        self.known: dict[str, Storage] = {}

    def __call__(self, identity: Any) -> Storage:
        """Return the storage of a persistent id, ('storage', type, key, device, count of numbers), and in legacy
        files a None.
        """
        if (
            type(identity) is not tuple
            or len(identity) not in (5, 6)
            or identity[0] != "storage"
            or any(part is not None for part in identity[5:])
        ):
            raise Refused("a persistent id is that of no storage")
        _, kind, key, _, numel = identity[:5]
        dtype = TYPES.get(kind.name) if isinstance(kind, Stub) and kind.module in ("torch", "torch.storage") else None
        if dtype is None or type(key) is not str or type(numel) is not int or not 0 <= numel < 1 << 60:
            raise Refused(f"storage {printable(key)} has no known type, or no length")
        known = self.known.get(key)
        if known is None:
            known = self.known[key] = self.find(key, dtype, numel)
        if (known.dtype, known.numel) != (dtype, numel):
            raise Refused(f"storage {printable(key)} is claimed in two ways")
        return known


def _machine(storages: _Storages) -> SafeUnpickler:
    return SafeUnpickler(REBUILD, storages)


def _tensor(args: tuple[Any, ...]) -> LazyTensor:
    """Return (storage, offset, shape, stride, whether it needs a gradient, hooks)"""
    storage, offset, shape, stride = args[:4]
    return _view(storage, storage.dtype if isinstance(storage, Storage) else None, offset, shape, stride)


def _typed_tensor(args: tuple[Any, ...]) -> LazyTensor:
    """Return (storage, offset, shape, stride, whether it needs a gradient, hooks, type)"""
    storage, offset, shape, stride, _, _, dtype = args[:7]
    return _view(storage, DTYPES.get(dtype.path) if isinstance(dtype, Stub) else None, offset, shape, stride)


def _view(storage: Any, dtype: torch.dtype | None, offset: Any, shape: Any, stride: Any) -> LazyTensor:
    if not isinstance(storage, Storage) or dtype is None or type(shape) is not tuple or type(stride) is not tuple:
        raise Refused("a tensor is not made of a storage, an offset, a shape and strides")
    try:
        return LazyTensor(storage, dtype, shape, stride, offset)
    except ValueError as error:
        raise Refused(str(error)) from error


def _parameter(args: tuple[Any, ...]) -> object:
    return args[0]


def _subclassed(args: tuple[Any, ...]) -> object:
    """Return (function, type, its arguments, state) of a tensor with attributes: the tensor without them."""
    function, _, arguments, _ = args
    rebuild = REBUILD.get(function.path) if isinstance(function, Stub) else None
    if rebuild is None or rebuild is _subclassed or type(arguments) is not tuple:
        raise Refused("a tensor of a class of its own is not read")
    return rebuild(arguments)


REBUILD: dict[str, Rebuild] = {
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _typed_tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch._tensor._rebuild_from_type_v2": _subclassed,
}
"""Functions of torch that a file of tensors calls, by what they make of their arguments."""
