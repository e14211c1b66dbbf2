"""The summary of a loaded model: one line, or all its facts.  Pure."""

from __future__ import annotations

from engine.records import ModelInfo

SCALES = ((1e9, "B"), (1e6, "M"), (1e3, "k"))


def format_count(parameters: int) -> str:
    """Return a number of parameters in short form: 11.7 M, 8.0 B ..."""
    for scale, letter in SCALES:
        if parameters >= scale:
            return f"{parameters / scale:.1f} {letter}"
    return str(parameters)


def placement(info: ModelInfo) -> str:
    """Return kind, dtype, device and attention backend, which decide the speed and the kind of run."""
    return " │ ".join(part for part in (info.kind, info.dtype, info.device, info.backend) if part)


def rows(info: ModelInfo) -> list[tuple[str, str]]:
    """Return all facts of a model as (name, value); notes last, one per row."""
    facts = [
        ("model", info.name),
        ("kind", info.kind + (", left to right" if info.causal else "")),
        ("parameters", format_count(info.parameters)),
        ("dtype", info.dtype),
        ("device", info.device),
        ("attention", info.backend),
        ("vocabulary", f"{info.vocab_size:,}"),
        ("mask id", str(info.mask_id)),
        ("length", "any" if info.max_length is None else str(info.max_length)),
        ("time", "conditioned" if info.time_conditioned else "unconditioned"),
        *(("note", note) for note in info.notes),
    ]
    return [(name, value) for name, value in facts if value]


def summary_line(info: ModelInfo) -> str:
    """Return the model in one line."""
    length = "any length" if info.max_length is None else f"length {info.max_length}"
    parts = [
        f"{format_count(info.parameters)} parameters", f"{info.dtype} on {info.device}",
        f"vocabulary {info.vocab_size}", f"mask {info.mask_id}", length, info.kind,
        info.backend and f"{info.backend} attention", *info.notes,
    ]  # fmt: skip
    return f"{info.name}: " + ", ".join(part for part in parts if part)
