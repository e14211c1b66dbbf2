"""Weights and tokenizers of the Hugging Face hub, in its local cache.

Only data is ever fetched: weights, configurations and tokenizers, never code unless it was requested.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from engine.files.run_layout import LAYERS
from engine.models.files.opening import WITHOUT_WEIGHTS
from engine.models.progress import LoadProgress

TOKENIZER = "tokenizer.json"
ALIASES = {"gpt2": ("openai-community/gpt2", "gpt2")}
"""Repositories that the hub has under two names, the one to fetch first."""
DATA = ["*.json", "*.txt", "*.model", "*.jinja", "*.tiktoken"]
TOKENIZERS = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model", "*.tiktoken", "tokenizer_config.json")
"""What a tokenizer may lie in; a tokenizer_config.json alone is enough for one that works on bytes."""
WEIGHTS = (["*.safetensors"], ["*.bin"], ["*.ckpt"], ["*.gguf"], ["*.pt", "*.pth"])
"""Kinds of weights, the one to prefer first."""


def fetch(repo: str, progress: LoadProgress, trust_remote_code: bool = False, *, weights: bool = True) -> Path:
    """Return a hub repository's directory in the local cache; what is there already is not fetched again.

    weights: whether to fetch them; without, they are fetched where the tokenizer lies in them.
    """
    from huggingface_hub import HfApi, constants, snapshot_download
    from huggingface_hub import errors as hub

    try:
        if constants.HF_HUB_OFFLINE:
            return cached(repo, weights=weights)
        info = HfApi().model_info(repo, files_metadata=True, timeout=20)
        sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
        needed = [] if not weights and _has_tokenizer(sizes) else _weights(list(sizes))
        needed += LAYERS if needed else ()
        patterns = [*DATA, *needed, *(["*.py"] if trust_remote_code else [])]
        return Path(
            snapshot_download(
                repo, allow_patterns=patterns, ignore_patterns=[*WITHOUT_WEIGHTS], tqdm_class=_bar(progress, repo)
            )
        )
    except hub.GatedRepoError as error:
        raise ValueError(
            f"{repo} needs its owner's permission: ask for it on the hub, then log in with `hf auth login`"
        ) from error
    except hub.RepositoryNotFoundError as error:
        raise ValueError(
            f"the hub has no repository {repo!r}, or it is private and needs `hf auth login`; nor is it a directory"
        ) from error
    except hub.HFValidationError as error:
        raise ValueError(f"{repo!r} is neither a file or directory here nor the name of a repository") from error
    except unreachable():
        return cached(repo, weights=weights)


def unreachable() -> tuple[type[Exception], ...]:
    """Return what the hub's library raises where the hub does not answer; its older versions raise OSErrors alone."""
    from huggingface_hub import errors, utils

    http = getattr(utils, "httpx", None)
    return (
        errors.LocalEntryNotFoundError,
        errors.HfHubHTTPError,
        OSError,
        *(() if http is None else (http.HTTPError,)),
    )


def cached(repo: str, *, weights: bool = True) -> Path:
    """Return what an earlier download left in the local cache.  Raises ValueError where that is nothing, or not all.

    weights: whether to fetch them; without, a tokenizer is enough.
    """
    from huggingface_hub import errors, snapshot_download

    partly = False
    for patterns in ([], *WEIGHTS) if not weights else WEIGHTS:
        try:
            allowed, others = [*DATA, *patterns], [*WITHOUT_WEIGHTS]
            home = Path(snapshot_download(repo, local_files_only=True, allow_patterns=allowed, ignore_patterns=others))
        except (errors.LocalEntryNotFoundError, OSError) as error:
            partly |= "incomplete" in str(error)
            continue
        except errors.HFValidationError:
            break
        if not patterns and _has_tokenizer(path.name for path in home.iterdir()):
            return home
        if patterns and _weights([path.name for path in home.iterdir()]) == patterns:
            return home
    here = "is only partly in the local cache" if partly else "is neither a directory here nor in the local cache"
    raise ValueError(
        f"{repo} {here}, and the hub cannot be reached: give the path of a directory or file, or go online once"
    )


def _has_tokenizer(files: Iterable[str]) -> bool:
    return any(Path(name).match(pattern) for name in files for pattern in TOKENIZERS)


def _weights(files: list[str]) -> list[str]:
    """Return patterns for one kind of weights, so that nothing is fetched twice in two formats."""
    weights = [path for path in map(Path, files) if not any(path.match(pattern) for pattern in WITHOUT_WEIGHTS)]
    for patterns in WEIGHTS:
        if any(path.match(pattern) for path in weights for pattern in patterns):
            return patterns
    return []


def _bar(progress: LoadProgress, repo: str) -> Any:
    """Return a tqdm class that reports to `progress` instead of drawing; tqdm comes with huggingface_hub."""
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


def tokenizer_in_cache(names: Sequence[str]) -> Path | None:
    """Return the tokenizer file of the first of these repositories that the local cache has; None for none."""
    from huggingface_hub import try_to_load_from_cache

    found = (try_to_load_from_cache(name, TOKENIZER) for name in names)
    return next((Path(path) for path in found if isinstance(path, str)), None)


def tokenizer_of(repo: str) -> Path:
    """Return a repository's tokenizer file, from the local cache where it is there.  Raises LookupError."""
    from huggingface_hub import HfApi, constants, hf_hub_download
    from huggingface_hub import errors as hub

    names = ALIASES.get(repo, (repo,))
    faults: tuple[type[Exception], ...] = (hub.HfHubHTTPError, OSError, *unreachable())
    try:
        cached = tokenizer_in_cache(names)
        if cached is not None:
            return cached
        if constants.HF_HUB_OFFLINE:
            raise LookupError("HF_HUB_OFFLINE is set")
        HfApi().model_info(names[0], timeout=20)  # fails at once without a network, where a download tries for long
        return Path(hf_hub_download(names[0], TOKENIZER))
    except hub.HFValidationError as error:
        raise LookupError("that is not the name of a repository") from error
    except hub.GatedRepoError as error:
        raise LookupError(f"{repo} needs its owner's permission and `hf auth login`") from error
    except hub.RepositoryNotFoundError as error:
        raise LookupError(f"the hub has no repository {repo}, or it is private and needs `hf auth login`") from error
    except hub.LocalEntryNotFoundError as error:
        raise LookupError("the hub cannot be reached") from error
    except hub.EntryNotFoundError as error:
        raise LookupError(f"{repo} has no {TOKENIZER}") from error
    except faults as error:
        raise LookupError("the hub cannot be reached") from error
