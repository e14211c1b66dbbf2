"""The sampling engine: models, strategies, sessions.  Importing it loads nothing heavy."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from engine.system.version import __version__

if TYPE_CHECKING:
    from engine.models import Denoiser, load_model
    from engine.sampling.batch import sample
    from engine.sampling.session import Session
    from engine.strategies import make_strategy

__distribution__ = "remdm-tui"  # by which the command line distinguishes this package from another one called engine
__all__ = ["Denoiser", "Session", "__version__", "load_model", "make_strategy", "record", "sample"]

_MODULES = {
    "Denoiser": "engine.models",
    "Session": "engine.sampling.session",
    "load_model": "engine.models",
    "make_strategy": "engine.strategies",
    "record": "engine.recording.recorded_run",
    "sample": "engine.sampling.batch",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'engine' has no attribute {name!r}")
