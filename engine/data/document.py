"""A piece of text and the split that it belongs to."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Document:
    text: str
    split: str
    place: str = field(default="", compare=False)
    """the file it is from, and the line or row where there are several, or the data set and its number there; empty
    for another source"""
