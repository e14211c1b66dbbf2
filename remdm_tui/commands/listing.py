"""`list`: the strategies, models, keys and presets, as text or as JSON."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

INDENT = "    "
WIDEST = 110
"""Columns, at most: longer lines are hard to read."""


def strategies(as_json: bool) -> str:
    """Return the strategies with their knobs, as text by what they read."""
    from engine.strategies import catalogue
    from engine.strategies.groups import grouped

    if as_json:
        return to_json(catalogue())
    parts = [[f"== reads {title}", *map(_strategy, members)] for title, members in grouped(catalogue()).items()]
    return "\n\n".join(part for group in parts for part in group)


def models(as_json: bool) -> str:
    """Return the models that have a name."""
    from engine.models.catalogue import BUILT_IN, PUBLISHED

    rows = [{"name": name, "summary": summary} for name, summary in (BUILT_IN | PUBLISHED).items()]
    return to_json(rows) if as_json else table([(row["name"], row["summary"]) for row in rows])


def keys(as_json: bool) -> str:
    """Return the keys with their ids."""
    from remdm_tui.preferences.config_file import place, read_configuration
    from remdm_tui.preferences.keymap import KeyTable, readable_keys
    from remdm_tui.ui.key_table import KEYS

    config = read_configuration(KEYS)
    bindings = list(KeyTable(KEYS, config.keys).bound())
    if as_json:
        return to_json([{"name": b.id, "keys": b.key.split(","), "summary": b.description} for b in bindings])
    rows = [(b.id or "", readable_keys(b), b.description) for b in bindings]
    notes = [*config.problems, f'others: id = "key,key" below [keys] in {place()}']
    return "\n".join((table(rows), "", *notes))


def presets(as_json: bool) -> str:
    """Return the presets with their settings."""
    from remdm_tui.settings.presets import preset_names, read_preset

    by_name = {name: read_preset(name) for name in preset_names()}
    if as_json:
        return to_json([{"name": name, "summary": preset.summary, **preset.sets} for name, preset in by_name.items()])
    return "\n\n".join(
        "\n".join((name, _wrapped(preset.summary), _wrapped(", ".join(_pairs(preset.sets)))))
        for name, preset in by_name.items()
    )


def _strategy(info: Any) -> str:
    from remdm_tui.settings.knobs import span

    rows = [(knob.name, f"{knob.default}", span(knob), knob.doc + _needs(knob.needs)) for knob in info.knobs]
    lines = [info.name, _wrapped(info.summary), _wrapped(info.source)]
    return "\n".join([*lines, table(rows, INDENT * 2)] if rows else lines)


def _needs(needs: tuple[str, str] | None) -> str:
    return f" (with {needs[0]} {' or '.join(needs[1].split('|'))})" if needs else ""


def _pairs(sets: dict[str, Any]) -> Iterable[str]:
    for name, value in sets.items():
        if isinstance(value, dict):
            yield from _pairs(value)
        else:
            yield f"{name} {value}"


def to_json(rows: object) -> str:
    """Return indented JSON."""
    return msgspec.json.format(msgspec.json.encode(rows), indent=2).decode()


def table(rows: Sequence[Sequence[str]], indent: str = "") -> str:
    """Return left-aligned columns; the last one is wrapped."""
    widths = [max(map(len, column)) for column in list(zip(*rows))[:-1]]
    lines: list[str] = []
    for *cells, last in rows:
        start = indent + "".join(f"{cell:<{width}}  " for cell, width in zip(cells, widths))
        lines.append(_wrapped(last, start, " " * len(start)))
    return "\n".join(lines)


def _wrapped(text: str, first: str = INDENT, later: str = INDENT) -> str:
    columns = min(shutil.get_terminal_size().columns, WIDEST)
    return textwrap.fill(text, max(columns, len(later) + 24), initial_indent=first, subsequent_indent=later)
