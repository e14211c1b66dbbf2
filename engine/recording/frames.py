"""Frames as bytes: a frame is coded by what it changed in the state before it."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.recording import plans
from engine.recording.entries import Header, check_edit, pack, unpack
from engine.recording.layout import F8, U4, Cursor, pack_ints, pack_places
from engine.recording.state import StoredState
from engine.records import UNCHANGED, Change, Edit, Frame, Settings

HEAD = struct.Struct("<HIHBid")
"""branch, number of the step, settings, flags, network calls since the frame before, s"""
MOST_CALLS = (1 << 31) - 1
"""Network calls of one step."""

ALPHA_S, T, ALPHA_T, EXCESS, BLOCK, FINAL, ODD, EDIT = (1 << i for i in range(8))
"""Flags of the values after the head, in this order; what follows from the frame before is left out.

ODD: `_odd`; EDIT: `_pack_edits`.
"""

NEVER = 255
FLIP = np.array([Change.REVEALED, Change.REMASKED, Change.REMASKED, Change.REVEALED, NEVER, Change.REMASKED], np.uint8)
"""The change at a position that a step reveals or masks, by the change there in the step before."""

Arrays = tuple[NDArray[np.uint8], NDArray[np.int32], NDArray[np.float32]]
"""change, tokens and held, [B * L] each"""


class FrameHead(NamedTuple):
    """The beginning of a frame's body, which can be read without the state before it."""

    branch: int
    step: int
    settings: int
    flags: int
    calls: int
    s: float

    @property
    def by_hand(self) -> bool:
        """Whether a person's edit made the frame; a strategy edits by what it has just read of the network."""
        return bool(self.flags & EDIT) and not self.calls


def head(body: bytes) -> tuple[FrameHead, float]:
    """Return a frame's head and its alpha_s; raises ValueError for a body too short."""
    cursor = Cursor(body, 1)
    found = FrameHead(*cursor.unpack(HEAD))
    return found, cursor.unpack(F8)[0] if found.flags & ALPHA_S else 1 - found.s


def encode_frame(before: StoredState, frame: Frame, branch: int, settings: int, mask: int) -> tuple[bytes, StoredState]:
    """Return a frame's payload, and the state after it as a reader knows it.

    Raises ValueError for an invalid frame: arrays of another shape, or an unknown change.
    """
    tokens, change, held = frame.tokens.reshape(-1), frame.change.reshape(-1), frame.held.reshape(-1)
    if any(
        a.shape != before.tokens.shape for a in (frame.tokens, frame.change, frame.held, frame.unmask, frame.remask)
    ):
        raise ValueError(f"frame {frame.index} has another shape than the run's {before.tokens.shape}")
    if change.max(initial=0) >= len(UNCHANGED):
        raise ValueError(f"frame {frame.index} has a change that does not exist")
    was = before.change.reshape(-1)
    flips = (change == FLIP[was]).nonzero()[0]
    revealed, made = _flipped(before, flips, mask)
    made[1][revealed], made[2][revealed] = tokens[revealed], held[revealed]
    odd = _odd(made, (change, tokens, held))
    calls = frame.network_calls - before.calls
    if abs(calls) > MOST_CALLS:
        raise ValueError(f"frame {frame.index} has {calls} network calls, more than a recording can hold")
    flags, extra = _expected(before, frame)
    edit = _pack_edits(frame, calls)
    flags |= ODD * bool(odd) | EDIT * bool(edit)
    # a plan is made for the state before it, which differs from that of the last plan where the last step changed it
    steady = (before.change != Change.REVEALED) & (before.change != Change.REMASKED) & (before.change != Change.EDITED)
    unmask, decoded_unmask = plans.encode_plan(frame.unmask, before.unmask, steady)
    remask, decoded_remask = plans.encode_plan(frame.remask, before.remask, steady)
    payload = b"".join((
        HEAD.pack(branch, frame.index, settings, flags, calls, frame.s), extra, unmask, remask,
        pack_places(flips), pack_ints(tokens[revealed]), held[revealed].astype("<f4").tobytes(), odd, edit,
    ))  # fmt: skip
    return payload, replace(StoredState.after(frame), unmask=decoded_unmask, remask=decoded_remask)


def decode_frame(before: StoredState, body: bytes, settings: Settings, header: Header) -> Frame:
    """Return the frame in a body; raises ValueError for one that does not follow the state before it."""
    cursor, mask, vocabulary = Cursor(body, 1), header.model.mask_id, header.model.vocab_size
    found = FrameHead(*cursor.unpack(HEAD))
    flags, s = found.flags, found.s
    alpha_s = cursor.unpack(F8)[0] if flags & ALPHA_S else 1 - s
    t = cursor.unpack(F8)[0] if flags & T else before.s
    alpha_t = cursor.unpack(F8)[0] if flags & ALPHA_T else before.alpha_s
    excess = cursor.unpack(F8)[0] if flags & EXCESS else 0.0
    block = cursor.unpack(U4)[0] if flags & BLOCK else before.block
    unmask, remask = plans.decode_plan(cursor, before.unmask), plans.decode_plan(cursor, before.remask)
    revealed, (change, tokens, held) = _flipped(before, cursor.places(before.tokens.size), mask)
    tokens[revealed] = _tokens(cursor, len(revealed), vocabulary)
    held[revealed] = cursor.floats(len(revealed))
    if flags & ODD:
        _read_odd(cursor, (change, tokens, held), vocabulary)
    edit, edit_plan = _read_edits(cursor, before, header) if flags & EDIT else (None, None)
    if cursor.at != len(body):
        raise ValueError("a frame of the recording is longer than what it holds")
    return Frame(
        index=found.step, t=t, s=s, alpha_t=alpha_t, alpha_s=alpha_s,
        tokens=_sealed(tokens, before), change=_sealed(change, before), held=_sealed(held, before),
        unmask=_sealed(unmask, before), remask=_sealed(remask, before),
        network_calls=before.calls + found.calls, settings=settings, excess=excess,
        final=bool(flags & FINAL), block=block, edit=edit, edit_plan=edit_plan,
    )  # fmt: skip


def _pack_edits(frame: Frame, calls: int) -> bytes:
    """Return a person's edit, or the strategy's plan of edits, coded as if the last plan had been 0; else nothing.

    They are told apart by their first byte: a plan's is a `plans.Way`, and msgpack begins with a larger one.  In the
    head they are by the network calls: a person's edit takes none, and no strategy edits without one.
    """
    if frame.edit is not None:
        return pack(frame.edit)
    if frame.edit_plan is None or not calls:
        return b""
    nothing = np.zeros(frame.edit_plan.shape, np.float32)
    return plans.encode_plan(frame.edit_plan, nothing, np.zeros(nothing.shape, bool))[0]


def _read_edits(cursor: Cursor, before: StoredState, header: Header) -> tuple[Edit | None, NDArray[np.float32] | None]:
    """Return what `_pack_edits` wrote."""
    if cursor.at < len(cursor.data) and cursor.data[cursor.at] <= max(plans.Way):
        plan = plans.decode_plan(cursor, np.zeros(before.tokens.shape, np.float32))
        return None, _sealed(plan, before)
    return check_edit(unpack(Edit, cursor.data[cursor.take(len(cursor.data) - cursor.at) :]), header), None


def _flipped(before: StoredState, flips: NDArray[np.int64], mask: int) -> tuple[NDArray[np.int64], Arrays]:
    """Return where tokens are revealed, and the arrays after the flips without these tokens."""
    was = before.change.reshape(-1)
    change, tokens, held = UNCHANGED[was], before.tokens.flatten(), before.held.flatten()
    turned = FLIP[was[flips]]
    change[flips] = turned
    up = turned == Change.REVEALED
    lost = flips[~up]
    tokens[lost], held[lost] = mask, np.nan
    if (turned == NEVER).any():
        raise ValueError("a frame of the recording changes a locked position")
    return flips[up], (change, tokens, held)


def _expected(before: StoredState, frame: Frame) -> tuple[int, bytes]:
    """Return the flags, and the values that they announce."""
    values = (
        (ALPHA_S, frame.alpha_s != 1 - frame.s, F8, frame.alpha_s),
        (T, frame.t != before.s, F8, frame.t),
        (ALPHA_T, frame.alpha_t != before.alpha_s, F8, frame.alpha_t),
        (EXCESS, frame.excess != 0, F8, frame.excess),
        (BLOCK, frame.block != before.block, U4, frame.block),
        (FINAL, frame.final, None, None),
    )
    extra = b"".join(layout.pack(value) for _, there, layout, value in values if there and layout is not None)
    return sum(flag for flag, there, _, _ in values if there), extra


def _odd(made: Arrays, real: Arrays) -> bytes:
    """Return places and values of change, tokens and held that no step produces, such as those of an edit; may be
    empty.
    """
    # as bits, to distinguish one nan from another and 0 from -0
    bits = (made[2].view(np.uint32), real[2].view(np.uint32))
    pairs = ((made[0], real[0]), (made[1], real[1]), bits)
    if all((a == b).all() for a, b in pairs):
        return b""
    changed, put, believed = (np.flatnonzero(a != b) for a, b in pairs)
    change, tokens, held = real[0][changed], real[1][put], real[2][believed]
    return b"".join((
        pack_places(changed), change.tobytes(), pack_places(put), pack_ints(tokens),
        pack_places(believed), held.astype("<f4").tobytes(),
    ))  # fmt: skip


def _read_odd(cursor: Cursor, arrays: Arrays, vocabulary: int) -> None:
    """Restore what `_odd` wrote."""
    change, tokens, held = arrays
    places = cursor.places(len(change))
    codes = np.frombuffer(cursor.data, np.uint8, len(places), cursor.take(len(places)))
    if codes.max(initial=0) >= len(UNCHANGED):
        raise ValueError("a frame of the recording has a change that does not exist")
    change[places] = codes
    places = cursor.places(len(tokens))
    tokens[places] = _tokens(cursor, len(places), vocabulary)
    places = cursor.places(len(held))
    held[places] = cursor.floats(len(places))


def _tokens(cursor: Cursor, count: int, vocabulary: int) -> NDArray[np.int64]:
    tokens = cursor.ints(count)
    if tokens.max(initial=0) >= vocabulary:
        raise ValueError("a frame of the recording holds a token outside its vocabulary")
    return tokens


def _sealed(array: NDArray[Any], before: StoredState) -> NDArray[Any]:
    """Return the array as [B, L] and read-only: the screen and the next frame share it."""
    array = array.reshape(before.tokens.shape)
    array.setflags(write=False)
    return array
