"""Lightning files of MDLM's release and its descendants: weights, their unnamed average, and the run's settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.models.files import LazyTensor, PickledWeights, plain, read_pickle, tensors_by_name
from engine.models.files.opening import NAMES, training_files
from engine.models.files.pickled import is_pickled
from engine.models.readers.names import BUFFERS, Found, prefix_of, rank

SUFFIXES = (".ckpt", ".pt", ".pth")
SEDD = frozenset({"optimizer", "model", "ema", "step"})
"""What the files of SEDD's own training code hold; they have no settings."""


def file_in(home: Path) -> Path | None:
    """Return the file of torch.save that is meant: `home` itself, or a directory's only one if it has no other
    weights.
    """
    if home.is_dir():
        found = training_files(home)
        return found[0] if len(found) == 1 and not any((home / name).is_file() for name in NAMES) else None
    pickled = is_pickled(home)
    return home if pickled or (pickled is None and home.suffix in SUFFIXES) else None


def read_tensors(path: Path, ema: bool) -> Found:
    """Return the network's tensors in the file, the averaged ones if it has them and `ema` asks for them.

    Raises ValueError where the file is damaged, holds no weights, or an average that cannot be theirs.
    """
    value = read_pickle(path).value
    state = tensors_by_name(path, value)
    prefix = prefix_of(state)
    own = {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
    ignored = tuple(name for name in state if not name.startswith(prefix))
    file = value if isinstance(value, dict) else {}
    average, trained = file.get("ema"), "hyper_parameters" in file
    if average is None or not ema:
        notes: tuple[str, ...] = () if average is None else ("the weights as they are, not their average",)
        return Found(PickledWeights(path, own), run_settings(file), notes, ignored, trained=trained)
    own |= averaged_tensors(path, own, average)
    return Found(PickledWeights(path, own), run_settings(file), (_described(average),), ignored, trained=trained)


def averaged_tensors(path: Path, own: Mapping[str, LazyTensor], average: object) -> dict[str, LazyTensor]:
    """Return the average's tensors by name: it lists one for each parameter, in the order in which the network has
    them.

    The state's names come in that order too, since one module wrote both; where they do not, or where a shape is
    another, no place can be trusted and ValueError says so.  Buffers have no average.
    """
    shadows = average.get("shadow_params") if isinstance(average, dict) else None
    if not isinstance(shadows, list) or not all(isinstance(tensor, LazyTensor) for tensor in shadows):
        raise ValueError(f"{path} has an average without a list of tensors: leave it out with --no-ema")
    names = [name for name in own if name not in BUFFERS]
    if len(names) != len(shadows):
        raise ValueError(
            f"{path} has an average of {len(shadows)} tensors and {len(names)} parameters: leave it out with --no-ema"
        )
    if names != sorted(names, key=rank):
        raise ValueError(f"{path} lists its tensors in another order than its average: leave it out with --no-ema")
    for name, shadow in zip(names, shadows, strict=True):
        if shadow.shape != own[name].shape:
            raise ValueError(
                f"{path}: the average in the place of {name} has shape {list(shadow.shape)}, "
                f"expected {list(own[name].shape)}: leave it out with --no-ema"
            )
    return dict(zip(names, shadows, strict=True))


def run_settings(file: Mapping[str, Any]) -> Mapping[str, object]:
    """Return the settings of the run as plain dictionaries; empty if they cannot be read."""
    try:
        found = plain(file.get("hyper_parameters"))
    except ValueError:
        found = None
    if isinstance(found, dict):
        return found
    return {"parameterization": "sedd"} if SEDD.issubset(file) else {}


def _described(average: Mapping[str, object]) -> str:
    decay, updates = average.get("decay"), average.get("num_updates")
    parts = [f"decay {decay:g}"] if isinstance(decay, float) else []
    parts += [f"{updates:,} updates"] if type(updates) is int else []
    return "averaged weights" + (f" ({', '.join(parts)})" if parts else "")
