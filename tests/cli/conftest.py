"""How the tests call the command line: in this process, or as a process of its own with real pipes."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from typer.testing import CliRunner

from remdm_tui.cli import app

# the models of the tests are too small to be shared between threads
torch.set_num_threads(1)
# Typer makes all commands of the command line anew for each line, which takes longer than most of what these do
typer.main.get_command = typer.testing._get_command = cache(typer.main.get_command)

COMMAND = [sys.executable, "-c", "from remdm_tui.cli import main; main()"]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "80"}
SMALL = ["--steps", "3", "--length", "6"]
"""A run of the demo model that takes no time."""

CONFIG = """
[model]
vocab_size = 560
hidden_size = 16
n_blocks = 1
n_heads = 2
cond_dim = 8
length = 12
dropout = 0.0
[optim]
warmup = 2
[run]
steps = 6
batch = 2
ema = 0.5
checkpoint_every = 1000
validate_every = 3
validation_windows = 2
precision = "float32"
"""


@pytest.fixture
def cli() -> Callable[..., Any]:
    """Run a command in this process; what it raised beyond an exit is raised here."""

    def run(*arguments: str) -> Any:
        result = CliRunner().invoke(app, list(arguments))
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@pytest.fixture
def training(tmp_path: Path) -> list[str]:
    """A `train` command of a few small steps on a small text, into tmp_path/runs/tiny."""
    words = random.Random(0)
    alphabet = "abcdefghijklmnopqrstuvwxyz"
    lexicon = ["".join(words.choice(alphabet) for _ in range(words.randint(2, 7))) for _ in range(400)]
    text = "\n\n".join(" ".join(words.choice(lexicon) for _ in range(40)) for _ in range(30))
    (tmp_path / "text.txt").write_text(text, encoding="utf-8")
    (tmp_path / "tiny.toml").write_text(CONFIG, encoding="utf-8")
    out = tmp_path / "runs" / "tiny"
    return [
        "train", "--config", str(tmp_path / "tiny.toml"), "--data", str(tmp_path / "text.txt"), "--out", str(out),
        "--device", "cpu",
    ]  # fmt: skip
