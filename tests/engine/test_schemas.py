"""The shapes of messages and of recordings change only with their numbers, and older recordings stay readable."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec

from engine import wire
from engine.recording import branch_index, entries, frames, index, layout
from engine.recording.layout import VERSION
from engine.recording.recording import Recording

OLDER = Path(__file__).parents[1] / "fixtures" / "older.remdm"
PROTOCOL = (4, "e64a739f63b8ea25")
"""The protocol's number and the digest of its messages."""
ENTRIES = (1, "7bbe88c6e93700c7")
"""The format's number and the digest of the entries that are msgpack."""
BINARY = (1, "2c29a459b7f71929")
"""The format's number and the digest of what is packed otherwise: kinds of records, heads, columns."""


def digest(kinds: list[Any]) -> str:
    """Return the digest of the names, types and defaults of all fields; docstrings do not count."""
    _, parts = msgspec.json.schema_components(kinds)
    return hashlib.sha256(json.dumps(_without_words(parts), sort_keys=True).encode()).hexdigest()[:16]


def _without_words(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_words(v) for k, v in value.items() if k != "description" or isinstance(v, dict)}
    return [_without_words(item) for item in value] if isinstance(value, list) else value


def test_the_messages_change_only_with_the_protocols_number() -> None:
    found = (wire.PROTOCOL, digest([wire.Command, wire.Event]))
    assert found == PROTOCOL, "raise engine.wire.PROTOCOL, then set PROTOCOL here"


def test_the_entries_of_a_recording_change_only_with_its_format() -> None:
    found = (VERSION, digest([entries.Header, entries.Mark, entries.Pieces, entries.SettingsEntry]))
    assert found == ENTRIES, (
        "raise engine.recording.layout.VERSION, keep recordings of the older one readable, then set ENTRIES here"
    )


def test_the_binary_layout_of_a_recording_changes_only_with_its_format() -> None:
    heads = [part.format for part in (layout.PREAMBLE, layout.RECORD, frames.HEAD, branch_index.ROWS, index.FORK)]
    kinds = {kind.name: int(kind) for kind in layout.Kind}
    parts = json.dumps([heads, kinds, branch_index.STORED])
    found = (VERSION, hashlib.sha256(parts.encode()).hexdigest()[:16])
    assert found == BINARY, (
        "raise engine.recording.layout.VERSION, keep recordings of the older one readable, then set BINARY here"
    )


def test_a_changed_field_changes_the_digest() -> None:
    small, wide = (msgspec.defstruct("Entry", [("number", kind)]) for kind in (int, float))
    assert digest([small]) != digest([wide])


def test_a_recording_of_an_older_version_is_replayed() -> None:
    recording = Recording.open(OLDER)
    trace = recording.trace(0)
    assert not recording.damage
    assert len(trace) > 0
    frames = [trace.frame(position) for position in range(1, len(trace) + 1)]
    assert [frame.index for frame in frames if frame is not None] == list(range(len(trace)))
    assert recording.header.model.mask_id not in trace.tokens(len(trace), 0)
    recording.close()
