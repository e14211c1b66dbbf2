"""Models by name or path: everything that turns a checkpoint into a denoiser."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from engine.catalogue import BUILT_IN
from engine.files.run_layout import read_made
from engine.models.files import open_weights, read_object
from engine.models.files.opening import training_files
from engine.models.files.refusals import check_gguf
from engine.models.loading import Loaded, Progress, Request
from engine.models.memory_check import check_room
from engine.models.protocol import Denoiser, RowDenoiser, device_of, encode_rows
from engine.models.readers import READERS, lightning
from engine.models.readers.remote_code import RemoteCode
from engine.models.sources import locate
from engine.records import ModelChoice, ModelInfo
from engine.system.callbacks import ignore
from engine.text import infill as masks

__all__ = ["BUILT_IN", "DTYPES", "Denoiser", "RowDenoiser", "TextModel", "device_of", "encode_rows", "load_model"]

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}

MISUSED = (TypeError, AttributeError, LookupError, ArithmeticError, AssertionError, RuntimeError)
"""What arises where a checkpoint's files hold a value of another type or size than every reader expects."""


class TextModel:
    """A denoiser with its tokenizer and name; itself a denoiser."""

    def __init__(self, name: str, loaded: Loaded) -> None:
        self.name, self.loaded = name, loaded
        self.network, self.codec = loaded.network, loaded.codec
        self.vocab_size, self.mask_id = self.network.vocab_size, self.network.mask_id
        self.max_length, self.time_conditioned = self.network.max_length, self.network.time_conditioned
        self.causal, self.recovered = loaded.causal, loaded.recovered
        self.fingerprint = ""
        """of its files, where whoever has loaded it knows them"""
        self.never = self.codec.strangers(self.vocab_size, self.mask_id)
        # the samplers' arithmetic is float64, which MPS does not have: there it stays on the CPU
        self.device = torch.device("cpu") if self.network.device.type == "mps" else self.network.device

    def encode(self, tokens: Tensor, t: Tensor) -> Tensor:
        return self.network.encode(*self._there(tokens, t))

    def encode_rows(self, tokens: Tensor, t: Tensor, where: Tensor) -> Tensor:
        return encode_rows(self.network, *self._there(tokens, t, where))

    def project(self, hidden: Tensor) -> Tensor:
        return self.network.project(hidden).to(self.device)

    def prompt(self, text: str, chat: bool = False, infill: bool = True) -> list[int]:
        """Token ids of a prompt, in the model's chat template if so asked.

        No special token is read out of the text, only out of the template.  infill: masks written in the text become
        the mask token, which samplers fill (`engine.text.infill.parts`); else they stay letters.

        Raises ValueError for a template that is missing or changes what must be found again, and for masks that cannot
        be read.
        """
        if not text:
            return []
        if chat and self.loaded.chat is None:
            raise ValueError(f"{self.name} has no chat template: leave out --chat")
        wrap = self.loaded.chat if chat else None
        own = self.codec.piece(self.mask_id)
        parts = masks.parts(text, own, self.codec.words_bring_space) if infill else [text]
        if wrap is None:
            ids = self._ids((part, False) for part in parts)
        elif not any(isinstance(part, str) and self._names_special(part) for part in parts):
            # in one piece, since the template's text and the prompt's may share a token
            ids = self._ids((part, True) for part in masks.wrapped(wrap, parts))
        else:
            before, inside, after = masks.framed(wrap, parts)
            ids = self._ids([(before, True), *((part, False) for part in inside), (after, True)])
        if not infill and self.mask_id in ids:
            raise ValueError(f"{self.name} reads {own} in the prompt as its mask: leave it out")
        return ids

    def _names_special(self, text: str) -> bool:
        """Whether a text has letters that are read as a special token where those are."""
        return self.codec.encode(text, special=True) != self.codec.encode(text)

    def _ids(self, parts: Iterable[tuple[masks.Part, bool]]) -> list[int]:
        """Token ids of pieces of text and masks, one behind the other; and whether special tokens are read there."""
        ids: list[int] = []
        for part, special in parts:
            if isinstance(part, int):
                ids += [self.mask_id] * part
            else:
                ids += self.codec.continued(part, special) if ids else self.codec.encode(part, special)
        return ids

    @property
    def outside(self) -> tuple[Path, ...]:
        """Files besides the checkpoint's own, and those that were named, that decide what the model says."""
        borrowed = self.loaded.borrowed_tokenizer
        return (*(() if borrowed is None else (borrowed,)), *self.loaded.code)

    def _there(self, *tensors: Tensor) -> list[Tensor]:
        """Tensors on the network's device, times in a type that it has."""
        return [(x.float() if x.is_floating_point() else x).to(self.network.device) for x in tensors]

    def _padding(self) -> tuple[str, ...]:
        count = len(self.never)
        return (f"{count:,} ids of the vocabulary are no token and are never drawn",) if count else ()

    @property
    def info(self) -> ModelInfo:
        pieces = self.codec.pieces(self.vocab_size)
        return ModelInfo(
            name=self.name,
            parameters=self.network.parameters,
            dtype=str(self.network.dtype).removeprefix("torch."),
            device=str(self.network.device),
            vocab_size=self.vocab_size,
            mask_id=self.mask_id,
            max_length=self.max_length,
            time_conditioned=self.time_conditioned,
            pieces=pieces,
            backend=self.loaded.attention,
            kind=self.loaded.kind,
            causal=self.causal,
            notes=(*self.loaded.notes, *self._padding(), *filter(None, [self.recovered])),
            fragments=self.codec.fragments(pieces),
            fingerprint=self.fingerprint,
        )


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
    progress: Progress = ignore,
) -> TextModel:
    """A built-in model by name, the one in a directory or file, or one of the Hugging Face hub.

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
    request = Request(name, home, place, chosen, ema, attention, mask_id, tokenizer, trust_remote_code, progress)
    try:
        return TextModel(name, replace(read(request), recovered=read_made(home).note))
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise ValueError(
            f"{name} does not fit into the memory of {place}: choose another device, bfloat16 or a smaller model"
        ) from error
    except MISUSED as error:
        said = " ".join(str(error).split())[:200]
        raise ValueError(
            f"{name} cannot be loaded: its files do not fit together ({type(error).__name__}: {said})"
        ) from error


def load_choice(choice: ModelChoice, progress: Progress = ignore) -> TextModel:
    """The same from a record of what was chosen."""
    return load_model(
        choice.name, choice.device, choice.dtype, ema=choice.ema, attention=choice.attention, mask_id=choice.mask_id,
        tokenizer=choice.tokenizer, trust_remote_code=choice.trust_remote_code, progress=progress,
    )  # fmt: skip


def read(request: Request) -> Loaded:
    """What lies at `home`, by the first reader that recognises it."""
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
        raise ValueError(f"{home} is no model directory: it has no config.json")
    if broken is not None:
        raise broken
    said = str(config.get("model_type") or config.get("architectures") or "no known layout")[:80]
    raise ValueError(f"{request.name} is a checkpoint of no kind known here ({said}): see `remdm-tui list models`")


def _config(home: Path) -> dict[str, object]:
    path = home / "config.json"
    if not path.is_file():
        return {}
    return read_object(path, "a configuration")


def _shapes(home: Path) -> tuple[Mapping[str, tuple[int, ...]], ValueError | None]:
    """The shapes of the tensors, from headers alone, or the error that says which file is missing or broken.

    Neither where the format does not tell: GGUF files, and a training program's checkpoint in a directory.  Raises
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
    """auto: CUDA, else MPS, else CPU; raises ValueError for a device this machine lacks."""
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
