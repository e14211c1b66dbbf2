"""Strict fitting of a file's tensors to a network: what is missing, left over or misshapen is named."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from itertools import islice

import torch
from torch import Tensor, nn

from engine.models.files.mapped import printable
from engine.models.files.weights import Weights
from engine.models.progress import LoadProgress
from engine.system.callbacks import ignore

NAMED = 3
"""Problems spelled out; the rest are counted."""
COMPARED = 2000
"""Names among which the nearest is sought, so that a wrong file is refused at once."""


def check_claim(layers: int, weights: Weights) -> None:
    """Raise ValueError where a configuration claims more layers than the file has tensors.

    A network on the meta device takes no memory for its numbers, however many, but time and memory for its layers.
    """
    if layers > len(weights.shapes):
        raise ValueError(
            f"the weights do not fit the configuration: it claims {layers} layers, "
            f"{weights.path} has {len(weights.shapes)} tensors"
        )


def check_shapes(expected: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]]) -> None:
    """Raise ValueError naming the first tensors that are missing, unexpected or misshapen."""
    missing = [name for name in expected if name not in found]
    unexpected = [name for name in found if name not in expected]
    misshapen = [name for name, shape in expected.items() if name in found and tuple(found[name]) != tuple(shape)]
    problems = [f"{printable(name)} is missing" + _nearest(name, unexpected) for name in missing[:NAMED]]
    problems += [f"{printable(name)} is unexpected" + _nearest(name, missing) for name in unexpected[:NAMED]]
    problems += [
        f"{printable(name)} has shape {list(found[name])}, expected {list(expected[name])}"
        for name in misshapen[:NAMED]
    ]
    count = len(missing) + len(unexpected) + len(misshapen)
    if count:
        more = f" (and {count - NAMED} more)" if count > NAMED else ""
        raise ValueError("the weights do not fit the configuration: " + "; ".join(problems[:NAMED]) + more)


def _nearest(name: str, others: list[str]) -> str:
    short = islice((other for other in others if len(other) <= 200), COMPARED)
    near = get_close_matches(name, short, n=1, cutoff=0.6) if len(name) <= 200 else []
    return f" (nearest: {printable(near[0])})" if near else ""


def fill(
    module: nn.Module,
    weights: Weights,
    *,
    device: torch.device,
    dtype: Callable[[str], torch.dtype],
    rename: Callable[[str], str | None] = lambda name: name,
    progress: LoadProgress = ignore,
) -> tuple[str, ...]:
    """Give a network on the meta device its tensors, each straight to its device and type.

    dtype: what to compute a tensor of real numbers in; whole numbers keep the network's type.  rename: the network's
    name of a file's tensor, None for one that is known to be ignorable.  Returns the names that were ignored.  Raises
    ValueError where the two do not fit exactly.  Beside the network's own memory, one tensor of the file is in memory
    at a time; a tensor that is already of the type and on the device requested stays the file's pages.
    """
    origin, ignored = _origins(weights, rename)
    expected = module.state_dict()
    check_shapes(
        {name: tuple(tensor.shape) for name, tensor in expected.items()},
        {to: weights.shapes[name] for to, name in origin.items()},
    )
    tensors, done = {}, 0
    for name, like in expected.items():
        tensor = weights.get(origin[name])
        if tensor.is_floating_point() != like.is_floating_point():
            raise ValueError(f"the weights do not fit the configuration: {name} is of {tensor.dtype}, not {like.dtype}")
        placed = tensor.to(device=device, dtype=dtype(name) if tensor.is_floating_point() else like.dtype)
        if not _same_memory(placed, tensor):
            weights.release(origin[name])
        done += tensor.nbytes
        tensors[name] = placed
        progress("reading weights", done, weights.total_bytes)
    module.load_state_dict(tensors, strict=True, assign=True)
    return ignored


def _origins(weights: Weights, rename: Callable[[str], str | None]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the file's name of each of the network's tensors, and the names that are ignored."""
    origin: dict[str, str] = {}
    ignored = []
    for name in weights.shapes:
        to = rename(name)
        if to is None:
            ignored.append(name)
        elif to in origin:
            raise ValueError(
                f"the weights have {printable(to)} twice: as {printable(origin[to])} and as {printable(name)}"
            )
        else:
            origin[to] = name
    return origin, tuple(ignored)


def _same_memory(a: Tensor, b: Tensor) -> bool:
    return a.device == b.device and a.untyped_storage().data_ptr() == b.untyped_storage().data_ptr()
