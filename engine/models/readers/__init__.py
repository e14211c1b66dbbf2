"""The kinds of checkpoints, in the order in which they are tried.  A new one is one file and one line here."""

from __future__ import annotations

from engine.models.loading import Reader
from engine.models.readers.own import Own

READERS: tuple[Reader, ...] = (Own(),)

__all__ = ["READERS"]
