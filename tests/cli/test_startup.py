"""What the command line costs before it does anything, and what it says about itself."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

import engine
from engine.records import SAMPLING
from engine.strategies import REGISTRY
from remdm_tui.settings import presets
from tests.cli.conftest import COMMAND, ENVIRONMENT


def test_help_imports_nothing_heavy() -> None:
    heavy = "{'numpy', 'torch', 'textual', 'rich', 'msgspec', 'tokenizers'}"
    code = (
        "import sys\nfrom remdm_tui.cli import app\n"
        f"try: app(['--help'])\nexcept SystemExit: print(sorted({heavy} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_strategies_are_listed_without_torch() -> None:
    code = (
        "import sys\nfrom remdm_tui.commands.listing import strategies\n"
        "strategies(False)\nprint('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_version_is_the_engines(cli: Callable[..., Any]) -> None:
    assert cli("--version").output == f"remdm-tui {engine.__version__}\n"


@pytest.mark.parametrize("command", ["watch", "sample"])
def test_help_names_every_strategy_preset_and_shared_setting(cli: Callable[..., Any], command: str) -> None:
    text = " ".join(cli(command, "--help").output.split()).replace("- ", "-")
    words = [*REGISTRY, *presets.preset_names(), *(choice for info in SAMPLING for choice in info.choices)]
    assert [word for word in words if word not in text] == []
    # nothing is left to be filled in; {mask} is what a prompt may hold
    assert re.findall(r"\{(?!mask\b|mask\*8)", text) == []


def test_help_of_dtype_names_what_models_can_be_loaded_in(cli: Callable[..., Any]) -> None:
    from engine.models import DTYPES

    text = cli("sample", "--help").output
    assert all(name in text for name in DTYPES)


def test_help_of_attention_names_every_kernel(cli: Callable[..., Any]) -> None:
    from engine.models.attention import BACKENDS

    assert f"auto | {' | '.join(BACKENDS)}" in " ".join(cli("sample", "--help").output.split())


def test_the_engine_of_another_terminal_is_no_command_for_people(cli: Callable[..., Any]) -> None:
    assert "\n  engine" not in cli("--help").output
    assert cli("engine", "--help").exit_code == 0


def test_help_of_bench_names_its_choices(cli: Callable[..., Any]) -> None:
    from engine import bench

    text = cli("bench", "--help").output
    assert all(name in text for name in (*bench.PARTS, *bench.PROBABILITIES, *bench.ALLOCATORS))


@pytest.mark.parametrize("group", [[], ["list"]])
def test_without_arguments_the_help_is_shown(group: list[str]) -> None:
    for extra in ([], ["--help"]):
        done = subprocess.run(
            [*COMMAND, *group, *extra], capture_output=True, text=True, timeout=120, check=False, env=ENVIRONMENT
        )
        shown = done.stdout + done.stderr
        assert done.returncode == (0 if extra else 2)
        assert "Traceback" not in shown
        assert shown.split()[0] == "Usage:"
        assert ("watch" if not group else "strategies") in shown
