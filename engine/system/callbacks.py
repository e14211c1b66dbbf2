"""A callback that does nothing."""

from __future__ import annotations


def ignore(*values: object) -> None:
    """Do nothing."""
