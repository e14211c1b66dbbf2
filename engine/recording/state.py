"""The state between two steps, and its bytes."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.recording import plans
from engine.recording.layout import Cursor
from engine.records import Change, Frame

CLOCK = struct.Struct("<ddqI")
"""s, alpha_s, network calls, block"""
NAN = np.float32(np.nan)


@dataclass(frozen=True, eq=False)
class StoredState:
    """Between two steps: arrays [B, L], the plan that led here as a reader knows it, and the clock."""

    tokens: NDArray[np.int32]
    change: NDArray[np.uint8]
    held: NDArray[np.float32]
    unmask: NDArray[np.float32]
    remask: NDArray[np.float32]
    s: float = 1.0
    alpha_s: float = 0.0
    calls: int = 0
    block: int = 0

    @classmethod
    def start(cls, tokens: NDArray[np.int32], locked: NDArray[np.bool_]) -> StoredState:
        """Return the state before step 0."""
        none = np.broadcast_to(np.float32(0), tokens.shape)
        change = np.where(locked, Change.LOCKED, Change.MASKED).astype(np.uint8)
        return cls(tokens, change, np.where(locked, np.float32(1), NAN), none, none)

    @classmethod
    def after(cls, frame: Frame) -> StoredState:
        return cls(
            frame.tokens, frame.change, frame.held, frame.unmask, frame.remask,
            frame.s, frame.alpha_s, frame.network_calls, frame.block,
        )  # fmt: skip

    @property
    def nbytes(self) -> int:
        """Return the bytes of its arrays at most."""
        return 17 * self.tokens.size


def encode_state(state: StoredState) -> bytes:
    """Return a state as stored in a branch's or a keyframe's record."""
    none = np.broadcast_to(np.float32(0), state.tokens.shape)
    steady = np.zeros(state.tokens.shape, bool)
    arrays = b"".join((
        state.tokens.astype("<i4").tobytes(), state.change.tobytes(), state.held.astype("<f4").tobytes(),
    ))  # fmt: skip
    plan = [plans.encode_plan(p, none, steady)[0] for p in (state.unmask, state.remask)]
    clock = CLOCK.pack(state.s, state.alpha_s, state.calls, state.block)
    return clock + b"".join(plan) + zlib.compress(arrays, 6)


def decode_state(cursor: Cursor, shape: tuple[int, int], vocabulary: int) -> StoredState:
    """Decode a state [B, L].  Raises ValueError for other bytes."""
    size = shape[0] * shape[1]
    s, alpha_s, calls, block = cursor.unpack(CLOCK)
    none = np.broadcast_to(np.float32(0), shape)
    unmask, remask = plans.decode_plan(cursor, none), plans.decode_plan(cursor, none)
    data = cursor.unzip(9 * size)
    tokens = np.frombuffer(data, "<i4", size)
    change = np.frombuffer(data, np.uint8, size, 4 * size)
    held = np.frombuffer(data, "<f4", size, 5 * size)
    if tokens.min() < 0 or tokens.max() >= vocabulary or change.max() >= len(Change):
        raise ValueError("a state of the recording holds a token or a change that does not exist")
    return StoredState(
        tokens.reshape(shape), change.reshape(shape), held.reshape(shape), unmask, remask, s, alpha_s, calls, block
    )
