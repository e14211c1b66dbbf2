"""A stand-in for CUDA graphs on a processor: operations recorded once, with all that the host decided written down."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from engine.sampling.graphs import Graphs, TensorFunction


def record(function: TensorFunction, inputs: Sequence[Tensor]) -> TensorFunction:
    """Record the operations of a function; raises RuntimeError where the host reads a value, as on a device."""
    graph: Any = make_fx(lambda *tensors: function(*tensors))(*(x.clone() for x in inputs))

    def replay(*given: Tensor) -> tuple[Tensor, ...]:
        with torch.no_grad():
            return tuple(graph(*(x.clone() for x in given)))

    return replay


def recording() -> Graphs:
    return Graphs(record)
