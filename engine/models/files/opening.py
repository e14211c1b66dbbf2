"""Weights in a file or a directory, by what the file is, whatever it is called."""

from __future__ import annotations

from pathlib import Path

from engine.models.files.pickled import LEGACY, PickledWeights
from engine.models.files.safe import SafeWeights
from engine.models.files.shards import ShardedWeights
from engine.models.files.weights import Weights

NAMES = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
"""What weights are called in a directory, best first."""

STRANGERS = {
    b"version https://git-lfs": "is a pointer of git-lfs, not the file itself: run `git lfs pull` where it came from",
    b"GGUF": "is a GGUF file, which transformers reads: give it, or its directory, as the model's name",
    b"<": "is a web page, most often that of a download that failed: fetch it again",
}
"""How files begin that are often taken for weights, and what to say of them."""


def open_weights(path: Path) -> Weights:
    """The weights in a file or a directory.  Raises ValueError that names what is wrong with them."""
    if path.is_dir():
        found = [path / name for name in NAMES if (path / name).is_file()]
        if not found:
            raise ValueError(f"{path} has no weights: {_unfinished(path) or 'looked for ' + ', '.join(NAMES)}")
        path = found[0]
    return ShardedWeights(path, _single) if path.name.endswith(".index.json") else _single(path)


def _single(path: Path) -> Weights:
    """The weights in one file, which is no index."""
    if path.suffix == ".incomplete":
        raise ValueError(f"{path} is a download that was not finished: fetch it again")
    try:
        with path.open("rb") as file:
            start = file.read(32)
        for mark, words in STRANGERS.items():
            if start.startswith(mark):
                raise ValueError(f"{path} {words}")
        return PickledWeights(path) if start.startswith(b"PK") or LEGACY in start else SafeWeights(path)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from error


def _unfinished(home: Path) -> str:
    """What the hub's client leaves behind when a download ends early, in the places where it does."""
    places = (home, home / ".cache" / "huggingface" / "download", home.parent.parent / "blobs")
    part = next((part for place in places if place.is_dir() for part in place.glob("*.incomplete")), None)
    return f"{part} is a download that was not finished: fetch it again" if part else ""
