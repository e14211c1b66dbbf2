"""The callback of whoever wants to be told nothing."""

from __future__ import annotations


def ignore(*values: object) -> None:
    """Ignore progress, or a sentence for a person."""
