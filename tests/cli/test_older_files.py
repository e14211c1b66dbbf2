"""What an earlier version wrote is used: an evaluation and a training run resume, and its checkpoint is a model."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
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
"""The arguments of the older evaluation, but for its number of samples."""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The directory of the older run, its data and configuration beside it."""
    with tarfile.open(FIXTURES / "older-train.tar.xz") as files:
        # the first versions of Python 3.11 have no filters
        files.extraction_filter = getattr(tarfile, "data_filter", lambda member, path: member)
        files.extractall(tmp_path)
    return tmp_path / "train"


def figures(home: Path) -> dict[str, Any]:
    """Return all figures of an evaluation that its clock does not decide."""
    found = msgspec.to_builtins(read_results(home))
    return {name: value for name, value in found.items() if name not in ("seconds", "timing")}


def test_an_older_evaluation_resumes_with_equal_figures(tmp_path: Path, cli: Callable[..., Any]) -> None:
    home = tmp_path / "eval"
    shutil.copytree(FIXTURES / "older-eval", home)
    before, drawn = figures(home), read_samples(home)
    refused = cli(*EVALUATION, "--count", "2", "--out", str(home))
    assert refused.exit_code == 2
    assert "--rescore to keep its samples" in " ".join(refused.output.split())

    assert cli(*EVALUATION, "--count", "2", "--out", str(home), "--rescore").exit_code == 0

    now, samples = figures(home), read_samples(home)
    assert [(line.number, line.ids) for line in samples] == [(line.number, line.ids) for line in drawn]
    for name in ("entropy", "entropy_interval", "distinct", "repetition", "network_calls", "calls", "samples"):
        assert now[name] == before[name], name
    older, newer = (found["metrics"]["standard"]["gen_ppl"] for found in (before, now))
    # on another machine the judge rounds otherwise
    assert newer.pop("perplexity") == pytest.approx(older.pop("perplexity"), rel=1e-4)
    assert newer == older
    for one, other in zip(drawn, samples, strict=True):
        assert one.judged is not None
        assert other.judged is not None
        assert other.judged["standard"].nats == pytest.approx(one.judged["standard"].nats, rel=1e-4)


def test_an_older_evaluation_that_is_enlarged_equals_a_new_one(tmp_path: Path, cli: Callable[..., Any]) -> None:
    home, anew = tmp_path / "eval", tmp_path / "anew"
    shutil.copytree(FIXTURES / "older-eval", home)
    for there in (home, anew):
        assert cli(*EVALUATION, "--count", "3", "--out", str(there), "--rescore").exit_code == 0
    assert figures(home) == figures(anew)
    assert read_samples(home) == read_samples(anew)


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
