"""The tokenizer that goes with a checkpoint, and which of its tokens are special."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from engine.files.regular import is_there
from engine.files.run_layout import holds_checkpoint
from engine.models.catalogue import BUILT_IN, resolve
from engine.models.hub import ALIASES, cached, fetch, tokenizer_in_cache, tokenizer_of
from engine.models.loading import LoadRequest
from engine.models.text import Codec

FILE = "tokenizer.json"
STARTS = ("<|endoftext|>", "<s>", "[CLS]", "<bos>", "[BOS]", "<|begin_of_text|>")
"""What tokens are called that begin a text."""
USUAL = "gpt2"
"""Whose tokenizer on the hub a checkpoint of the DIT's family was trained with, where it has none."""


def codec_for(request: LoadRequest) -> Codec:
    """Return the tokenizer requested, else the one in the weights' directory.

    Raises ValueError if it is missing or cannot be read.
    """
    return Codec.from_file(tokenizer_file(request, None))


def tokenizer_file(request: LoadRequest, usual: str | None) -> Path:
    """Return the file of the tokenizer requested, else that in the weights' directory, else the hub's of the usual
    name.

    Of a hub repository nothing but the tokenizer is fetched.  Raises ValueError if it does not exist.
    """
    if request.tokenizer is not None:
        return named_tokenizer(request.tokenizer)
    neighbour = _directory(request) / FILE
    if is_there(neighbour):
        return neighbour
    how = "pass one with --tokenizer PATH, a directory, a tokenizer.json or a hub id"
    if usual is None:
        raise ValueError(f"{request.name} has no {FILE}: {how}")
    try:
        return tokenizer_of(usual)
    except LookupError as error:
        raise ValueError(
            f"{request.name} has no {FILE}, and {usual}'s is not in the local cache ({error}): {how}"
        ) from error


def borrowed(request: LoadRequest, file: Path) -> Path | None:
    """Return the file of a tokenizer that nobody named and that is not the checkpoint's own; None for others."""
    return None if request.tokenizer is not None or file.parent == _directory(request) else file


def kept_usual() -> Path | None:
    """Return the hub's usual tokenizer as it lies in the local cache; None where it does not."""
    return tokenizer_in_cache(ALIASES[USUAL])


ENDS = ("<|endoftext|>", "</s>", "[SEP]", "<eos>", "[EOS]", "<|end_of_text|>", "<|eot|>")
"""Names of tokens that end a text."""
TURN_ENDS = ("<|eot_id|>", "<|im_end|>")
"""Names of tokens that end an answer."""


def special(codec: Codec, names: Sequence[str]) -> int | None:
    """Return the id of the first of these names that is a token; None where none is."""
    for name in names:
        ids = codec.encode(name, special=True)
        if len(ids) == 1 and codec.piece(ids[0]) == name:
            return ids[0]
    return None


def tokenizer_source(name: str) -> Path:
    """Return the file or directory that a person named as a tokenizer; of the hub that in the local cache.

    Raises ValueError if it does not exist.
    """
    here = _local_path(name)
    if here is not None:
        return here
    file = tokenizer_in_cache(names := ALIASES.get(name, (name,)))
    return file.parent if file is not None else _first(names, lambda repo: cached(repo, weights=False))


def fetched_tokenizer(request: LoadRequest) -> Path:
    """Return `tokenizer_source` of the tokenizer requested, fetched from the hub if need be, else the checkpoint.

    Raises ValueError if it does not exist.
    """
    name = request.tokenizer
    if name is None:
        return request.home
    trusted, progress = request.trust_remote_code, request.progress
    return _local_path(name) or _first(
        ALIASES.get(name, (name,)), lambda repo: fetch(repo, progress, trusted, weights=False)
    )  # fmt: skip


def _first(repos: Sequence[str], find: Callable[[str], Path]) -> Path:
    """Return what is found of the first repository that can be had.  Raises ValueError of the first where none can."""
    faults: list[ValueError] = []
    for repo in repos:
        try:
            return find(repo)
        except ValueError as error:
            faults.append(error)
    raise faults[0]


def _local_path(name: str) -> Path | None:
    """Return the built-in model, file or directory of this name; None for a repository.

    Of a training run, which goes on, its tokenizer's file.  Raises ValueError for a path at which nothing is.
    """
    path = Path(name).expanduser()
    if name not in BUILT_IN and not path.exists():
        if path.suffix == ".json" or name.startswith((".", "/", "~")) or name.count(os.sep) > 1:
            raise ValueError(f"there is no tokenizer file {name!r}")
        return None
    home = resolve(name) or path
    is_run = home.is_dir() and holds_checkpoint(home) and not (home / "config.json").exists()
    return home / FILE if is_run else home


def named_tokenizer(name: str) -> Path:
    """Return the tokenizer file that a person named: a file, one in a directory, or one on the hub."""
    path = _local_path(name)
    if path is None:
        try:
            return tokenizer_of(name)
        except LookupError as error:
            raise ValueError(
                f"the tokenizer {name!r} is neither a file or directory nor on the hub: {error}"
            ) from error
    file = path / FILE if path.is_dir() else path
    if not is_there(file):
        raise ValueError(f"{file.parent} has no {FILE}")
    return file


def _directory(request: LoadRequest) -> Path:
    return request.home if request.home.is_dir() else request.home.parent
