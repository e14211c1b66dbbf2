"""Several processes train as one does: the same curve, whoever holds which share, also after a restart among others."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

from engine.training.config import TrainConfig
from engine.training.config_file import read_config
from engine.training.data import Corpus, prepare
from engine.training.loop import Trainer
from engine.training.workers import workers
from tests import forks
from tests.engine.texts import VOCABULARY, write_texts

CONFIG = f"""
[model]
vocab_size = {VOCABULARY}
hidden_size = 16
n_blocks = 2
n_heads = 2
cond_dim = 8
length = 16
dropout = 0.0
[optim]
lr = 1e-2
warmup = 2
[run]
steps = 6
batch = 8
rows_together = 2
ema = 0.9
checkpoint_every = 3
validate_every = 3
validation_windows = 5
precision = "float32"
"""
PROCESS = """
import json, os, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from engine.training.config_file import read_config
from engine.training.data import prepare
from engine.training.loop import Trainer
from engine.training.workers import workers
home, text, strategy, steps = sys.argv[1:]
config = read_config(text)
team = workers("cpu", os.environ, strategy=strategy)
corpus = prepare([Path(home) / "nonsense.jsonl"], config.model.vocab_size, Path(home) / "cache")
trainer = Trainer(config, corpus, Path(home) / "run", torch.device("cpu"), team)
reports = []
for progress in trainer.run():
    reports.append((progress.loss, progress.grad_norm, progress.validation))
    if progress.step == int(steps):
        break
Path(home, f"{strategy}-{team.rank}.json").write_text(json.dumps(reports))
"""


def processes(home: Path, strategy: str, steps: int, count: int = 2) -> list[list[Any]]:
    """Return what each of them reported of its steps."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {
        **os.environ, "OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
        "WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count), "TORCHELASTIC_RUN_ID": "test", "GROUP_RANK": "0",
    }  # fmt: skip
    started = [
        forks.start(
            PROCESS, [str(home), CONFIG, strategy, str(steps)], imports=forks.TRAINING,
            env={**common, "RANK": str(rank), "LOCAL_RANK": str(rank)}, stderr=subprocess.PIPE, text=True,
        )
        for rank in range(count)
    ]  # fmt: skip
    complaints = [process.communicate(timeout=240)[1] for process in started]
    assert [process.returncode for process in started] == [0] * count, complaints
    return [msgspec.json.decode((home / f"{strategy}-{rank}.json").read_bytes()) for rank in range(count)]


def numbers(reported: list[Any]) -> list[float]:
    return [value for step in reported for value in step if value is not None]


def test_two_processes_give_the_curve_of_one_also_when_others_take_over_halfway(tmp_path: Path) -> None:
    """Three steps by two whole copies, then three by two halves, against six by one process."""
    write_texts(tmp_path)
    corpus = prepare([tmp_path / "nonsense.jsonl"], VOCABULARY, tmp_path / "cache")
    alone = trainer(read_config(CONFIG), corpus, tmp_path / "alone")
    expected = [(p.loss, p.grad_norm, p.validation) for p in alone.run()]
    first = processes(tmp_path, "ddp", 3)
    second = processes(tmp_path, "fsdp", 6)
    assert first[0] == first[1]
    assert second[0] == second[1]
    assert (len(first[0]), len(second[0])) == (3, 3)
    assert numbers(first[0] + second[0]) == pytest.approx(numbers(expected), rel=1e-5)
    state = torch.load(tmp_path / "run" / "last.pt", weights_only=True)
    for name, value in alone.ema.state_dict().items():
        torch.testing.assert_close(state["ema"][name], value, rtol=1e-3, atol=1e-5)
    # and one process goes on where they ended
    assert trainer(read_config(CONFIG), corpus, tmp_path / "run").step == 6


def trainer(config: TrainConfig, corpus: Corpus, home: Path) -> Trainer:
    return Trainer(config, corpus, home, torch.device("cpu"))


class Seven:
    """As much of seven processes as one notices."""

    rank, world, device = 0, 7, None


def test_a_batch_that_does_not_divide_is_refused(tmp_path: Path) -> None:
    corpus = prepare([write_texts(tmp_path)], VOCABULARY, tmp_path / "cache")
    with pytest.raises(ValueError, match="batch of 8 does not divide among 7 processes"):
        Trainer(read_config(CONFIG), corpus, tmp_path / "run", torch.device("cpu"), Seven())  # type: ignore[arg-type]


def test_muon_is_refused_where_its_matrices_are_divided() -> None:
    with pytest.raises(ValueError, match="takes whole matrices"):
        read_config("optim = {name = 'muon'}\nrun = {strategy = 'fsdp'}")


@pytest.mark.parametrize(
    ("devices", "nodes", "reason"),
    [(0, 1, "--devices is how many processes"), (2, 0, "--nodes is how many"), (None, 2, "--nodes 2 takes --devices")],
)
def test_impossible_numbers_of_processes_are_refused(devices: int | None, nodes: int, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        workers("cpu", {}, devices, nodes)


def test_one_process_is_alone() -> None:
    team = workers("cpu", {})
    assert (team.rank, team.world, team.sum(2.5), team.max(3)) == (0, 1, 2.5, 3)


@pytest.mark.parametrize("objective", ["mdlm", "ar"])
def test_activations_computed_again_give_the_same_curve(tmp_path: Path, objective: str) -> None:
    corpus = prepare([write_texts(tmp_path)], VOCABULARY, tmp_path / "cache")
    reported = []
    for recompute in (False, True):
        config = msgspec.structs.replace(read_config(CONFIG), objective=objective)
        model = msgspec.structs.replace(config.model, dropout=0.1)
        config = msgspec.structs.replace(
            config, model=model, run=msgspec.structs.replace(config.run, recompute=recompute, steps=3)
        )
        reported.append([(p.loss, p.grad_norm) for p in trainer(config, corpus, tmp_path / str(recompute)).run()])
    assert numbers(reported[1]) == pytest.approx(numbers(reported[0]), rel=1e-6)


def test_a_compiler_that_fails_costs_speed_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*parts: object, **options: object) -> object:
        raise RuntimeError("no compiler here")

    corpus = prepare([write_texts(tmp_path)], VOCABULARY, tmp_path / "cache")
    expected = [p.loss for p in trainer(read_config(CONFIG), corpus, tmp_path / "plain").run()]
    monkeypatch.setattr("torch._dynamo.optimize", fail)
    monkeypatch.setattr("torch.compile", lambda *parts, **options: fail)
    config = read_config(CONFIG + "compile = true\n")
    made = trainer(config, corpus, tmp_path / "compiled")
    assert made.uncompiled == "RuntimeError: no compiler here"
    assert [p.loss for p in made.run()] == expected
