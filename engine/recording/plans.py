"""A plan's probabilities as bytes, coded against what the step before planned.

What is constant, or constant over stretches, comes back bit by bit.  What differs from position to position is coded as
an affine function of the step before, a row's factor and offset, and by itself where that is off by more than
`TOLERANCE` of the value: every plan whose weights differ by a common factor from step to step (ReMDM-conf) is short.
"""

from __future__ import annotations

import struct
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from engine.recording.layout import Cursor, pack_places

Probabilities = NDArray[np.float32]

TOLERANCE = 2.0**-16
"""Of the value: the most that a probability of a plan by position may be off."""
SHORT = 40
"""Bytes of a plan that nothing shorter is looked for."""
F4 = struct.Struct("<f")


class Way(IntEnum):
    SAME = 0
    CONSTANT = 1
    STRETCHES = 2
    AFFINE = 3
    DENSE = 4


def encode_plan(plan: Probabilities, before: Probabilities, steady: NDArray[np.bool_]) -> tuple[bytes, Probabilities]:
    """Return the bytes of a plan [B, L], and the plan as a reader decodes it.

    before: what a reader made of the last one.  steady: [B, L], positions that the step before left alone, whose
    probabilities are the ones that follow from the last.
    """
    bits, expected = _bits(plan), _bits(before)
    first = bits[0, 0]
    if (bits == first).all():
        if (expected == first).all():
            return bytes((Way.SAME,)), before
        return bytes((Way.CONSTANT,)) + first.tobytes(), _constant(float(plan[0, 0]), plan.shape)
    if np.array_equal(bits, expected):
        return bytes((Way.SAME,)), before
    shortest = _stretches(bits)
    if len(shortest) > SHORT:
        affine, made = _affine(plan, before, steady)
        shortest = min(shortest, affine, key=len)
        if len(shortest) > 4 * bits.size:
            return bytes((Way.DENSE,)) + plan.astype("<f4").tobytes(), plan
        if shortest is affine:
            return shortest, made
    return shortest, plan


def decode_plan(cursor: Cursor, before: Probabilities) -> Probabilities:
    """Decode a plan [B, L].  Raises ValueError for other bytes."""
    way, size = cursor.data[cursor.take(1)], before.size
    match way:
        case Way.SAME:
            return before
        case Way.CONSTANT:
            return _constant(cursor.unpack(F4)[0], before.shape)
        case Way.STRETCHES:
            edges = cursor.places(size)
            values = cursor.floats(len(edges) + 1)
            plan = np.repeat(values, np.diff(edges, prepend=0, append=size))
            return plan.reshape(before.shape)
        case Way.AFFINE:
            at = cursor.take(16 * len(before))
            maps = np.frombuffer(cursor.data, "<f8", 2 * len(before), at).reshape(-1, 2)
            plan = _mapped(before, maps)
            off = cursor.places(size)
            plan.reshape(-1)[off] = cursor.floats(len(off))
            return plan
        case Way.DENSE:
            return cursor.floats(size).reshape(before.shape)
        case _:
            raise ValueError(f"the recording has a plan of unknown kind {way}")


def _bits(plan: Probabilities) -> NDArray[np.uint32]:
    # a broadcast has no contiguous last axis of its own, but its items can be seen as bits all the same
    return plan.view(np.uint32) if plan.dtype == np.float32 else plan.astype(np.float32).view(np.uint32)


def _constant(value: float, shape: tuple[int, ...]) -> Probabilities:
    return np.broadcast_to(np.float32(value), shape)


def _stretches(bits: NDArray[np.uint32]) -> bytes:
    flat = bits.ravel()
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    values = flat[np.concatenate(([0], edges))]
    return bytes((Way.STRETCHES,)) + pack_places(edges) + values.astype("<u4").tobytes()


def _affine(plan: Probabilities, before: Probabilities, steady: NDArray[np.bool_]) -> tuple[bytes, Probabilities]:
    maps = np.array([_least_squares(*rows) for rows in zip(plan, before, steady, strict=True)], "<f8")
    made = _mapped(before, maps)
    with np.errstate(invalid="ignore"):
        off = np.flatnonzero(~(np.abs(made - plan) <= TOLERANCE * np.abs(plan)))
    values = plan.reshape(-1)[off]
    made.reshape(-1)[off] = values
    return bytes((Way.AFFINE,)) + maps.tobytes() + pack_places(off) + values.astype("<f4").tobytes(), made


def _least_squares(row: Probabilities, before: Probabilities, steady: NDArray[np.bool_]) -> tuple[float, float]:
    """Return factor and offset from a row of the last plan to that of this one, by least squares."""
    x, y = before[steady].astype(np.float64), row[steady].astype(np.float64)
    if not len(x) or not (np.isfinite(x).all() and np.isfinite(y).all()):
        return 0.0, 0.0
    dx, mean = x - x.mean(), float(y.mean())
    spread = float(dx @ dx)
    factor = float(dx @ (y - mean)) / spread if spread > 0 else 0.0
    return factor, mean - factor * float(x.mean())


def _mapped(before: Probabilities, maps: NDArray[np.float64]) -> Probabilities:
    with np.errstate(all="ignore"):
        return (before * maps[:, :1] + maps[:, 1:]).astype(np.float32)
