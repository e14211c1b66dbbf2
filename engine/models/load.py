"""Load a model by name or path, with the first reader that recognises it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import torch

from engine.files.digests import file_digest
from engine.files.regular import is_there
from engine.files.run_layout import QUALITY, read_exported
from engine.models.files import open_weights, read_object
from engine.models.files.opening import training_files
from engine.models.files.refusals import check_gguf
from engine.models.loading import Loaded, LoadRequest, ReaderError
from engine.models.memory_check import check_room
from engine.models.progress import LoadProgress
from engine.models.quality import hidden_size, read_head
from engine.models.readers import READERS, lightning
from engine.models.readers.remote_code import RemoteCode
from engine.models.sources import locate
from engine.models.text_model import TextModel
from engine.records import ModelChoice
from engine.system.callbacks import ignore

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}

MISUSED = (TypeError, AttributeError, LookupError, ArithmeticError, AssertionError, RuntimeError)
"""What arises where a checkpoint's files hold a value of another type or size than every reader expects."""


def load_model(
    name: str,
    device: str = "auto",
    dtype: str = "auto",
    *,
    ema: bool = True,
    attention: str = "auto",
    mask_id: int | None = None,
    tokenizer: str | None = None,
    trust_remote_code: bool = False,
    progress: LoadProgress = ignore,
) -> TextModel:
    """Return a built-in model by name, the one in a directory or file, or one of the Hugging Face hub.

    device: auto (CUDA, else MPS, else CPU) or what torch.device takes.  dtype: float32, bfloat16 or auto
    (bfloat16 on CUDA, else float32).  ema: averaged weights where a checkpoint has both.  attention: auto or a
    name of `engine.models.attention`.  mask_id, tokenizer: where the checkpoint does not say.  No code of a
    checkpoint is run unless `trust_remote_code`.  Raises ValueError with what would be valid.
    """
    place = choose_device(device)
    if dtype not in (*DTYPES, "auto"):
        raise ValueError(f"unknown dtype {dtype!r}: choose auto, {', '.join(DTYPES)}")
    chosen = DTYPES.get(dtype, torch.bfloat16 if place.type == "cuda" else torch.float32)
    home = locate(name, progress, trust_remote_code)
    request = LoadRequest(name, home, place, chosen, ema, attention, mask_id, tokenizer, trust_remote_code, progress)
    try:
        return TextModel(name, _with_head(replace(read_model(request), recovered=read_exported(home).note), home))
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise ValueError(
            f"{name} does not fit into the memory of {place}: choose another device, bfloat16 or a smaller model"
        ) from error
    except MISUSED as error:
        if _is_readers_fault(error):
            raise
        description = " ".join(str(error).split())[:200]
        raise ValueError(
            f"{name} cannot be loaded: its files do not fit together ({type(error).__name__}: {description})"
        ) from error


def _is_readers_fault(error: Exception) -> bool:
    """Return whether an error is one of the reader's own code, whatever the files hold.

    No file decides which attributes a request has, nor with which arguments `Loaded` is made; all else that a wrong
    line raises, a damaged file may raise too.
    """
    if isinstance(error, AttributeError):
        return isinstance(error.obj, (LoadRequest, Loaded, *map(type, READERS)))
    return isinstance(error, ReaderError)


def _with_head(loaded: Loaded, home: Path) -> Loaded:
    """Add the head that scores tokens, where one lies in the model's directory."""
    path = home / QUALITY
    if loaded.causal or not is_there(path):
        return loaded
    head = read_head(path, hidden_size(loaded.network), loaded.network.device)
    return replace(loaded, quality=head, quality_digest=file_digest(path))


def load_choice(choice: ModelChoice, progress: LoadProgress = ignore) -> TextModel:
    """Load the model of a choice, as `load_model` does."""
    return load_model(
        choice.name, choice.device, choice.dtype, ema=choice.ema, attention=choice.attention, mask_id=choice.mask_id,
        tokenizer=choice.tokenizer, trust_remote_code=choice.trust_remote_code, progress=progress,
    )  # fmt: skip


def read_model(request: LoadRequest) -> Loaded:
    """Return what lies at `home`, by the first reader that recognises it."""
    home = request.home
    config, (shapes, broken) = _config(home), _shapes(home)
    for reader in READERS:
        if reader.recognises(home, config, frozenset(shapes)):
            # a checkpoint's own code may keep its weights in files of other names
            if broken is not None and not (isinstance(reader, RemoteCode) and request.trust_remote_code):
                raise broken
            check_room(sum(map(math.prod, shapes.values())) * request.dtype.itemsize, request.device)
            return reader.read(request)
    if home.is_dir() and not config and not training_files(home):
        raise ValueError(f"{home} is not a model directory: it has no config.json")
    if broken is not None:
        raise broken
    description = str(config.get("model_type") or config.get("architectures") or "no known layout")[:80]
    raise ValueError(f"{request.name} is not a supported checkpoint ({description}): see `remdm-tui list models`")


def _config(home: Path) -> dict[str, object]:
    path = home / "config.json"
    return read_object(path, "a configuration") if is_there(path) else {}


def _shapes(home: Path) -> tuple[Mapping[str, tuple[int, ...]], ValueError | None]:
    """Return the shapes of the tensors, from headers alone, or the error that says which file is missing or broken.

    Neither where the format has none: GGUF files, and a training program's checkpoint in a directory.  Raises
    ValueError for something else under the name of a GGUF file.
    """
    try:
        return open_weights(home).shapes, None
    except ValueError as error:
        other = lightning.file_in(home) if home.is_dir() else None
        named = list(_gguf(home))
        for path in named:
            check_gguf(path)
        return {}, None if other is not None or named else error


def _gguf(home: Path) -> Iterator[Path]:
    return home.glob("*.gguf") if home.is_dir() else iter([home] if home.suffix == ".gguf" else [])


def choose_device(name: str) -> torch.device:
    """Return the device of a name; auto is CUDA, else MPS, else CPU.

    Raises ValueError for a device this machine lacks.
    """
    have = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        return torch.device(next(kind for kind, there in have.items() if there))
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if not have.get(device.type, False):
        usable = ", ".join(kind for kind, there in have.items() if there)
        raise ValueError(f"no device {name!r} here: choose auto or one of {usable}")
    return device
