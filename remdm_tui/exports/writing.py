"""Writes an export: the file is complete or does not change."""

from __future__ import annotations

import glob
from dataclasses import replace
from pathlib import Path

from engine.files.atomic import replacing, tidy
from engine.recording import Recording
from engine.text.counts import counted
from remdm_tui.console.sanitize import sanitize
from remdm_tui.exports import EXPORT_KINDS, ExportKind, ExportRequest


def kind_of(out: Path, named: str | None = None) -> ExportKind:
    """Return the kind by name, else by the ending of the file. Raises ValueError that lists the kinds."""
    # run.map.png is a map.png, and run.b.png a png
    endings = ["".join(out.suffixes[-2:]), out.suffix]
    found = [ending[1:].lower() for ending in endings if ending[1:].lower() in EXPORT_KINDS]
    name = (named or (found or [out.suffix[1:]])[0]).lower()
    if name not in EXPORT_KINDS:
        raise ValueError(f"unknown kind of export {name!r}: choose one of {', '.join(EXPORT_KINDS)}")
    return EXPORT_KINDS[name]


def write_export(
    recording: Recording,
    out: Path,
    kind: ExportKind,
    *,
    step: int | None = None,
    sample: int = 0,
    branch: int = 0,
    columns: int = 100,
    every: int | None = None,
    rate: float = 20.0,
    light: bool = False,
    ascii_only: bool = False,
) -> str:
    """Write `out`, and return a sentence on what was written.

    Raises ValueError for a branch, sample or step that does not exist, OSError if the file is not writable; an
    existing file is unchanged then.
    """
    request = ExportRequest(recording, out, branch, sample, step, columns, every, rate, light, ascii_only)
    check_request(request)
    tidy(out.parent, [glob.escape(out.name)])
    with replacing(out) as part:
        lack = kind.write(replace(request, out=part))
    steps = len(request.trace)
    what = counted(steps, "step") if kind.moving else f"step {request.position} of {steps}"
    damage = f"; {sanitize(recording.damage, cells=True)}" if recording.damage else ""
    return f"{out}: {what}, {out.stat().st_size:,} bytes{damage}" + f"; {lack}" * bool(lack)


def check_request(request: ExportRequest) -> None:
    """Raise ValueError if the recording lacks the branch, sample or step, or a number is out of range."""
    steps, batch = len(request.trace), request.recording.header.batch
    if not 0 <= request.sample < batch:
        raise ValueError(f"the recording has samples 0 to {batch - 1}, not {request.sample}")
    if not 0 <= request.position <= steps:
        raise ValueError(f"the recording has steps 0 to {steps}, not {request.position}")
    if request.every is not None and request.every < 1:
        raise ValueError(f"every must be at least 1, not {request.every}")
    if not 0 < request.rate <= 100:
        raise ValueError(f"rate must lie above 0 and at most at 100 pictures a second, not {request.rate:g}")
