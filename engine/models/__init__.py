"""Models by name or path.  Importing it loads nothing heavy: names come from their modules when they are used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.models.catalogue import BUILT_IN
    from engine.models.load import DTYPES, choose_device, load_choice, load_model
    from engine.models.protocol import Denoiser, RowDenoiser, device_of, encode_rows
    from engine.models.text_model import TextModel

__all__ = [
    "BUILT_IN", "DTYPES", "Denoiser", "RowDenoiser", "TextModel", "choose_device", "device_of", "encode_rows",
    "load_choice", "load_model",
]  # fmt: skip

_MODULES = {
    "BUILT_IN": "catalogue",
    "DTYPES": "load",
    "Denoiser": "protocol",
    "RowDenoiser": "protocol",
    "TextModel": "text_model",
    "choose_device": "load",
    "device_of": "protocol",
    "encode_rows": "protocol",
    "load_choice": "load",
    "load_model": "load",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(f"engine.models.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'engine.models' has no attribute {name!r}")
