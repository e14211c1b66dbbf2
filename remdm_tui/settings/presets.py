"""Presets: named sampling settings, one TOML file each in `configs/presets`, or a user's own file.

A file may have rows: settings that differ from its own, evaluated one after the other. `NAME/ROW` and
`FILE.toml/ROW` are one of them.
"""

from __future__ import annotations

from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import msgspec

from engine.files.configs import SUFFIX, configs
from engine.files.regular import regular_file


class Preset(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The settings that differ from the defaults; None keeps the default. A command uses the ones it has."""

    summary: str
    strategy: str
    knobs: dict[str, bool | int | float | str] = {}
    top_p: float | None = None
    temperature: float | None = None
    nucleus: str | None = None
    draw: str | None = None
    cfg: float | None = None
    eos_bias: float | None = None
    eos_confidence: str | None = None
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
    tasks: str | None = None
    """tasks that `eval` asks, as --tasks takes them"""
    sweep: tuple[str, ...] = ()
    """axes that `eval` sweeps over, as --sweep takes them"""
    rows: dict[str, dict[str, Any]] = {}
    """by name: the settings that each row changes"""

    @property
    def sets(self) -> dict[str, object]:
        """Return the settings without the summary."""
        return {k: v for k, v in msgspec.to_builtins(self).items() if k != "summary"}

    def row(self, name: str) -> Preset:
        """Return one row. Raises ValueError that lists them."""
        if name not in self.rows:
            raise ValueError(f"there is no row {name!r}: choose one of {', '.join(self.rows) or 'none'}")
        base = {k: v for k, v in msgspec.to_builtins(self).items() if k != "rows"}
        return msgspec.convert(base | self.rows[name], Preset)


def preset_names() -> tuple[str, ...]:
    """Return the names of the presets in the package."""
    return tuple(_shipped())


def read_preset(name: str) -> Preset:
    """Return a preset by name or by path. Raises ValueError that lists the names, or says what is wrong with the file.

    Raises OSError for a file that cannot be read.
    """
    path, dot, rest = name.partition(SUFFIX)
    if dot and rest[:1] in ("", "/"):
        file, row = path + dot, rest[1:]
        data = regular_file(Path(file).expanduser()).read_bytes()
    else:
        file, _, row = name.partition("/")
        shipped = _shipped()
        if file not in shipped:
            raise ValueError(f"unknown preset {name!r}: choose one of {', '.join(shipped)}, or give a {SUFFIX} file")
        data = shipped[file].read_bytes()
    try:
        preset = msgspec.toml.decode(data, type=Preset)
        return preset.row(row) if row else preset
    except ValueError as error:
        raise ValueError(f"preset {file}: {error}") from error


def _shipped() -> dict[str, Traversable]:
    return configs("remdm_tui", "presets")
