"""`list` shows all there is, as text and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from engine.models.catalogue import BUILT_IN, PUBLISHED
from engine.strategies import REGISTRY, SIMPLEX, catalogue
from remdm_tui.settings import presets

NAMES = {
    "strategies": [*REGISTRY, *SIMPLEX],
    "models": [*BUILT_IN, *PUBLISHED],
    "presets": list(presets.preset_names()),
}


@pytest.mark.parametrize("what", NAMES)
def test_text_names_each_at_the_start_of_a_line(cli: Callable[..., Any], what: str) -> None:
    lines = [line for line in cli("list", what).output.splitlines() if line[:1].strip()]
    starts = [line.split()[0] for line in lines if not line.startswith("== ")]
    assert sorted(starts) == sorted(NAMES[what])


def test_strategies_are_listed_by_what_they_read_those_that_read_least_first(cli: Callable[..., Any]) -> None:
    lines = [line for line in cli("list", "strategies").output.splitlines() if line[:1].strip()]
    titles = [line for line in lines if line.startswith("== ")]
    assert titles[0] == "== reads time alone"
    assert lines.index("mdlm") < lines.index("== reads the network's view of masked positions")
    assert lines.index("low-confidence") > lines.index("== reads the network's view of masked positions")


@pytest.mark.parametrize("what", NAMES)
def test_json_holds_each_by_name(cli: Callable[..., Any], what: str) -> None:
    assert [row["name"] for row in json.loads(cli("list", what, "--json").output)] == NAMES[what]


def test_every_knob_is_shown_with_its_default(cli: Callable[..., Any]) -> None:
    lines = [line.split()[:2] for line in cli("list", "strategies").output.splitlines()]
    missing = [k.name for info in catalogue() for k in info.knobs if [k.name, str(k.default)] not in lines]
    assert missing == []


def test_lines_fit_a_terminal_of_80_columns(cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert max(map(len, cli("list", "presets").output.splitlines())) <= 80
