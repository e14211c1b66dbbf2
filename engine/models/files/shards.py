"""Weights in several files, with an index that says which tensor is in which."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from torch import Tensor

from engine.files.regular import is_there
from engine.models.files.mapped import printable
from engine.models.files.objects import read_object
from engine.models.files.weights import Weights, plain_names


class ShardedWeights:
    """The files that an index lists, as one."""

    def __init__(self, index: Path, open_shard: Callable[[Path], Weights]) -> None:
        """Raise ValueError for a shard that is missing or outside, and for a tensor that is missing or there twice."""
        self.path = index
        listed = _listed(index)
        self._shards: dict[str, Weights] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        self.total_bytes = 0
        for file in dict.fromkeys(listed.values()):
            shard = open_shard(index.parent / file)
            self.total_bytes += shard.total_bytes
            for name, shape in shard.shapes.items():
                if name in self._shards:
                    raise ValueError(f"{printable(name)} is in both {self._shards[name].path} and {shard.path}")
                self._shards[name], self._shapes[name] = shard, shape
        for name, file in listed.items():
            if name not in self._shards or self._shards[name].path.name != file:
                raise ValueError(
                    f"{index.parent / file} does not hold {printable(name)}, which {index.name} says it does"
                )

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        return self._shapes

    def get(self, name: str) -> Tensor:
        return self._shards[name].get(name)

    def release(self, name: str) -> None:
        self._shards[name].release(name)


def _listed(index: Path) -> dict[str, str]:
    """Return which file each tensor is in; relative to the index's directory."""
    try:
        listed = read_object(index, "an index of weights")["weight_map"]
        if not listed or not all(isinstance(file, str) for file in listed.values()):
            raise TypeError("its weight_map does not say which file each tensor is in")
    except (KeyError, AttributeError, TypeError) as error:
        raise ValueError(f"{index} is not an index of weights: {error}") from error
    for file in dict.fromkeys(listed.values()):
        if Path(file).name != file or file in ("", "..") or "\\" in file or "\0" in file:
            raise ValueError(f"{index} points outside its directory: {printable(repr(file))}")
        if not is_there(index.parent / file):
            raise ValueError(f"{index.parent} lacks {file}, which {index.name} lists: half a download?")
    return plain_names(index, listed)
