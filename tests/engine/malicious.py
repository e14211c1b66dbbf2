"""Files that lie or attack, made by hand, and the measure by which they are refused."""

from __future__ import annotations

import io
import json
import pickle
import re
import struct
import sys
import time
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

SECONDS = 60.0
"""Processor time of this process alone; most of it is never needed, even where another program shares the core."""
SPIKE = 128 << 20
"""Bytes by which the process may grow while it refuses a file; the files claim gigabytes."""


def resident(field: str) -> int:
    """Return a figure of this process's memory, bytes: VmRSS, VmHWM (the largest it was), RssAnon."""
    found = re.search(rf"^{field}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1]) * 1024


@contextmanager
def small() -> Iterator[None]:
    """Assert that the block takes hardly any time and memory."""
    watched = Path("/proc/self/clear_refs").exists()
    if watched:
        Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM
        before = resident("VmRSS")
    # measuring which lines are covered takes several times as long as running them
    tracer = sys.gettrace()
    sys.settrace(None)
    began = time.process_time()
    try:
        yield
    finally:
        sys.settrace(tracer)
    assert time.process_time() - began < SECONDS
    if watched:
        assert resident("VmHWM") - before < SPIKE


@contextmanager
def refused(words: str) -> Iterator[None]:
    """Assert that the block raises ValueError at once, in one line that matches a pattern."""
    with small(), pytest.raises(ValueError, match=words) as error:
        yield
    assert str(error.value).isprintable(), error.value
    assert len(str(error.value)) < 600


def zipped(path: Path, pickled: bytes, storages: Mapping[str, bytes] | None = None, home: str = "archive") -> Path:
    """Write a file in torch's layout with this pickle and these storages."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(f"{home}/data.pkl", pickled)
        archive.writestr(f"{home}/byteorder", "little")
        for key, content in (storages or {}).items():
            archive.writestr(f"{home}/data/{key}", content)
        archive.writestr(f"{home}/version", "3\n")
    return path


@dataclass
class Run:
    """Pickles into the call of a function."""

    function: Any
    args: tuple[Any, ...]
    state: Any = None

    def __reduce__(self) -> tuple[Any, ...]:
        return (self.function, self.args) if self.state is None else (self.function, self.args, self.state)


@dataclass
class Stored:
    """Pickles into a storage's persistent id."""

    key: Any = "0"
    numel: Any = 6
    kind: Any = torch.FloatStorage
    whole: Any = None
    """in place of the usual id"""


class _Pickler(pickle.Pickler):
    def persistent_id(self, obj: Any) -> Any:
        if isinstance(obj, Stored):
            return obj.whole if obj.whole is not None else ("storage", obj.kind, obj.key, "cpu", obj.numel)
        return None


def dumped(value: Any, protocol: int = 2) -> bytes:
    stream = io.BytesIO()
    _Pickler(stream, protocol).dump(value)
    return stream.getvalue()


def view(storage: Any, shape: Any = (2, 3), stride: Any = (3, 1), offset: Any = 0) -> Run:
    """Return an object that is pickled as a tensor with any claims."""
    return Run(torch._utils._rebuild_tensor_v2, (storage, offset, shape, stride, False, OrderedDict()))


def checkpoint(path: Path, tensor: Any, content: bytes = bytes(24)) -> Path:
    """Write a file with one tensor of the name layer.weight, in a storage "0" of 24 bytes."""
    return zipped(path, dumped(OrderedDict({"layer.weight": tensor})), {"0": content})


def header(path: Path, fields: Any, data: bytes = b"", length: int | None = None) -> Path:
    """Write a safetensors file.  said: its header as JSON or as bytes.  length: the claimed length of the header."""
    text = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return path
