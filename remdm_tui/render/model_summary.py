"""What is said of a loaded model, in a line and at length.  Pure."""

from __future__ import annotations

from engine.records import ModelInfo

SCALES = ((1e9, "B"), (1e6, "M"), (1e3, "k"))


def format_count(parameters: int) -> str:
    """11.7 M, 8.0 B ..."""
    for scale, letter in SCALES:
        if parameters >= scale:
            return f"{parameters / scale:.1f} {letter}"
    return str(parameters)


def placement(info: ModelInfo) -> str:
    """Kind, type, device and attention: what decides the speed and the kind of run, in few words."""
    return " │ ".join(part for part in (info.kind, info.dtype, info.device, info.backend) if part)


def rows(info: ModelInfo) -> list[tuple[str, str]]:
    """Every fact of a model with its name; notes last, one a row."""
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
        ("time", "the network is told" if info.time_conditioned else "not told to the network"),
        *(("note", note) for note in info.notes),
    ]
    return [(name, value) for name, value in facts if value]


def line(info: ModelInfo) -> str:
    """The self-check in one line, without the loss."""
    length = "any length" if info.max_length is None else f"length {info.max_length}"
    parts = [
        f"{format_count(info.parameters)} parameters", f"{info.dtype} on {info.device}",
        f"vocabulary {info.vocab_size}", f"mask {info.mask_id}", length, info.kind,
        info.backend and f"{info.backend} attention", *info.notes,
    ]  # fmt: skip
    return f"{info.name}: " + ", ".join(part for part in parts if part)
