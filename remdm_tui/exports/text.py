"""The text of one step, without characters that act on a terminal."""

from __future__ import annotations

from remdm_tui.console.sanitize import sanitize
from remdm_tui.exports import ExportRequest
from remdm_tui.render.canvas import plain_text


def write(request: ExportRequest) -> None:
    """Write the text. Raises OSError."""
    model = request.recording.model
    text = plain_text(request.trace, request.position, request.sample, model.pieces, model.fragments)
    request.out.write_text(sanitize(text, lines=True, joiners=True) + "\n", encoding="utf-8")
