"""What an import loads, in a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys

import pytest

import engine

HEAVY = ("torch", "transformers", "tokenizers", "safetensors")
SCREEN = ("textual", "rich", "typer", "remdm_tui")


def loaded(statement: str) -> set[str]:
    """The modules that are there after a statement."""
    program = f"import sys\n{statement}\nprint(*sys.modules)"
    command = [sys.executable, "-P", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=240)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import engine",
        "import engine.strategies; engine.strategies.catalogue()",
        "import engine.serve",
        "import engine.sampling.trace, engine.sampling.figures, engine.wire, engine.records",
        "import engine; engine.make_strategy('remdm-cap', eta=0.1).grid(128)",
    ],
)
def test_what_the_terminal_needs_loads_nothing_heavy(statement: str) -> None:
    assert not loaded(statement) & {*HEAVY, *SCREEN}


def test_the_whole_engine_loads_no_terminal() -> None:
    statement = (
        "import engine.sampling.session, engine.sampling.batch, engine.sampling.oracle, "
        "engine.models, engine.serve, engine.training.loop"
    )
    modules = loaded(statement)
    assert "torch" in modules
    assert not modules & set(SCREEN)


def test_to_load_a_model_and_sample_takes_no_compiler() -> None:
    statement = """
import engine
strategy = engine.make_strategy("left-to-right")
for name in ("demo", "demo-sedd", "demo-ar"):
    engine.sample(engine.load_model(name, "cpu"), strategy, steps=4, length=4, count=1, seed=0)
    assert not {"torch._dynamo", "sympy"} & {*sys.modules}, name"""
    assert "torch" in loaded(statement)


def test_the_names_of_the_engine_are_there() -> None:
    for name in engine.__all__:
        assert getattr(engine, name) is not None
    with pytest.raises(AttributeError, match="module 'engine' has no attribute 'Sesion'"):
        _ = engine.Sesion
