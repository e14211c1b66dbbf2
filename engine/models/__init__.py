"""Models by name or path: everything that turns a checkpoint into a denoiser."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import torch
from torch import Tensor

from engine.models import checkpoint
from engine.models.dit import DIT
from engine.models.folded import FoldedDIT
from engine.models.protocol import Denoiser, RowDenoiser, device_of, encode_rows
from engine.models.text import Codec
from engine.records import ModelInfo

__all__ = ["BUILT_IN", "DTYPES", "Denoiser", "RowDenoiser", "TextModel", "device_of", "encode_rows", "load_model"]

BUILT_IN = {"demo": "11.7 M parameters, Victorian novels, length 256; inside the package"}
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class TextModel:
    """A denoiser with its tokenizer and name; itself a denoiser."""

    def __init__(self, name: str, denoiser: FoldedDIT, codec: Codec) -> None:
        self.name, self.denoiser, self.codec = name, denoiser, codec
        self.vocab_size, self.mask_id = denoiser.vocab_size, denoiser.mask_id
        self.max_length, self.time_conditioned = denoiser.max_length, denoiser.time_conditioned
        # the samplers' arithmetic is float64, which MPS does not have: there it stays on the CPU
        self.device = torch.device("cpu") if denoiser.device.type == "mps" else denoiser.device

    def encode(self, tokens: Tensor, t: Tensor) -> Tensor:
        return self.denoiser.encode(*self._there(tokens, t))

    def encode_rows(self, tokens: Tensor, t: Tensor, where: Tensor) -> Tensor:
        return self.denoiser.encode_rows(*self._there(tokens, t, where))

    def project(self, hidden: Tensor) -> Tensor:
        return self.denoiser.project(hidden).to(self.device)

    def _there(self, *tensors: Tensor) -> list[Tensor]:
        """Tensors on the network's device, times in a type that it has."""
        return [(x.float() if x.is_floating_point() else x).to(self.denoiser.device) for x in tensors]

    @property
    def info(self) -> ModelInfo:
        return ModelInfo(
            name=self.name,
            parameters=self.denoiser.parameters,
            dtype=str(self.denoiser.dtype).removeprefix("torch."),
            device=str(self.denoiser.device),
            vocab_size=self.vocab_size,
            mask_id=self.mask_id,
            max_length=self.max_length,
            time_conditioned=self.time_conditioned,
            pieces=self.codec.pieces(self.vocab_size),
            backend="sdpa",
        )


def load_model(name: str, device: str = "auto", dtype: str = "auto") -> TextModel:
    """A built-in model by name, or the one in a directory.

    device: auto (CUDA, else MPS, else CPU) or what torch.device takes.  dtype: float32, bfloat16 or auto
    (bfloat16 on CUDA, else float32).  Raises ValueError with what would be valid.
    """
    home = model_home(name)
    place = choose_device(device)
    if dtype not in (*DTYPES, "auto"):
        raise ValueError(f"unknown dtype {dtype!r}: choose auto, {', '.join(DTYPES)}")
    chosen = DTYPES.get(dtype, torch.bfloat16 if place.type == "cuda" else torch.float32)
    model = checkpoint.read(home)
    codec = Codec.from_file(home / "tokenizer.json")
    if codec.size > model.vocab_size:
        raise ValueError(f"{home}: the tokenizer has {codec.size} tokens, the model {model.vocab_size}")
    return TextModel(name, fold(model, place, chosen), codec)


def fold(model: DIT, device: torch.device, dtype: torch.dtype) -> FoldedDIT:
    return FoldedDIT(model.to(device), dtype)


def model_home(name: str) -> Path:
    """The directory of a model name; raises ValueError that lists what would be valid."""
    if name in BUILT_IN:
        return Path(str(resources.files("engine") / "models" / name))
    if Path(name).is_dir():
        return Path(name)
    known = ", ".join(BUILT_IN)
    raise ValueError(f"unknown model {name!r}: choose {known}, or the directory of a trained model")


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
