"""Read the TOML file of a run: names of sizes, models and tokenizers in it become what they stand for."""

from __future__ import annotations

from typing import Any

import msgspec

from engine.files.configs import configs
from engine.training import init_from
from engine.training.config import TrainConfig
from engine.training.tokenizers import given_size, tokenizer_file


def read_config(text: str) -> TrainConfig:
    """Parse TOML; raises ValueError that names the key at fault."""
    try:
        return msgspec.convert(_with_vocab_size(_with_init(_with_size(msgspec.toml.decode(text)))), TrainConfig)
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def sizes() -> dict[str, dict[str, object]]:
    """Return the shapes in configs/models by name: what `size` in a configuration's [model] stands for."""
    return {name: msgspec.toml.decode(file.read_bytes()) for name, file in configs("engine", "models").items()}


def _with_size(told: dict[str, Any]) -> dict[str, Any]:
    """With the fields of the named size where [model] names one; its own come first."""
    model = told.get("model")
    if not isinstance(model, dict) or "size" not in model:
        return told
    known, name = sizes(), model["size"]
    if not isinstance(name, str) or name not in known:
        raise ValueError(f"unknown model.size {name!r}: choose {', '.join(known)}")
    return {**told, "model": known[name] | {key: value for key, value in model.items() if key != "size"}}


def _with_init(told: dict[str, Any]) -> dict[str, Any]:
    """With the shape and the tokenizer of the model that [run] begins with; what the file says itself comes first."""
    run, model, data = told.get("run"), told.get("model", {}), told.get("data", {})
    init = run.get("init") if isinstance(run, dict) else None
    if not (isinstance(init, str) and isinstance(model, dict) and isinstance(data, dict)):
        return told
    return {**told, "model": init_from.shape(init) | model, "data": {"tokenizer": init_from.tokenizer(init)} | data}


def _with_vocab_size(told: dict[str, Any]) -> dict[str, Any]:
    """With the size of the vocabulary that a tokenizer on this machine has, where [data] names one."""
    model, data = told.get("model", {}), told.get("data")
    name = data.get("tokenizer") if isinstance(data, dict) else None
    if not (isinstance(name, str) and isinstance(model, dict)):
        return told
    asked = model.get("vocab_size")
    if tokenizer_file(name) is None or not (asked is None or isinstance(asked, int)):
        return told
    return {**told, "model": {**model, "vocab_size": given_size(name, asked)}}
