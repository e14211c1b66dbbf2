"""Strict fitting of a file's tensors to a network: what is missing, left over or misshapen is named."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches

import torch
from torch import nn

from engine.models.files.weights import Weights
from engine.models.loading import Progress, silent

NAMED = 3
"""Problems spelled out; the rest are counted."""


def check_shapes(expected: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]]) -> None:
    """Raise ValueError naming the first tensors that are missing, unexpected or misshapen."""
    missing = [name for name in expected if name not in found]
    unexpected = [name for name in found if name not in expected]
    problems = [f"{name} is missing" + _nearest(name, unexpected) for name in missing]
    problems += [f"{name} is unexpected" + _nearest(name, missing) for name in unexpected]
    problems += [
        f"{name} has shape {list(found[name])}, expected {list(shape)}"
        for name, shape in expected.items()
        if name in found and tuple(found[name]) != tuple(shape)
    ]
    if problems:
        more = f" (and {len(problems) - NAMED} more)" if len(problems) > NAMED else ""
        raise ValueError("the weights do not fit the configuration: " + "; ".join(problems[:NAMED]) + more)


def _nearest(name: str, others: list[str]) -> str:
    near = get_close_matches(name, others, n=1, cutoff=0.8)
    return f" (nearest: {near[0]})" if near else ""


def fill(
    module: nn.Module,
    weights: Weights,
    *,
    device: torch.device,
    dtype: Callable[[str], torch.dtype],
    rename: Callable[[str], str | None] = lambda name: name,
    progress: Progress = silent,
) -> tuple[str, ...]:
    """Give a network on the meta device its tensors, each straight to its device and type.

    rename: the network's name of a file's tensor, None for one that is known to be ignorable.  Returns the names
    that were ignored.  Raises ValueError where the two do not fit exactly.
    """
    renamed = {name: rename(name) for name in weights.shapes}
    ignored = tuple(name for name, to in renamed.items() if to is None)
    origin = {to: name for name, to in renamed.items() if to is not None}
    expected = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    check_shapes(expected, {to: weights.shapes[name] for to, name in origin.items()})
    tensors, done = {}, 0
    for name in expected:
        tensor = weights.get(origin[name])
        done += tensor.numel() * tensor.element_size()
        tensors[name] = tensor.to(device=device, dtype=dtype(name))
        progress("reading weights", done, weights.total_bytes)
    module.load_state_dict(tensors, strict=True, assign=True)
    return ignored
