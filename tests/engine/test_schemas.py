"""The shapes of messages and of recordings change only with their numbers, and older recordings stay readable."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine import wire
from engine.recording import branch_index, entries, frames, index, layout
from engine.recording.layout import VERSION
from engine.recording.recording import Recording
from engine.records import Branch, Knob, RunChoice, Settings

OLDER = Path(__file__).parents[1] / "fixtures" / "older.remdm"
PROTOCOL = (8, "a6421b8e17da9e08")
"""The protocol's number and the digest of its messages."""
ENTRIES = (3, "42cc180ed2d7e6b2")
"""The format's number and the digest of the entries that are msgpack."""
BINARY = (3, "2c29a459b7f71929")
"""The format's number and the digest of what is packed otherwise: kinds of records, heads, columns."""


def digest(kinds: list[Any]) -> str:
    """Return the digest of the tags, names, types and defaults of all fields, not of docstrings and classes' names."""
    shapes, parts = msgspec.json.schema_components(kinds, ref_template="{name}")
    return hashlib.sha256(json.dumps(_inlined(list(shapes), parts), sort_keys=True).encode()).hexdigest()[:16]


def _inlined(value: Any, parts: dict[str, Any], above: tuple[str, ...] = ()) -> Any:
    """Return a schema with its references replaced by what they refer to, one to itself by its distance."""
    if isinstance(value, list):
        return [_inlined(item, parts, above) for item in value]
    if not isinstance(value, dict):
        return value
    name = value.get("$ref")
    if isinstance(name, str):
        return above.index(name) - len(above) if name in above else _inlined(parts[name], parts, (*above, name))
    words = {key for key in ("description", "title") if isinstance(value.get(key), str)}
    if "propertyName" in value:
        # which tag stands for which class is said by the classes, too
        return {**value, "mapping": sorted(value.get("mapping", ()))}
    return {key: _inlined(item, parts, above) for key, item in value.items() if key not in words}


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


def test_a_class_may_change_its_name_but_not_its_tag() -> None:
    one, other = (msgspec.defstruct(name, [("number", int)], tag="entry") for name in ("One", "Other"))
    tagged = msgspec.defstruct("One", [("number", int)], tag="other")
    holding = [msgspec.defstruct("Holder", [("entry", kind)]) for kind in (one, other, tagged)]
    assert digest([holding[0]]) == digest([holding[1]]) != digest([holding[2]])


OLDER_SUMS = {
    "masked": 410, "remasked": 6, "revealed": 38, "sigma": 0.44, "confidence": 2.6490016821831226,
    "entropy": 55.17432168819988, "expected": 11.5, "calls": 208,
}  # fmt: skip
"""Figures of its first branch, summed over all steps; the second differs in sigma alone."""


def test_a_recording_of_an_older_version_is_replayed() -> None:
    """Tokens, settings and figures are those that the version which wrote it, b6f2049, reads in it."""
    recording = Recording.open(OLDER)
    assert not recording.damage
    assert recording.branches == (Branch(0), Branch(1, 0, 18))
    assert (recording.header.version, recording.header.run) == ("0.1.0", RunChoice(24, 32, 1, 3))
    knobs: dict[str, Knob] = {
        "eta": 0.02,
        "when": "always",
        "t_switch": 0.5,
        "t_on": 0.55,
        "t_off": 0.05,
        "alpha_on": 0.9,
    }
    begun, turned = (Settings("remdm-cap", {**knobs, "eta": eta}, top_p=0.9) for eta in (0.02, 0.022))
    for branch, settings, sigma in ((0, [(0, begun)], 0.44), (1, [(0, begun), (18, turned)], 0.45)):
        trace = recording.trace(branch)
        positions = range(len(trace) + 1)
        frames = [trace.frame(position) for position in positions[1:]]
        assert [frame.index for frame in frames if frame is not None] == list(range(24))
        for states, expected in (
            ([trace.tokens(position, 0).astype("<i4") for position in positions], "d681b76f602884f4"),
            ([trace.change(position, 0) for position in positions], "f06517bab6275769"),
            ([trace.held(position, 0).astype("<f4") for position in positions], "0a3085591f05bfea"),
        ):
            assert hashlib.sha256(b"".join(state.tobytes() for state in states)).hexdigest()[:16] == expected
        assert trace.settings() == settings
        assert (trace.edits(), trace.clean_ups()) == ([], [])
        sums = {name: trace.curves.column(name, 0).sum() for name in OLDER_SUMS}
        assert sums == pytest.approx({**OLDER_SUMS, "sigma": sigma}, rel=1e-7)
    recording.close()
