"""What an earlier version wrote is used: an evaluation and a training run resume, and its checkpoint is a model."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from engine.evaluation.results import read_results, read_samples
from engine.files.checkpoint_files import read_state
from engine.models import load_model
from engine.models.readers.training_run import NETWORK, export_newest

FIXTURES = Path(__file__).parents[1] / "fixtures"
EVALUATION = [
    "eval", "--model", "demo", "--strategy", "remdm-cap", "--steps", "4", "--length", "24", "--seed", "3",
    "--judge", "demo-judge", "--device", "cpu", "--dtype", "float32",
]  # fmt: skip
"""How the older evaluation was begun, but for its number of samples."""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The directory of the older run, its data and configuration beside it."""
    with tarfile.open(FIXTURES / "older-train.tar.xz") as files:
        # the first versions of Python 3.11 have no filters
        files.extraction_filter = getattr(tarfile, "data_filter", lambda member, path: member)
        files.extractall(tmp_path)
    return tmp_path / "train"


def test_an_older_evaluation_resumes_with_its_samples(tmp_path: Path, cli: Callable[..., Any]) -> None:
    home = tmp_path / "eval"
    shutil.copytree(FIXTURES / "older-eval", home)
    before, drawn = read_results(home), read_samples(home)
    refused = cli(*EVALUATION, "--count", "2", "--out", str(home))
    assert refused.exit_code == 2
    assert "--rescore to keep its samples" in " ".join(refused.output.split())

    assert cli(*EVALUATION, "--count", "3", "--out", str(home), "--rescore").exit_code == 0

    now, samples = read_results(home), read_samples(home)
    assert [(line.number, line.ids) for line in samples[:2]] == [(line.number, line.ids) for line in drawn]
    assert [line.number for line in samples] == [0, 1, 2]
    for how, older in before.metrics.items():
        newer = now.metrics[how].gen_ppl
        assert older.gen_ppl is not None
        assert newer is not None
        assert (newer.judge, older.gen_ppl.texts, newer.texts) == ("demo-judge", 2, 3)
    for one, other in zip(drawn, samples, strict=False):
        assert one.judged is not None
        assert other.judged is not None
        # on another machine the judge rounds otherwise
        assert other.judged["standard"].nats == pytest.approx(one.judged["standard"].nats, rel=1e-4)


def test_an_older_training_run_resumes(run: Path, cli: Callable[..., Any]) -> None:
    before = read_state(run / "last.pt", torch.device("cpu"))
    config, data = run.parent / "tiny.toml", run.parent / "data.jsonl"

    result = cli(
        "train", "--config", str(config), "--data", str(data), "--out", str(run), "--device", "cpu", "--steps", "7",
        "--cache", str(run.parent / "cache"),
    )  # fmt: skip

    assert result.exit_code == 0, result.output
    assert f"continuing from step {before['step']}" in " ".join(result.output.split())
    after = read_state(run / "last.pt", torch.device("cpu"))
    assert (before["step"], after["step"]) == (6, 7)
    assert NETWORK not in before
    assert after[NETWORK]["kind"] == "dit"


def test_the_checkpoint_of_an_older_run_is_a_model(run: Path) -> None:
    state = read_state(run / "last.pt", torch.device("cpu"))

    made = export_newest(run)

    assert made.step == 6
    model = load_model(str(run), "cpu", "float32")
    assert (model.info.kind, model.info.time_conditioned, model.vocab_size) == ("MDLM", False, 560)
    assert model.mask_id == model.codec.encode("[MASK]", special=True)[0]
    weights = load_file(made.home / "model.safetensors")
    assert torch.equal(weights["vocab_embed.embedding"], state["ema"]["vocab_embed.embedding"].bfloat16())
