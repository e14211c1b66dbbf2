"""The processes of a training run: one, or several with averaged gradients or divided parameters."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from engine.system.ranks import PATIENCE, Layout, launched

Parallelism = Literal["ddp", "fsdp"]
"""Whether every process holds the whole network (ddp) or a part of each tensor (fsdp)."""


class Workers(Protocol):
    """One of `world` processes that train the same network on rows of the same batches."""

    @property
    def rank(self) -> int: ...

    @property
    def world(self) -> int: ...

    @property
    def device(self) -> torch.device | None:
        """Return the device that was assigned to this process; None: use the configured one."""
        ...

    def wrap(self, module: nn.Module) -> nn.Module:
        """Return the module to call instead, so that gradients are those of all processes."""
        ...

    def without_sync(self, wrapped: nn.Module, enabled: bool) -> AbstractContextManager[object]:
        """Inside the context, if enabled, sum gradients in this process without exchanging them."""
        ...

    def backward(self, loss: Tensor) -> None: ...

    def sum(self, value: float) -> float:
        """Return the sum over all processes, on all of them."""
        ...

    def max(self, value: int) -> int:
        """Return the maximum over all processes, on all of them."""
        ...

    def wait(self) -> None:
        """Wait until all processes have called this."""
        ...


class SingleWorker:
    """A single process."""

    rank = 0
    world = 1
    device: torch.device | None = None

    def wrap(self, module: nn.Module) -> nn.Module:
        return module

    def without_sync(self, wrapped: nn.Module, enabled: bool) -> AbstractContextManager[object]:
        return nullcontext()

    def backward(self, loss: Tensor) -> None:
        torch.autograd.backward(loss)

    def sum(self, value: float) -> float:
        return value

    def max(self, value: int) -> int:
        return value

    def wait(self) -> None:
        return None


class FabricWorkers:
    """One of several processes that torchrun, srun, `fabric run` or this command started, with Lightning Fabric."""

    def __init__(self, accelerator: str, layout: Layout, strategy: Parallelism) -> None:
        from lightning_fabric import Fabric

        self._fabric = Fabric(
            accelerator=accelerator, devices=layout.local, num_nodes=layout.nodes, strategy=_plan(strategy, layout)
        )
        self._fabric.launch()
        self.rank, self.world = self._fabric.global_rank, self._fabric.world_size
        self.device: torch.device | None = self._fabric.device

    def wrap(self, module: nn.Module) -> nn.Module:
        return self._fabric.setup_module(module)

    def without_sync(self, wrapped: nn.Module, enabled: bool) -> AbstractContextManager[object]:
        return self._fabric.no_backward_sync(wrapped, enabled=enabled)  # type: ignore[arg-type]

    def backward(self, loss: Tensor) -> None:
        self._fabric.backward(loss)

    def sum(self, value: float) -> float:
        return self._reduced(torch.tensor(value, dtype=torch.float64), "sum").item()

    def max(self, value: int) -> int:
        return int(self._reduced(torch.tensor(value), "max").item())

    def wait(self) -> None:
        self._fabric.barrier()

    def _reduced(self, value: Tensor, how: str) -> Tensor:
        reduced = self._fabric.all_reduce(value.to(self._fabric.device), reduce_op=how)
        assert isinstance(reduced, Tensor)
        return reduced


def _plan(strategy: Parallelism, layout: Layout) -> Any:
    from lightning_fabric.strategies.ddp import DDPStrategy
    from lightning_fabric.strategies.model_parallel import ModelParallelStrategy

    if strategy == "ddp":
        return DDPStrategy(timeout=PATIENCE)
    world = layout.local * layout.nodes
    return ModelParallelStrategy(_shard_network, data_parallel_size=world, tensor_parallel_size=1, timeout=PATIENCE)


def _shard_network(module: nn.Module, mesh: Any) -> nn.Module:
    """Shard every block of the network and the rest of it, each gathered when it is used."""
    from torch.distributed.fsdp import fully_shard

    over = mesh["data_parallel"]
    for name, part in module.named_modules():
        if name.rpartition(".")[0].endswith("blocks"):
            fully_shard(part, mesh=over)
    # reshard after a forward pass without a backward one too, or weights changed in between would be missed
    fully_shard(module, mesh=over, reshard_after_forward=True)
    return module


def is_lost(error: RuntimeError) -> bool:
    """Return whether an error means that another process has ended; gloo's errors have no type of their own."""
    return isinstance(error, torch.distributed.DistError) or "gloo" in str(error)


def workers(
    device: str,
    environment: Mapping[str, str],
    devices: int | None = None,
    nodes: int = 1,
    strategy: Parallelism = "ddp",
) -> Workers:
    """Return this process's workers, those that share the run.

    device: auto, cpu or cuda.  devices: processes to start on this machine; None: as many as a launcher has
    started.  Raises ValueError for numbers below 1, ModuleNotFoundError that says what to install.
    """
    if devices is not None and devices < 1:
        raise ValueError(f"--devices is how many processes to start, 1 or more, not {devices}")
    if nodes < 1:
        raise ValueError(f"--nodes is how many machines there are, 1 or more, not {nodes}")
    layout = launched(environment) if devices is None else Layout(devices, nodes)
    if devices is None and nodes > 1 and layout.nodes != nodes:
        raise ValueError(f"--nodes {nodes} takes --devices with it, or torchrun or srun to start the processes")
    if layout == Layout():
        return SingleWorker()
    try:
        return FabricWorkers(device.partition(":")[0], layout, strategy)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "several processes need the package lightning-fabric: pip install 'remdm-tui[train]'", name=error.name
        ) from error
