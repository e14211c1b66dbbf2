"""Read `config.toml`; nothing in it can keep the application from starting."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from platformdirs import user_config_path
from textual.binding import Binding

from engine.files.regular import regular_file
from remdm_tui.preferences.keymap import keymap
from remdm_tui.preferences.themes import THEMES

NAME = "remdm-tui"
FILE = "config.toml"
LARGEST = 1 << 20
"""Bytes of a configuration at most."""
SETTING_TYPES = {"theme": str, "ascii": bool, "mouse": bool, "remember": bool, "confirm_quit": bool}


@dataclass(frozen=True)
class Configuration:
    """The settings of the file, with defaults for what is missing."""

    theme: str | None = None
    ascii: bool = False
    mouse: bool = True
    remember: bool = True
    """whether a session begins as the last one ended"""
    keys: Mapping[str, str] = field(default_factory=dict)
    """keys by id, as Textual takes them"""
    problems: tuple[str, ...] = ()
    """a sentence about each line that means nothing"""
    confirm_quit: bool = True
    """whether quitting asks once if that loses what a person made"""


def place() -> Path:
    return user_config_path(NAME, appauthor=False) / FILE


def read_configuration(bindings: Sequence[Binding], path: Path | None = None) -> Configuration:
    """Return the valid part of the file; the defaults if it does not exist.

    bindings: those whose keys `[keys]` may set.
    """
    path = path or place()
    try:
        with regular_file(path).open("rb") as file:
            data = file.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise ValueError("it is too large")
        written = tomllib.loads(data.decode("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return Configuration()
    except OSError as error:
        return Configuration(problems=(f"{path} cannot be read: {error.strerror}",))
    except (ValueError, RecursionError) as error:
        message = str(error).removeprefix(f"{path} is ")
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else message
        return Configuration(problems=(f"{path} cannot be read: {reason}",))
    return parse_configuration(written, bindings)


def parse_configuration(written: Mapping[str, Any], bindings: Sequence[Binding]) -> Configuration:
    """Return the configuration of a parsed file."""
    values: dict[str, Any] = {}
    problems: list[str] = []
    for name, value in written.items():
        if name == "keys" and isinstance(value, dict):
            values["keys"], sentences = keymap(value, bindings)
            problems += sentences
        elif name == "theme" and isinstance(value, str) and value not in THEMES:
            problems.append(f"no theme {value!r:.40}; themes: {', '.join(THEMES)}")
        elif name in SETTING_TYPES and isinstance(value, SETTING_TYPES[name]):
            values[name] = value
        elif name in SETTING_TYPES or name == "keys":
            needs = {str: "a text", bool: "true or false"}.get(SETTING_TYPES.get(name, dict), "a table, [keys]")
            problems.append(f"{name} must be {needs}, not {value!r:.40}")
        else:
            problems.append(f"no setting {name!r:.40}; settings: {', '.join([*SETTING_TYPES, '[keys]'])}")
    return Configuration(**values, problems=tuple(f"{FILE}: {problem}" for problem in problems))
