"""Presets: named sampling settings, one TOML file each in `configs/presets`.

A file may have rows: settings that differ from its own, evaluated one after the other; `NAME/ROW` is one of them.
"""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

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
    judge: str | None = None
    sweep: tuple[str, ...] = ()
    """axes that `eval` goes over, as --sweep has them"""
    rows: dict[str, dict[str, Any]] = {}
    """by name, what each sets otherwise"""

    @property
    def sets(self) -> dict[str, object]:
        """What it sets, without the summary."""
        return {k: v for k, v in msgspec.to_builtins(self).items() if k != "summary"}

    def row(self, name: str) -> Preset:
        """One of its rows.  Raises ValueError that lists them."""
        if name not in self.rows:
            raise ValueError(f"there is no row {name!r}: choose one of {', '.join(self.rows) or 'none'}")
        own = {k: v for k, v in msgspec.to_builtins(self).items() if k != "rows"}
        return msgspec.convert(own | self.rows[name], Preset)


def names() -> tuple[str, ...]:
    return tuple(sorted(_files()))


def read(name: str) -> Preset:
    """Raises ValueError that lists the valid names, or says what is wrong with the file."""
    files = _files()
    file, slash, row = name.partition("/")
    if file not in files:
        raise ValueError(f"unknown preset {name!r}: choose one of {', '.join(sorted(files))}")
    try:
        found = msgspec.toml.decode(files[file].read_bytes(), type=Preset)
        return found.row(row) if slash else found
    except ValueError as error:
        raise ValueError(f"preset {file}: {error}") from error


def _files() -> dict[str, Traversable]:
    home = resources.files("configs") / "presets"
    return {file.name.removesuffix(SUFFIX): file for file in home.iterdir() if file.name.endswith(SUFFIX)}
