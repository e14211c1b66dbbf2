"""What a person sees of a training run, and the logs that others read."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.text import Text

from engine.training.config import TrainProgress
from remdm_tui.commands.train_loggers import logs, values_of
from remdm_tui.commands.train_progress import ProgressReading, curve, progress_panel, smoothed, without_controls


def reading(**fields: Any) -> ProgressReading:
    progress = TrainProgress(7, 10, 2.5, 0.75, 1e-3, 1234.0, None, 2.0, saved=False)
    return ProgressReading(progress, 2.25, 2.0, 3725.0, **fields)


def shown(*parts: Any) -> str:
    console = Console(width=150, force_terminal=False)
    with console.capture() as capture:
        console.print(progress_panel(*parts))
    return capture.get()


def test_the_panel_has_every_figure() -> None:
    text = shown(reading(utilisation=0.41), [3.0, 2.0], Text("once upon"))
    for part in (
        "step 7 of 10",
        "2.2500",
        "2.0000 nats",
        "1.00e-03",
        "0.750",
        "1,234",
        "MFU  41%",
        "1:02:05",
        "once upon",
    ):
        assert part in text


def test_what_was_not_measured_is_not_made_up() -> None:
    assert "not measured" in shown(reading(), [3.0], None)
    assert "utilisation" not in values_of(reading())
    assert "validation" not in values_of(reading())


def test_the_curve_of_the_loss_falls_as_it_does() -> None:
    assert curve([8.0, 4.0, 1.0], 60) == "█▄▁"
    assert curve([1.0] * 5, 60) == "▁" * 5
    assert len(curve([float(i) for i in range(1000)], 60)) <= 60


def test_a_text_cannot_move_the_cursor() -> None:
    assert without_controls("a\x1b[2Jb\x07") == "a [2Jb "


def test_the_utilisation_is_a_share_of_the_fastest() -> None:
    progress = TrainProgress(7, 10, 2.5, 0.75, 1e-3, 500.0, None, 2.0, saved=False)
    (one,) = smoothed(iter([progress]), 10, fastest=2000.0)
    assert one.utilisation == 0.25


def test_a_text_is_shown_and_kept_every_so_many_steps(
    cli: Callable[..., Any], training: list[str], tmp_path: Path
) -> None:
    config = tmp_path / "tiny.toml"
    config.write_text(config.read_text() + "sample_every = 3\n")
    output = cli(*training, "--hub").output
    rows = [json.loads(line) for line in (tmp_path / "runs" / "tiny" / "samples.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [3, 6]
    assert all(row["text"] for row in rows)
    cli(*training, "--steps", "9")
    again = [json.loads(line) for line in (tmp_path / "runs" / "tiny" / "samples.jsonl").read_text().splitlines()]
    assert (again[:2], again[2]["step"]) == (rows, 9)
    assert "after step 3: " in output
    assert (tmp_path / "runs" / "tiny" / "hub" / "model.safetensors").exists()


class Recorded:
    """Takes the place of a package, and keeps what it receives."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def record(*parts: Any, **named: Any) -> Recorded:
            self.calls.append((name, parts, named))
            return self

        return record


def module(name: str, **members: Any) -> types.ModuleType:
    made = types.ModuleType(name)
    made.__dict__.update(members)
    return made


def test_tensorboard_gets_each_figure_and_hides_what_is_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = Recorded()
    monkeypatch.setitem(
        sys.modules, "torch.utils.tensorboard", module("tensorboard", SummaryWriter=package.SummaryWriter)
    )
    with logs(["tensorboard"], tmp_path, 6, {}) as (log,):
        log.scalars(7, {"loss": 2.5})
        log.text(7, "words")
    assert package.calls == [
        ("SummaryWriter", (str(tmp_path / "tensorboard"),), {"purge_step": 7}),
        ("add_scalar", ("loss", 2.5, 7), {}),
        ("add_text", ("sample", "words", 7), {}),
        ("close", (), {}),
    ]


def test_weights_and_biases_goes_on_with_the_run_of_that_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = Recorded()
    monkeypatch.setitem(sys.modules, "wandb", module("wandb", init=package.init))
    for out in (tmp_path / "a-run", tmp_path / "a-run", tmp_path / "elsewhere" / "a-run"):
        with logs(["wandb"], out, 0, {"objective": "mdlm"}) as (log,):
            log.scalars(7, {"loss": 2.5})
    started = [named for name, _, named in package.calls if name == "init"]
    assert [named["name"] for named in started] == ["a-run"] * 3
    assert started[0]["id"] == started[1]["id"] != started[2]["id"]
    assert (started[0]["resume"], started[0]["config"]) == ("allow", {"objective": "mdlm"})
    assert package.calls[1:3] == [("log", ({"loss": 2.5},), {"step": 7}), ("finish", (), {})]


def test_a_log_whose_package_is_missing_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ModuleNotFoundError, match="--log wandb needs the package wandb: pip install wandb"):
        logs(["wandb"], tmp_path, 0, {}).__enter__()
    with pytest.raises(ValueError, match="unknown --log 'paper': choose tensorboard, wandb"):
        logs(["paper"], tmp_path, 0, {}).__enter__()
