"""How many processes share an evaluation, and how they wait for each other: alone, or by Lightning Fabric."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, TypeVar

T = TypeVar("T")
PATIENCE = timedelta(days=2)
"""How long the first to finish its share waits for the last."""


class Ranks(Protocol):
    """One of `world` processes that were given the same command."""

    @property
    def rank(self) -> int: ...

    @property
    def world(self) -> int: ...

    @property
    def device(self) -> str | None:
        """that was given to this process; None: the requested one"""
        ...

    def wait(self) -> None:
        """Until all are here.  Raises RankLostError where one has ended."""
        ...

    def broadcast(self, value: T) -> T:
        """Rank 0's value, on all."""
        ...


def on_first(ranks: Ranks, act: Callable[[], object]) -> None:
    """Call `act` on rank 0.  Raises its ValueError or OSError on every rank."""
    error: Exception | None = None
    if ranks.rank == 0:
        try:
            act()
        except (ValueError, OSError) as caught:
            error = caught
    error = ranks.broadcast(error)
    if error is not None:
        raise error


@dataclass(frozen=True)
class Alone:
    """A single process."""

    rank: int = 0
    world: int = 1
    device: str | None = None

    def wait(self) -> None:
        return None

    def broadcast(self, value: T) -> T:
        return value


class RankLostError(RuntimeError):
    """Another process of the run has ended before its work was done."""


class Launched:
    """A process among those that torchrun, srun, `fabric run` or this very command has started."""

    def __init__(self, accelerator: str, local: int, nodes: int) -> None:
        from lightning_fabric import Fabric
        from lightning_fabric.strategies.ddp import DDPStrategy

        # samples are all that devices are for: gloo tells at once of a process that has ended, and waits for slow ones
        together = DDPStrategy(process_group_backend="gloo", timeout=PATIENCE)
        self._fabric = Fabric(accelerator=accelerator, devices=local, num_nodes=nodes, strategy=together)
        self._fabric.launch()
        self.rank, self.world = self._fabric.global_rank, self._fabric.world_size
        self.device: str | None = str(self._fabric.device)

    def wait(self) -> None:
        try:
            self._fabric.barrier()
        except RuntimeError as error:
            raise RankLostError("another process of this run has ended") from error

    def broadcast(self, value: T) -> T:
        try:
            return self._fabric.broadcast(value, src=0)
        except RuntimeError as error:
            raise RankLostError("another process of this run has ended") from error


@dataclass(frozen=True)
class Layout:
    """How many processes there are on one machine, and how many machines."""

    local: int = 1
    nodes: int = 1


def launched(environment: Mapping[str, str]) -> Layout:
    """Return the layout that torchrun, `fabric run` or Slurm's srun has set; one process if none has.

    Raises ValueError for an invalid number.
    """

    def number(name: str, default: int = 1) -> int:
        text = environment.get(name, str(default))
        if not text.isdecimal() or int(text) < 1:
            raise ValueError(f"{name} should be a number of processes, not {text!r}")
        return int(text)

    if "LOCAL_WORLD_SIZE" in environment:
        local = number("LOCAL_WORLD_SIZE")
        return Layout(local, number("WORLD_SIZE") // local)
    # set for the tasks of a step alone: a batch script itself is one process, whatever it has reserved
    if "SLURM_STEP_NUM_TASKS" in environment:
        nodes = number("SLURM_STEP_NUM_NODES")
        return Layout(number("SLURM_STEP_NUM_TASKS") // nodes, nodes)
    return Layout()


def own_ranks(device: str, environment: Mapping[str, str], devices: int | None = None, nodes: int = 1) -> Ranks:
    """Return the rank of this process among those that share its work.

    device: auto, cpu or cuda.  devices: processes to start on this machine; None: as many as a launcher has
    started.  Raises ModuleNotFoundError that says what to install.
    """
    layout = launched(environment) if devices is None else Layout(devices, nodes)
    if layout == Layout():
        return Alone()
    try:
        return Launched(device.partition(":")[0], layout.local, layout.nodes)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "several processes need the package lightning-fabric: pip install 'remdm-tui[eval]'", name=error.name
        ) from error
