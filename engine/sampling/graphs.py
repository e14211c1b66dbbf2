"""Functions of tensors, recorded once for each shape and replayed by a single call: CUDA graphs.

A recorded function reads its inputs at the same addresses each time, so they are copied there before a replay, and its
outputs are copied away after it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

import torch
from torch import Tensor

TensorFunction = Callable[..., tuple[Tensor, ...]]
Capture = Callable[[TensorFunction, Sequence[Tensor]], TensorFunction]
"""(function, its inputs) -> what replays it for other inputs of these shapes; raises RuntimeError where it cannot."""
MOST = 96
"""Recorded functions kept; each holds its working memory, and all are dropped when there are more."""


class Graphs:
    """Recorded functions of one model, by key and shapes."""

    def __init__(self, capture: Capture | None) -> None:
        """capture: None calls every function as it is."""
        self._capture = capture
        self._recorded: dict[Hashable, TensorFunction] = {}
        self.refused: str | None = None
        """why a function could not be recorded, the last time one could not"""

    @property
    def records(self) -> bool:
        return self._capture is not None

    @property
    def recorded(self) -> int:
        """Return how many functions are kept."""
        return len(self._recorded)

    def run(self, key: Hashable, function: TensorFunction, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return function(*inputs), by a graph where it can be recorded.

        key: one for each function, with all that it depends on besides the inputs.
        """
        if self._capture is None:
            return function(*inputs)
        whole = (key, *((x.shape, x.dtype) for x in inputs))
        if whole not in self._recorded:
            if len(self._recorded) >= MOST:
                self._recorded.clear()
            try:
                self._recorded[whole] = self._capture(function, inputs)
            except RuntimeError as error:
                self.refused = str(error).partition("\n")[0]
                self._recorded[whole] = function
        return self._recorded[whole](*inputs)


def graphs_for(device: torch.device) -> Graphs:
    """Return graphs of a CUDA device; elsewhere functions are called as they are."""
    return Graphs(CudaCapture(device) if device.type == "cuda" else None)


class CudaCapture:
    """Records CUDA graphs that share one pool of memory, as no two are replayed at a time."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, function: TensorFunction, inputs: Sequence[Tensor]) -> TensorFunction:
        # tensors made in inference mode cannot be written to outside of it, and a stream records its own device alone
        with torch.inference_mode(False), torch.no_grad(), torch.cuda.device(self._device):
            own = tuple(x.clone() for x in inputs)
            side = _new_stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                # libraries choose kernels and take workspaces at their first calls
                for _ in range(2):
                    function(*own)
            torch.cuda.current_stream().wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=self._pool, stream=side):
                outputs = function(*own)

        def replay(*given: Tensor) -> tuple[Tensor, ...]:
            with torch.inference_mode(False), torch.no_grad(), torch.cuda.device(self._device):
                for mine, new in zip(own, given, strict=True):
                    mine.copy_(new)
                graph.replay()
                return tuple(x.clone() for x in outputs)

        return replay


def stream_of(device: torch.device) -> torch.cuda.Stream | None:
    """Return a stream for reading back; None where there are none."""
    return _new_stream(device) if device.type == "cuda" else None


def _new_stream(device: torch.device | None = None) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


class ReadBack:
    """Tensors on their way to the host: on CUDA by a stream of their own, into pinned memory."""

    def __init__(self, tensors: Sequence[Tensor], stream: torch.cuda.Stream | None) -> None:
        self._event: torch.cuda.Event | None = None
        if stream is None:
            self._host = tuple(tensors)
            return
        stream.wait_stream(torch.cuda.current_stream(stream.device))
        with torch.cuda.stream(stream):
            self._host = tuple(_pinned(x) for x in tensors)
            for x in tensors:
                # its memory is not given to another tensor before the copy is done
                x.record_stream(stream)
            self._event = stream.record_event()

    def wait(self) -> tuple[Tensor, ...]:
        """Return the tensors on the host once they are there."""
        if self._event is not None:
            self._event.synchronize()
        return self._host


def _pinned(x: Tensor) -> Tensor:
    return torch.empty(x.shape, dtype=x.dtype, pin_memory=True).copy_(x, non_blocking=True)
