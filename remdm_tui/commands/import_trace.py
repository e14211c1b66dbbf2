"""`import`: a trace of another tool as a recording."""

from __future__ import annotations

import shlex
from pathlib import Path

from engine.text.counts import counted
from engine.traces import TraceOptions, fields_of, import_trace, read_structure


def run(
    path: Path,
    out: Path,
    *,
    mask_id: int | None = None,
    prompt_length: int | None = None,
    strategy: str | None = None,
    tokenizer: str | None = None,
) -> str:
    """Write the recording `out`, and return a sentence on what it holds.

    Raises ValueError for a file that is no trace, or an existing `out`; OSError for a missing file.
    """
    if out.exists():
        raise ValueError(f"{out} exists: choose another name")
    try:
        fields = fields_of(read_structure(path))
        options = TraceOptions(mask_id, prompt_length, strategy)
        if tokenizer is not None:
            options = _with_texts(options, tokenizer)
        steps, batch, length, mask = import_trace(fields, options, out)
    except ValueError as error:
        text = str(error)
        raise ValueError(text if text.startswith(str(path)) else f"{path}: {text}") from None
    what = f"{counted(steps, 'step', form=',')} of {counted(batch, 'sample')} with {counted(length, 'position')}"
    return f"{out}: {what}, mask {mask}; `remdm-tui replay {shlex.quote(str(out))}` opens it"


def _with_texts(options: TraceOptions, name: str) -> TraceOptions:
    """Return the options with the texts of a tokenizer.  Raises ValueError if there is none of that name."""
    from dataclasses import replace

    from engine.models.text import Codec
    from engine.models.tokenizer import named_tokenizer

    codec = Codec.from_file(named_tokenizer(name))
    pieces = codec.pieces(codec.size)
    return replace(options, pieces=dict(enumerate(pieces)), fragments=codec.fragments(pieces), vocab_size=codec.size)
