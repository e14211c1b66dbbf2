"""Checkpoints as training programs and broken downloads leave them: read, or refused by the file at fault."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

import engine
from engine.models import TextModel
from engine.sampling.predictors import sample_by_predictor
from tests.engine.dit_files import (
    HUB,
    VOCAB,
    average_of,
    prefixed,
    run_settings,
    state,
    write_hub,
    write_lightning,
    write_tokenizer,
)

WEIGHTS, AVERAGE = state(seed=1), state(seed=2)
SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_tokenizer(tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"))


def load(path: Path, tokenizer: str) -> TextModel:
    return engine.load_model(str(path), "cpu", tokenizer=tokenizer)


def logits(model: TextModel) -> Tensor:
    tokens = torch.arange(12)[None] % VOCAB
    return model.project(model.encode(tokens, torch.tensor([0.5]))[0])


def training_file(path: Path, model: Mapping[str, Tensor]) -> Path:
    ema = {"decay": 0.9999, "num_updates": 3, "shadow_params": average_of(AVERAGE)}
    torch.save({"optimizer": {"state": {}}, "model": dict(model), "ema": ema, "step": 3}, path)
    return path


@pytest.mark.parametrize("name", ["checkpoint.pth", "checkpoint.pt", "checkpoint.ckpt"])
@pytest.mark.parametrize("wrapper", ["sedd", "module", "bare"])
def test_a_training_file_is_read_from_its_directory_as_by_itself(
    name: str, wrapper: str, tmp_path: Path, tokenizer: str
) -> None:
    path = tmp_path / name
    if wrapper == "sedd":
        training_file(path, WEIGHTS)
    else:
        torch.save({"module": dict(WEIGHTS)} if wrapper == "module" else dict(WEIGHTS), path)
    for extra in ("optimizer.pt", "scheduler.pt", "rng_state_0.pth", "training_args.bin"):
        torch.save({"state": {}}, tmp_path / extra)
    alone, inside = load(path, tokenizer), load(tmp_path, tokenizer)
    assert inside.info.kind == alone.info.kind
    assert torch.equal(logits(inside), logits(alone))


def test_of_several_training_files_one_is_to_be_named(tmp_path: Path, tokenizer: str) -> None:
    for name in ("a.pt", "b.pth", "c.ckpt"):
        training_file(tmp_path / name, WEIGHTS)
    with pytest.raises(ValueError, match=r"it has 3 checkpoints: give one of them, such as .*c\.ckpt"):
        load(tmp_path, tokenizer)


@pytest.mark.parametrize("name", ["checkpoint.pth", "checkpoint.bin", "checkpoint"])
def test_the_file_of_sedds_training_gives_its_averaged_weights(name: str, tmp_path: Path, tokenizer: str) -> None:
    found = load(training_file(tmp_path / name, prefixed(WEIGHTS, "module.")), tokenizer)
    bare = load(training_file(tmp_path / "bare.pth", AVERAGE), tokenizer)
    assert found.info.kind == "SEDD"
    assert found.time_conditioned
    assert torch.equal(logits(found), logits(bare))


@pytest.mark.parametrize("wrapper", ["", "state_dict", "model_state_dict", "model", "module"])
@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.backbone."])
def test_weights_under_any_wrapper_and_prefix_are_the_same(
    wrapper: str, prefix: str, tmp_path: Path, tokenizer: str
) -> None:
    tensors: dict[str, Any] = {name.replace("blocks.0.", "blocks.0._orig_mod."): x for name, x in WEIGHTS.items()}
    tensors = prefixed(tensors, prefix)
    torch.save({wrapper: tensors, "epoch": 3} if wrapper else tensors, tmp_path / "wrapped.pt")
    torch.save(WEIGHTS, tmp_path / "bare.pt")
    assert torch.equal(logits(load(tmp_path / "wrapped.pt", tokenizer)), logits(load(tmp_path / "bare.pt", tokenizer)))


def sharded(home: Path) -> Path:
    """An MDLM of the hub in two shards."""
    home.mkdir()
    weights = prefixed(WEIGHTS)
    names = sorted(weights)
    listed = {name: SHARDS[i >= len(names) // 2] for i, name in enumerate(names)}
    (home / "config.json").write_text(json.dumps(HUB))
    (home / "model.safetensors.index.json").write_text(json.dumps({"weight_map": listed}))
    for shard in SHARDS:
        save_file({name: weights[name] for name in names if listed[name] == shard}, home / shard)
    return home


BREAKS: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda home: (home / SHARDS[1]).unlink(), SHARDS[1]),
    "cut": (lambda home: os.truncate(home / SHARDS[1], 500), SHARDS[1]),
    "short": (lambda home: os.truncate(home / SHARDS[0], (home / SHARDS[0]).stat().st_size - 1), SHARDS[0]),
    "empty": (lambda home: os.truncate(home / SHARDS[0], 0), SHARDS[0]),
    "a pointer": (lambda home: (home / SHARDS[0]).write_text("version https://git-lfs.github.com/spec/v1"), "git-lfs"),
    "a page": (lambda home: (home / SHARDS[0]).write_text("\n <html>"), "web page"),
    "no index": (lambda home: (home / "model.safetensors.index.json").unlink(), "model.safetensors.index.json"),
    "a list": (lambda home: (home / "model.safetensors.index.json").write_text("[]"), "model.safetensors.index.json"),
}


@pytest.mark.parametrize("how", BREAKS)
def test_a_broken_shard_is_named_and_no_code_is_requested(how: str, tmp_path: Path, tokenizer: str) -> None:
    home = sharded(tmp_path / "model")
    spoil, named = BREAKS[how]
    spoil(home)
    with pytest.raises(ValueError, match=named) as error:
        load(home, tokenizer)
    assert "trust" not in str(error.value)


@pytest.mark.parametrize("name", ["a.ckpt", "a.pt", "a.pth", "a.bin", "a.safetensors", "a.gguf", "a"])
@pytest.mark.parametrize(
    ("text", "words"), [("version https://git-lfs.github.com/spec/v1", "git-lfs"), ("<!DOCTYPE html>", "web page")]
)
def test_a_page_or_pointer_saved_as_weights_is_reported(
    name: str, text: str, words: str, tmp_path: Path, tokenizer: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=words):
        load(tmp_path / name, tokenizer)


@pytest.mark.parametrize(
    "text", ["<html>", "version https://git-lfs", "[]", '{"a": NaN', "[" * 100_000, '{"a": 1, "a": 2}']
)
def test_a_broken_configuration_is_named(text: str, tmp_path: Path, tokenizer: str) -> None:
    home = write_hub(tmp_path / "model", HUB, prefixed(WEIGHTS))
    (home / "config.json").write_text(text)
    with pytest.raises(ValueError, match=r"config\.json"):
        load(home, tokenizer)


WRONG: list[Any] = [["dit"], {"a": 1}, True, 10**40, "7"]


@pytest.mark.parametrize("value", WRONG, ids=str)
@pytest.mark.parametrize("key", ["kind", "format", "hidden_size", "mask_id"])
def test_a_value_of_another_type_is_one_sentence(key: str, value: Any, tmp_path: Path) -> None:
    config = {"format": 1, "kind": "dit", "hidden_size": 16, "n_heads": 2, "n_blocks": 3, "cond_dim": 6, "length": 12}
    home = write_hub(tmp_path / "model", {**config, "vocab_size": VOCAB, "mask_id": VOCAB - 1, key: value}, WEIGHTS)
    write_tokenizer(home / "tokenizer.json")
    with pytest.raises(ValueError, match=r"^.+$") as error:
        engine.load_model(str(home), "cpu")
    assert "\n" not in str(error.value)


def test_a_pipe_is_no_model(tmp_path: Path, tokenizer: str) -> None:
    os.mkfifo(tmp_path / "pipe.ckpt")
    with pytest.raises(ValueError, match=r"pipe\.ckpt is a named pipe, not a regular file"):
        load(tmp_path / "pipe.ckpt", tokenizer)


PADDED = VOCAB + 40


@pytest.mark.parametrize("kind", ["subs", "d3pm", "sedd", "ar"])
def test_ids_beyond_the_tokenizer_are_never_drawn(kind: str, tmp_path: Path, tokenizer: str) -> None:
    weights = state(causal=kind == "ar", seed=1, vocab=PADDED)
    weights["output_layer.linear.bias"][VOCAB:] = 50.0
    configured = run_settings(parameterization=kind, backbone="ar" if kind == "ar" else "dit")
    path = write_lightning(tmp_path / "model.ckpt", weights, configured, None)
    model = engine.load_model(str(path), "cpu", tokenizer=tokenizer, mask_id=VOCAB - 1)
    assert model.never == tuple(range(VOCAB, PADDED))
    assert "40 ids of the vocabulary are not tokens and are never drawn" in model.info.notes
    strategies = ["left-to-right"] if kind == "ar" else ["mdlm", "low-confidence", "remdm-cap"]
    for name in strategies:
        for more in ({}, {"temperature": 0.0}, {"draw": "gumbel-float64"}, {"draw": "gumbel-float32"}):
            ids = engine.sample(model, engine.make_strategy(name), steps=12, length=12, count=2, **more)
            assert bool((ids < VOCAB - 1).all())
    if kind != "ar":
        for predictor in ("ddpm", "ddpm_cache", "analytic"):
            tokens = sample_by_predictor(model, predictor, steps=3, length=12, count=2, seed=0).tokens
            assert bool((tokens < VOCAB - 1).all())
