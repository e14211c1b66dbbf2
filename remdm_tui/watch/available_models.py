"""The models that a person may be offered: built in, of own training runs, in the hub's cache, and published."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from engine.models.catalogue import BUILT_IN, PUBLISHED

RUNS = "runs"
"""Where `train --out runs/NAME` leaves its models, under the working directory."""


@dataclass(frozen=True)
class AvailableModel:
    """A name that loads, and what it is."""

    name: str
    summary: str


def available_models(home: Path, elsewhere: bool = False) -> list[AvailableModel]:
    """Models in the order in which they are likely meant; runs and cache of this machine not if it is `elsewhere`."""
    found = {name: AvailableModel(name, summary) for name, summary in BUILT_IN.items()}
    for run in [] if elsewhere else finished_runs(home):
        found.setdefault(run, AvailableModel(run, "a training run of yours"))
    for repo in [] if elsewhere else cached_models():
        found.setdefault(repo, AvailableModel(repo, f"in the local cache{_said(repo)}"))
    for name, summary in PUBLISHED.items():
        found.setdefault(name, AvailableModel(name, f"to download: {summary}"))
    return list(found.values())


def finished_runs(home: Path) -> list[str]:
    """Finished runs under a directory, the newest first."""
    models = [path for path in home.glob(f"{RUNS}/*/model") if (path / "config.json").is_file()]
    return [str(path.relative_to(home)) for path in sorted(models, key=lambda p: p.stat().st_mtime, reverse=True)]


def cached_models() -> list[str]:
    """Repositories in the hub's cache, by name; whether each holds a model that can be sampled is seen on loading."""
    folders = sorted(hub_cache().glob("models--*--*/snapshots"))
    return [folder.parent.name.removeprefix("models--").replace("--", "/", 1) for folder in folders]


def hub_cache() -> Path:
    """Where huggingface_hub keeps what it has fetched."""
    home = Path(os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface")
    return Path(os.environ.get("HF_HUB_CACHE") or home / "hub").expanduser()


def _said(repo: str) -> str:
    return f": {PUBLISHED[repo]}" if repo in PUBLISHED else ""
