"""`doctor`: the environment, and a model's self-check."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.models.catalogue import resolve
from remdm_tui.commands.doctor import terminal


def test_the_environment_names_what_decides_a_result(cli: Callable[..., Any]) -> None:
    text = cli("doctor").stdout
    for name in (f"torch {torch.__version__}", "transformers", "flash-attn", "cpu", "attention", "TERM", "hub"):
        assert name in " ".join(text.split())


def test_a_model_is_loaded_and_measured(cli: Callable[..., Any]) -> None:
    last = cli("doctor", "--model", "demo", "--device", "cpu").stdout.splitlines()[-1]
    assert last.startswith("demo: 10.4 M parameters, float32 on cpu, vocabulary 4096, mask 4095, length 256")
    assert "nats a token (chance is 8.3)" in last


def test_json_holds_the_same(cli: Callable[..., Any]) -> None:
    found = json.loads(cli("doctor", "--model", "demo", "--device", "cpu", "--json").stdout)
    assert set(found) == {"versions", "devices", "terminal", "caches", "model"}
    assert found["devices"][-1]["device"] == "cpu"
    assert found["model"]["loss"] < 0.5 * found["model"]["chance"]
    assert not found["model"]["garbled"]
    assert "model" not in json.loads(cli("doctor", "--json").stdout)


@pytest.mark.parametrize("model", ["demo", "demo-sedd", "demo-ar"])
def test_another_tokenizer_or_mask_than_a_models_own_is_refused(
    cli: Callable[..., Any], tmp_path: Path, model: str
) -> None:
    own = (resolve(model) or tmp_path) / "tokenizer.json"
    same, other = tmp_path / "same.json", tmp_path / "other.json"
    same.write_bytes(own.read_bytes())
    other.write_text(own.read_text(encoding="utf-8") + " ", encoding="utf-8")
    given = ("doctor", "--model", model, "--device", "cpu")
    assert cli(*given, "--tokenizer", str(same)).exit_code == 0
    for more, sentence in (
        (("--tokenizer", str(other)), "was trained with a tokenizer of its own"),
        (("--tokenizer", str(tmp_path / "none.json")), "there is no tokenizer file"),
        (("--mask-id", "3"), "not 3: leave out --mask-id"),
    ):
        result = cli(*given, *more)
        assert result.exit_code == 2
        assert sentence in " ".join(result.stderr.split())


@pytest.mark.parametrize("as_json", [False, True])
def test_a_model_that_cannot_be_loaded_is_an_exit_code_and_one_sentence(
    cli: Callable[..., Any], tmp_path: Path, as_json: bool
) -> None:
    (tmp_path / "config.json").write_text("{")
    result = cli("doctor", "--model", str(tmp_path), *["--json"] * as_json)
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "is not a configuration" in result.stderr
    if as_json:
        assert "is not a configuration" in json.loads(result.stdout)["model"]["error"]


def test_the_terminal_is_described_by_what_it_says() -> None:
    found = terminal({"TERM": "dumb", "NO_COLOR": "1"})
    assert (found["TERM"], found["COLORTERM"], found["NO_COLOR"]) == ("dumb", "", True)
