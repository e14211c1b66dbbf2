"""Presets: named sampling settings, one TOML file each in `configs/presets`."""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable

import msgspec

SUFFIX = ".toml"


class Preset(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What differs from the defaults; None leaves the default, and a command takes what it has an option for."""

    summary: str
    strategy: str
    knobs: dict[str, bool | int | float | str] = {}
    top_p: float | None = None
    temperature: float | None = None
    nucleus: str | None = None
    draw: str | None = None
    steps: int | None = None
    length: int | None = None
    model: str | None = None
    chat: bool | None = None
    block_length: int | None = None
    stride: int | None = None
    strides: int | None = None
    count: int | None = None
    predictor: str | None = None
    tokenizer: str | None = None
    references: str | None = None
    data: str | None = None

    @property
    def sets(self) -> dict[str, object]:
        """What it sets, without the summary."""
        return {k: v for k, v in msgspec.to_builtins(self).items() if k != "summary"}


def names() -> tuple[str, ...]:
    return tuple(sorted(_files()))


def read(name: str) -> Preset:
    """Raises ValueError that lists the valid names, or says what is wrong with the file."""
    files = _files()
    if name not in files:
        raise ValueError(f"unknown preset {name!r}: choose one of {', '.join(sorted(files))}")
    try:
        return msgspec.toml.decode(files[name].read_bytes(), type=Preset)
    except msgspec.DecodeError as error:
        raise ValueError(f"preset {name}: {error}") from error


def _files() -> dict[str, Traversable]:
    home = resources.files("configs") / "presets"
    return {file.name.removesuffix(SUFFIX): file for file in home.iterdir() if file.name.endswith(SUFFIX)}
