"""Loggers of a training run besides its log.jsonl: TensorBoard, Weights & Biases."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from remdm_tui.commands.train_progress import ProgressReading


class Log(Protocol):
    """A logger of figures and texts."""

    def scalars(self, step: int, values: dict[str, float]) -> None:
        """Log the figures of a step, by name."""
        ...

    def text(self, step: int, text: str) -> None:
        """Log a text that the model wrote after a step."""
        ...

    def close(self) -> None:
        """Write what is buffered."""
        ...


class TensorBoard:
    """Event files in the directory of the run; what an earlier process logged beyond step `first` is hidden."""

    def __init__(self, out: Path, first: int, settings: dict[str, Any]) -> None:
        writer = import_module("torch.utils.tensorboard").SummaryWriter
        self._writer = writer(str(out / "tensorboard"), purge_step=first + 1)

    def scalars(self, step: int, values: dict[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def text(self, step: int, text: str) -> None:
        self._writer.add_text("sample", text, step)

    def close(self) -> None:
        self._writer.close()


class WeightsAndBiases:
    """One run of Weights & Biases per directory, with its name, which continues when the directory is resumed."""

    def __init__(self, out: Path, first: int, settings: dict[str, Any]) -> None:
        home = out.resolve()
        number = hashlib.sha256(str(home).encode()).hexdigest()[:8]
        self._run = import_module("wandb").init(
            project="remdm-tui", name=home.name, id=f"{home.name}-{number}", resume="allow", dir=str(out),
            config=settings,
        )  # fmt: skip

    def scalars(self, step: int, values: dict[str, float]) -> None:
        self._run.log(values, step=step)

    def text(self, step: int, text: str) -> None:
        self._run.log({"sample": text}, step=step)

    def close(self) -> None:
        self._run.finish()


LOGS: dict[str, Callable[[Path, int, dict[str, Any]], Log]] = {"tensorboard": TensorBoard, "wandb": WeightsAndBiases}


@contextmanager
def logs(names: Sequence[str], out: Path, first: int, settings: dict[str, Any]) -> Iterator[list[Log]]:
    """Open the loggers of these names, and close them at the end.

    first: the step that the run continues from.  settings: the configuration of the run.  Raises ValueError for an
    unknown name, ModuleNotFoundError for a missing package.
    """
    with ExitStack() as open_ones:
        loggers: list[Log] = []
        for name in names:
            if name not in LOGS:
                raise ValueError(f"unknown --log {name!r}: choose {', '.join(LOGS)}")
            try:
                log = LOGS[name](out, first, settings)
            except ModuleNotFoundError as error:
                raise ModuleNotFoundError(
                    f"--log {name} needs the package {name}: pip install {name}", name=error.name
                ) from error
            open_ones.callback(log.close)
            loggers.append(log)
        yield loggers


def values_of(reading: ProgressReading) -> dict[str, float]:
    """Return the measured figures of a step by name."""
    progress = reading.progress
    values = {
        "loss": progress.loss,
        "validation": progress.validation,
        "learning_rate": progress.lr,
        "gradient_norm": progress.grad_norm,
        "tokens_per_second": progress.tokens_per_second,
        "utilisation": reading.utilisation,
    }
    return {name: value for name, value in values.items() if value is not None}
