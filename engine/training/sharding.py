"""Convert between tensors divided among processes and the whole tensors of files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.utils._pytree import tree_map


def gather_tensors(state: Any) -> Any:
    """Return a state with its divided tensors put together, on all processes; all must call it."""
    return tree_map(lambda value: value.full_tensor() if isinstance(value, DTensor) else value, state)


def shard_like(value: Tensor, model: Tensor) -> Tensor:
    """Return a whole tensor divided like another of its shape; unchanged if that one is whole."""
    if isinstance(model, DTensor) and value.shape == model.shape:
        return distribute_tensor(value.to(model.device), model.device_mesh, model.placements)
    return value


def load_optimizer(optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """Give an optimizer the state that `gather_tensors` made, divided as its parameters are."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    shares = {
        index: {name: shard_like(value, parameters[index]) for name, value in its.items()}
        for index, its in state["state"].items()
    }
    optimizer.load_state_dict({**state, "state": shares})
