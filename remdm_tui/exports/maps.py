"""The map of a run alone, as PNG or SVG."""

from __future__ import annotations

from engine.text.counts import counted
from remdm_tui.console.sanitize import sanitize
from remdm_tui.exports import ExportRequest
from remdm_tui.render.canvas import title
from remdm_tui.render.plate_picture import MapPicture


def png(request: ExportRequest) -> None:
    """Write the map of a sample as PNG. Raises ValueError for a damaged recording, and OSError."""
    request.out.write_bytes(_picture(request).png(_title(request)))


def svg(request: ExportRequest) -> None:
    """Write the map of a sample as SVG, with axes and a legend. Raises ValueError and OSError."""
    request.out.write_text(_picture(request).svg(_title(request)), encoding="utf-8")


def _picture(request: ExportRequest) -> MapPicture:
    return MapPicture.of(request.trace, request.sample, request.light)


def _title(request: ExportRequest) -> str:
    """Return model, settings and size in one line."""
    header, settings, trace = request.recording.header, request.trace.settings(), request.trace
    name = header.model.name
    if settings:
        name += f" | {title(settings[0][1], header.seed).replace('│', '|')}"
    if len(settings) > 1:
        changes = len(settings) - 1
        name += f" | settings change {'once' if changes == 1 else f'{changes} times'}"
    positions, steps = trace.start.tokens.shape[1], max(trace.start.steps, len(trace))
    size = f"{counted(positions, 'position')} x {counted(steps, 'step')}"
    return sanitize(f"{name} | {size}", cells=True)
