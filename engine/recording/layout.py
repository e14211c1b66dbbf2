"""The bytes of a recording: a preamble, then records, each behind its length and its checksum.

A file begins with `MAGIC` and the format's version (uint16).  A record is the length of its body (uint32), the CRC-32
of its body (uint32), and the body, whose first byte says what it is (`Kind`).  All numbers are little-endian.
"""

from __future__ import annotations

import struct
import zlib
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAGIC = b"\x89remdm\r\n"
"""The odd ends reveal a file that was mangled as text."""
VERSION = 3
"""2: a step may edit, see `engine.recording.frames`; 3: a model may be a grid, a prompt may hold special tokens.
1 and 2 are read alike.
"""
PREAMBLE = struct.Struct("<8sH")
RECORD = struct.Struct("<II")
"""length and CRC-32 of a body"""
LARGEST = 1 << 26
"""Bytes of a body."""
LARGEST_CANVAS = 1 << 21
"""Positions, samples times length: what a reader is willing to allocate for."""
LARGEST_VOCABULARY = 1 << 20
WIDTHS: dict[int, np.dtype[Any]] = {1: np.dtype("<u1"), 2: np.dtype("<u2"), 4: np.dtype("<u4")}


class Kind(IntEnum):
    """What a record holds; all but the first two may come in any number."""

    HEADER = 1
    BRANCH = 2
    """a line of the run and the state it starts from; branch 0 is the run itself"""
    PIECES = 3
    """texts of tokens that occur from here on"""
    SETTINGS = 4
    """one more entry of the table that frames point into"""
    FRAME = 5
    KEYFRAME = 6
    """the state before the next frame, so that no frame is far from one"""
    FIGURES = 7
    """what `engine.sampling.figures` makes of the frames since the last ones"""
    MARK = 8


def pack_record(kind: Kind, payload: bytes) -> bytes:
    """Return a record as stored in the file; raises ValueError for one that no reader would take."""
    body = bytes((kind,)) + payload
    if len(body) > LARGEST:
        raise ValueError(f"a record of {len(body)} bytes is too long for a recording: at most {LARGEST}")
    return RECORD.pack(len(body), zlib.crc32(body)) + body


def preamble() -> bytes:
    return PREAMBLE.pack(MAGIC, VERSION)


def pack_count(number: int) -> bytes:
    """Return a number from 0 up, 7 bits a byte, lowest first."""
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def pack_ints(values: NDArray[Any]) -> bytes:
    """Return numbers from 0 to 2^32 - 1, in as few bytes each as the largest needs; the count is not written."""
    largest = int(values.max(initial=0))
    width = 1 if largest < 1 << 8 else 2 if largest < 1 << 16 else 4
    return bytes((width,)) + values.astype(WIDTHS[width]).tobytes()


def pack_places(places: NDArray[np.int64]) -> bytes:
    """Return ascending positions: how many, then the first and the gaps between them."""
    if not len(places):
        return b"\0"
    gaps = places.copy()
    gaps[1:] -= places[:-1]
    return pack_count(len(places)) + pack_ints(gaps)


class Cursor:
    """Reads a body from its front; every read that would leave it raises ValueError."""

    __slots__ = ("at", "data")

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data, self.at = data, at

    def take(self, size: int) -> int:
        """Return where `size` bytes begin, which now count as read."""
        at = self.at
        if size < 0 or at + size > len(self.data):
            raise ValueError("a record of the recording is too short for what it should hold")
        self.at = at + size
        return at

    def unpack(self, layout: struct.Struct) -> tuple[Any, ...]:
        return layout.unpack_from(self.data, self.take(layout.size))

    def count(self) -> int:
        number = shift = 0
        while shift < 35:
            byte = self.data[self.take(1)]
            number |= (byte & 127) << shift
            if byte < 128:
                return number
            shift += 7
        raise ValueError("a count of the recording is too long")

    def ints(self, count: int) -> NDArray[np.int64]:
        """Read integers as `pack_ints` wrote them."""
        width = self.data[self.take(1)]
        if width not in WIDTHS:
            raise ValueError(f"the recording has numbers of {width} bytes")
        return np.frombuffer(self.data, WIDTHS[width], count, self.take(count * width)).astype(np.int64)

    def floats(self, count: int) -> NDArray[np.float32]:
        return np.frombuffer(self.data, "<f4", count, self.take(count * 4))

    def places(self, size: int) -> NDArray[np.int64]:
        """Return positions in 0 to size - 1, ascending."""
        count = self.count()
        if count == 0:
            return NOWHERE
        if count > size:
            raise ValueError("a record of the recording names more positions than there are")
        places = self.ints(count).cumsum()
        if places[-1] >= size:
            raise ValueError("a record of the recording names a position beyond the canvas")
        return places

    def unzip(self, size: int) -> bytes:
        """Return the rest of the body, which must come to exactly `size` bytes."""
        stream = zlib.decompressobj()
        try:
            data = stream.decompress(self.data[self.at :], size + 1)
        except zlib.error as error:
            raise ValueError(f"a record of the recording cannot be unpacked: {error}") from None
        if len(data) != size or not stream.eof:
            raise ValueError("a record of the recording unpacks to another size than it should")
        self.at = len(self.data)
        return data


NOWHERE: NDArray[np.int64] = np.zeros(0, np.int64)
F8 = struct.Struct("<d")
U4 = struct.Struct("<I")
