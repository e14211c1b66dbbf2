"""safetensors, one file or shards with an index, mapped into memory and read tensor by tensor."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

BYTES = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}


class SafeWeights:
    """Weights in safetensors files that stay open while this lives."""

    def __init__(self, path: Path, files: Mapping[str, Path]) -> None:
        """files: which file each tensor is in; an empty name stands for all that the file holds."""
        self.path = path
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._open: dict[str, Any] = {}
        self.total_bytes = 0
        for file in dict.fromkeys(files.values()):
            handle = _opened(file)
            for name in handle.keys():  # noqa: SIM118  (not a dict)
                if files.get(name, files.get("")) != file:
                    continue
                part = handle.get_slice(name)
                self._shapes[name] = tuple(part.get_shape())
                self._open[name] = handle
                self.total_bytes += math.prod(self._shapes[name]) * BYTES.get(part.get_dtype(), 4)
        missing = [name for name in files if name and name not in self._shapes]
        if missing:
            raise ValueError(f"{files[missing[0]]} does not hold {missing[0]}, which {path.name} says it does")

    @classmethod
    def single(cls, path: Path) -> SafeWeights:
        return cls(path, {"": path})

    @classmethod
    def sharded(cls, index: Path) -> SafeWeights:
        """The shards that a model.safetensors.index.json lists; they must lie beside it."""
        try:
            listed = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
            files = {str(name): str(file) for name, file in listed.items()}
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise ValueError(f"{index} is not an index of weights: {error!r}") from error
        for file in dict.fromkeys(files.values()):
            if Path(file).name != file:
                raise ValueError(f"{index} points outside its directory: {file!r}")
            if not (index.parent / file).is_file():
                raise ValueError(f"{index.parent} lacks {file}, which {index.name} lists: half a download?")
        return cls(index, {name: index.parent / file for name, file in files.items()})

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        return self._shapes

    def get(self, name: str) -> Tensor:
        return self._open[name].get_tensor(name)


def _opened(path: Path) -> Any:
    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is not a safetensors file: {error}") from error
