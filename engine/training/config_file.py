"""Read the TOML file of a run and resolve the names of sizes, models and tokenizers in it."""

from __future__ import annotations

from typing import Any

import msgspec

from engine.files.configs import configs
from engine.training import init_from
from engine.training.config import TrainConfig
from engine.training.tokenizers import local_tokenizer_file, vocabulary_size


def read_config(text: str) -> TrainConfig:
    """Parse the TOML text of a configuration.  Raises ValueError that names the key at fault."""
    try:
        return msgspec.convert(_with_vocab_size(_with_init(_with_size(msgspec.toml.decode(text)))), TrainConfig)
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def sizes() -> dict[str, dict[str, object]]:
    """Return the shapes in configs/models by name: the values of `size` in a configuration's [model]."""
    return {name: msgspec.toml.decode(file.read_bytes()) for name, file in configs("engine", "models").items()}


def _with_size(raw: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration with the fields of the size that [model] names; its own fields have precedence."""
    model = raw.get("model")
    if not isinstance(model, dict) or "size" not in model:
        return raw
    known, name = sizes(), model["size"]
    if not isinstance(name, str) or name not in known:
        raise ValueError(f"unknown model.size {name!r}: choose {', '.join(known)}")
    return {**raw, "model": known[name] | {key: value for key, value in model.items() if key != "size"}}


def _with_init(raw: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration with the shape and tokenizer of run.init; the file's own fields have precedence."""
    run, model, data = raw.get("run"), raw.get("model", {}), raw.get("data", {})
    init = run.get("init") if isinstance(run, dict) else None
    if not (isinstance(init, str) and isinstance(model, dict) and isinstance(data, dict)):
        return raw
    return {**raw, "model": init_from.shape(init) | model, "data": {"tokenizer": init_from.tokenizer(init)} | data}


def _with_vocab_size(raw: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration with the vocabulary size of the local tokenizer that [data] names, if any."""
    model, data = raw.get("model", {}), raw.get("data")
    name = data.get("tokenizer") if isinstance(data, dict) else None
    if not (isinstance(name, str) and isinstance(model, dict)):
        return raw
    size = model.get("vocab_size")
    if local_tokenizer_file(name) is None or not (size is None or isinstance(size, int)):
        return raw
    return {**raw, "model": {**model, "vocab_size": vocabulary_size(name, size)}}
