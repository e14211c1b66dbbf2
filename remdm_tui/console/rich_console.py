"""Rich's console for untrusted text."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from remdm_tui.console.output import has_output, raw
from remdm_tui.console.sanitize import sanitize


class SafeConsole(Console):
    """A console that writes its own escape sequences and sanitizes those in the text."""

    def __init__(self, *, stderr: bool = False, **options: Any) -> None:
        # the sanitizing streams would also remove Rich's own escapes
        file = raw(sys.stderr) if stderr else raw(sys.stdout) if has_output() else open(os.devnull, "w")  # noqa: SIM115
        super().__init__(file=file, stderr=stderr, **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else safe(segment)


def safe(segment: Segment) -> Segment:
    """Return the segment without a character that acts on a terminal, and without a link that has one."""
    text, style = sanitize(segment.text, lines=True), segment.style
    if style is not None and style.link and not (style.link.isascii() and style.link.isprintable()):
        style = style.update_link(None)
    return segment if text is segment.text and style is segment.style else Segment(text, style)
