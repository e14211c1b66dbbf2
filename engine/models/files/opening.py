"""Weights in a file or a directory, by what the file is, whatever it is called."""

from __future__ import annotations

from pathlib import Path

from engine.files.checksums import check_checksum
from engine.files.regular import is_there, regular_file
from engine.files.run_layout import LAYERS
from engine.models.files.pickled import LEGACY, PickledWeights
from engine.models.files.refusals import START, check_start
from engine.models.files.safe import SafeWeights
from engine.models.files.shards import ShardedWeights
from engine.models.files.weights import Weights

NAMES = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
"""What weights are called in a directory, best first."""
TRAINED = ("*.ckpt", "*.pt", "*.pth")
"""What a training program's files of torch.save are called, Lightning's and SEDD's among them."""
WITHOUT_WEIGHTS = (
    "training_args.bin",
    "optimizer.*",
    "optim.*",
    "scheduler.*",
    "scaler.*",
    "rng_state*",
    "random_states*",
)
"""Files of the same suffixes that hold no weights."""


def training_files(home: Path) -> list[Path]:
    """Return the files of a directory that may be a training program's checkpoint, sorted."""
    found = {path for pattern in TRAINED for path in home.glob(pattern) if path.is_file()}
    others = (*WITHOUT_WEIGHTS, *LAYERS)
    return sorted(path for path in found if not any(path.match(pattern) for pattern in others))


def open_weights(path: Path) -> Weights:
    """Return the weights in a file or a directory.  Raises ValueError that names what is wrong with them."""
    if path.is_dir():
        found = next((path / name for name in NAMES if is_there(path / name)), None)
        if found is None:
            expected = f"looked for {', '.join(NAMES)}, or one file {', '.join(TRAINED)}"
            why = _unfinished(path) or _no_index(path) or _several(path) or expected
            raise ValueError(f"{path} has no weights: {why}")
        path = found
    return ShardedWeights(path, _single) if path.name.endswith(".index.json") else _single(path)


def _single(path: Path) -> Weights:
    """Return the weights in one file, which is no index."""
    if path.suffix == ".incomplete":
        raise ValueError(f"{path} is a download that was not finished: fetch it again")
    try:
        with regular_file(path).open("rb") as file:
            start = file.read(START)
        check_start(path, start)
        weights = PickledWeights(path) if start.startswith(b"PK") or LEGACY in start[:32] else SafeWeights(path)
        check_checksum(path)  # what the format itself says is wrong says more
        return weights
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from error


def _no_index(home: Path) -> str:
    """Return the sentence that a directory has shards without an index; empty if it has an index or no shards."""
    part = min((path.name for kind in ("safetensors", "bin") for path in home.glob(f"*-of-*.{kind}")), default="")
    index = NAMES[1] if part.endswith(".safetensors") else NAMES[3]
    return f"it has {part}, but not {index}, which lists the shards: half a download?" if part else ""


def _several(home: Path) -> str:
    """Return the sentence that a directory has several checkpoints; empty if it has one or none."""
    found = training_files(home)
    return f"it has {len(found)} checkpoints: give one of them, such as {found[-1]}" if len(found) > 1 else ""


def _unfinished(home: Path) -> str:
    """Return the sentence that a download of the hub's client is unfinished; empty if none is."""
    places = (home, home / ".cache" / "huggingface" / "download", home.parent.parent / "blobs")
    part = next((part for place in places if place.is_dir() for part in place.glob("*.incomplete")), None)
    return f"{part} is a download that was not finished: fetch it again" if part else ""
