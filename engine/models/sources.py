"""What a model's name means: a built-in, a directory or file, or a repository of the Hugging Face hub.

Only data is ever fetched: weights, configurations and tokenizers, never code unless it was asked for.
"""

from __future__ import annotations

import os
import re
from importlib import resources
from pathlib import Path
from typing import Any

from engine.models.loading import Progress

BUILT_IN = {"demo": "11.7 M parameters, Victorian novels, length 256; inside the package"}
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
DATA = ["*.json", "*.txt", "*.model", "*.jinja", "*.tiktoken"]
WEIGHTS = (["*.safetensors"], ["*.bin"], ["*.ckpt"])
"""Kinds of weights, the one to prefer first."""


def locate(name: str, progress: Progress, trust_remote_code: bool = False) -> Path:
    """The directory or file that a name stands for, fetched from the hub if need be.

    Raises ValueError with one sentence that says what would be valid.
    """
    if name in BUILT_IN:
        return Path(str(resources.files("engine") / "models" / name))
    path = Path(name).expanduser()
    if path.exists():
        return path
    if HUB_ID.fullmatch(name) and not name.startswith((".", "/", "~")):
        return fetch(name, progress, trust_remote_code)
    if os.sep in name or path.suffix:
        raise ValueError(f"there is no file or directory {name!r}")
    known = ", ".join(BUILT_IN)
    raise ValueError(
        f"unknown model {name!r}: choose {known}, a directory, a file, or a Hugging Face id such as org/name"
    )


def fetch(repo: str, progress: Progress, trust_remote_code: bool = False) -> Path:
    """A hub repository's directory in the local cache; what is there already is not fetched again."""
    from huggingface_hub import HfApi, constants, snapshot_download
    from huggingface_hub import errors as hub

    try:
        if constants.HF_HUB_OFFLINE:
            return Path(snapshot_download(repo, local_files_only=True))
        info = HfApi().model_info(repo, files_metadata=True, timeout=20)
        sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
        wanted = [*DATA, *_weights(list(sizes)), *(["*.py"] if trust_remote_code else [])]
        return Path(snapshot_download(repo, revision=info.sha, allow_patterns=wanted, tqdm_class=_bar(progress, repo)))
    except hub.GatedRepoError as error:
        raise ValueError(
            f"{repo} needs its owner's permission: ask for it on the hub, then log in with `hf auth login`"
        ) from error
    except hub.RepositoryNotFoundError as error:
        raise ValueError(
            f"the hub has no repository {repo!r}, or it is private and needs `hf auth login`; nor is it a directory"
        ) from error
    except (hub.LocalEntryNotFoundError, hub.OfflineModeIsEnabled, hub.HfHubHTTPError, OSError) as error:
        cached = _cached(repo)
        if cached is not None:
            return cached
        raise ValueError(
            f"{repo} is neither a directory here nor in the local cache, and the hub cannot be reached: "
            "give the path of a directory or file, or go online once"
        ) from error


def _cached(repo: str) -> Path | None:
    """What an earlier download left in the cache, if it is whole."""
    from huggingface_hub import errors, snapshot_download

    try:
        return Path(snapshot_download(repo, local_files_only=True))
    except (errors.LocalEntryNotFoundError, OSError):
        return None


def _weights(files: list[str]) -> list[str]:
    """Patterns for one kind of weights, so that nothing is fetched twice in two formats."""
    for patterns in WEIGHTS:
        if any(Path(file).match(pattern) for file in files for pattern in patterns):
            return patterns
    return []


def _bar(progress: Progress, repo: str) -> Any:
    """A tqdm class that reports to `progress` instead of drawing; tqdm comes with huggingface_hub."""
    from tqdm import tqdm

    class Reported(tqdm):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            kwargs.pop("name", None)
            super().__init__(*args, **{**kwargs, "disable": False, "file": open(os.devnull, "w")})  # noqa: SIM115

        def update(self, n: float | None = 1) -> bool | None:
            self.n += n or 0
            if self.unit == "B":
                progress(f"downloading {repo}", int(self.n), int(self.total or 0))
            return None

    return Reported
