"""Read the structure in a file of a trace: JSON, npy, npz, or what torch.save wrote."""

from __future__ import annotations

import json
import tokenize
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from engine.files.regular import regular_file

LARGEST = 1 << 29
"""Bytes of a file, unpacked."""
ENCRYPTED = 1
"""The bit of a zip file's member that says so."""
PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""How numpy packs arrays."""


def read_structure(path: Path) -> Any:
    """Return dictionaries, lists, numbers and arrays of a file.

    Nothing in the file is run.  Raises ValueError for one that is damaged, too large, or in no known format, OSError
    for one that is missing.
    """
    read = READERS.get(path.suffix.lower())
    if read is None:
        raise ValueError(f"{path} ends in none of {', '.join(READERS)}: see docs/traces.md for what is read")
    size = regular_file(path).stat().st_size
    if size > LARGEST:
        raise ValueError(f"{path} has {size:,} bytes; a trace has {LARGEST:,} at most")
    return read(path)


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no JSON: {error}") from None


def _numpy(path: Path) -> Any:
    """Return the array of an npy file, or the arrays of an npz file by name."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                members = archive.infolist()
            unpacked = sum(member.file_size for member in members)
            if any(member.flag_bits & ENCRYPTED or member.compress_type not in PACKED for member in members):
                raise ValueError("it is encrypted, or packed in another way than numpy does")
            if unpacked > LARGEST:
                raise ValueError(f"it unpacks to {unpacked:,} bytes, and a trace has {LARGEST:,} at most")
        found = np.load(path, allow_pickle=False)
        if isinstance(found, np.ndarray):
            return found
        with found:
            return {name: found[name] for name in found.files}
    except (tokenize.TokenError, zlib.error) as error:
        raise ValueError(f"{path} is not a readable numpy file: it is damaged ({error.args[0]})") from None
    except (ValueError, EOFError, MemoryError, NotImplementedError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is not a readable numpy file: {error}") from None


def _torch(path: Path) -> Any:
    from engine.models.files import LazyTensor, plain, read_pickle

    def values(value: Any) -> Any:
        if isinstance(value, LazyTensor):
            if value.nbytes > LARGEST:
                raise ValueError(f"{path} has a tensor of {value.nbytes:,} bytes; a trace has {LARGEST:,} at most")
            tensor = value.get()
            if not tensor.is_complex():
                tensor = tensor.double() if tensor.is_floating_point() else tensor.long()
            return tensor.numpy()
        if isinstance(value, dict):
            return {key: values(item) for key, item in value.items()}
        return [values(item) for item in value] if isinstance(value, list | tuple) else value

    return values(plain(read_pickle(path).value))


READERS: dict[str, Callable[[Path], Any]] = {
    ".json": _json, ".npz": _numpy, ".npy": _numpy, ".pt": _torch, ".pth": _torch, ".bin": _torch,
}  # fmt: skip
"""By the ending of the file's name."""
