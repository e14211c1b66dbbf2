"""The run as one HTML page with a player: no other file, no network, and no code but its own."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

from engine.recording import Recording
from remdm_tui.console.sanitize import sanitize
from remdm_tui.exports import ExportRequest
from remdm_tui.exports.page_data import player_data
from remdm_tui.exports.scene import Scene


def write(request: ExportRequest) -> str:
    """Write the page; return which branches it lacks, empty for none.

    Raises ValueError for a bad number of columns, OSError if the file is not writable.
    """
    text, left_out = _drawn(request)
    request.out.write_text(text, encoding="utf-8")
    if not left_out:
        return ""
    branches = f"branch{'es' * (len(left_out) > 1)} {', '.join(map(str, left_out))}"
    return f"{branches} left out, too large for one page: choose one by --branch"


def inline(recording: Recording) -> str:
    """Return an element for a notebook that holds the page of a recording's first sample."""
    whole = html.escape(page(ExportRequest(recording, Path())))
    return f'<iframe srcdoc="{whole}" sandbox="allow-scripts" style="width: 100%; height: 44em; border: 0"></iframe>'


def page(request: ExportRequest) -> str:
    """Return the page.  Raises ValueError for a bad number of columns."""
    return _drawn(request)[0]


def _drawn(request: ExportRequest) -> tuple[str, list[int]]:
    """Return the page, and the branches for which it has no room."""
    home = files("remdm_tui.exports")
    script, style, frame = ((home / name).read_text(encoding="utf-8") for name in ("page.js", "page.css", "page.html"))
    scene = Scene.of(request)
    data = player_data(request, scene)
    parts = {
        "title": html.escape(_heading(request)),
        "policy": "; ".join((
            "default-src 'none'", f"script-src '{_digest(script)}'", f"style-src '{_digest(style)}'",
            "base-uri 'none'", "form-action 'none'",
        )),
        "style": style, "script": script, "run": embedded(data),
    }  # fmt: skip
    # one pass, so that a marker in the values is not replaced
    pieces = re.split(r"\[\[(\w+)\]\]", frame)
    return "".join(parts[piece] if i % 2 else piece for i, piece in enumerate(pieces)), data["left_out"]


def _heading(request: ExportRequest) -> str:
    """Return what holds for every step: model, seed and sample; the settings can change on the way."""
    header = request.recording.header
    sample = f", sample {request.sample} of {header.batch}" if header.batch > 1 else ""
    return sanitize(f"{header.model.name}, seed {header.seed}{sample}", cells=True)


def embedded(data: Any) -> str:
    """Return JSON for a script element: ASCII, without a character that has a meaning in HTML."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
