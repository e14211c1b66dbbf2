"""The models to offer: built-in, the person's training runs, the hub's cache, and published ones."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from engine.models.catalogue import BUILT_IN, PUBLISHED

RUNS = "runs"
"""The directory of `train --out runs/NAME`, under the working directory."""


@dataclass(frozen=True)
class AvailableModel:
    """A name for `--model`, and what it is."""

    name: str
    summary: str


def available_models(home: Path, elsewhere: bool = False) -> list[AvailableModel]:
    """Return the models, most likely first; without runs and cache of this machine if the engine is `elsewhere`."""
    found = {name: AvailableModel(name, summary) for name, summary in BUILT_IN.items()}
    for run in [] if elsewhere else finished_runs(home):
        found.setdefault(run, AvailableModel(run, "a training run of yours"))
    for repo in [] if elsewhere else cached_models():
        found.setdefault(repo, AvailableModel(repo, f"in the local cache{_published(repo)}"))
    for name, summary in PUBLISHED.items():
        found.setdefault(name, AvailableModel(name, f"to download: {summary}"))
    return list(found.values())


def finished_runs(home: Path) -> list[str]:
    """Return the models of finished training runs under a directory, newest first."""
    models = [path for path in home.glob(f"{RUNS}/*/model") if (path / "config.json").is_file()]
    return [str(path.relative_to(home)) for path in sorted(models, key=lambda p: p.stat().st_mtime, reverse=True)]


def cached_models() -> list[str]:
    """Return the repositories in the hub's cache by name; only loading shows whether one can be sampled."""
    folders = sorted(hub_cache().glob("models--*--*/snapshots"))
    return [folder.parent.name.removeprefix("models--").replace("--", "/", 1) for folder in folders]


def hub_cache() -> Path:
    """Return the directory in which huggingface_hub caches repositories."""
    home = Path(os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface")
    return Path(os.environ.get("HF_HUB_CACHE") or home / "hub").expanduser()


def _published(repo: str) -> str:
    """Return the summary of a published model, with a colon before it; empty for others."""
    return f": {PUBLISHED[repo]}" if repo in PUBLISHED else ""
