"""How many colours the terminal of an application has."""

from __future__ import annotations

from typing import Any

from textual.app import App


def colour_system(app: App[Any]) -> str | None:
    """Return Rich's name for the number of colours: truecolor, 256, standard or windows; None for none."""
    return "truecolor" if app.is_headless else app.console.color_system
