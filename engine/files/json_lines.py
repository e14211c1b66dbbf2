"""Lines of JSON with a checksum in each, by which a damaged one is seen; lines without one are read as they are."""

from __future__ import annotations

import re
import zlib
from typing import TypeVar

import msgspec

END = re.compile(rb',"crc32":"([0-9a-f]{8})"\}\n?\Z')
"""What a line ends with: the CRC-32 of the object without it."""
Line = TypeVar("Line")


def encode_line(line: object) -> bytes:
    """Return an object of at least one field as a line, its checksum as the last field."""
    data = msgspec.json.encode(line)
    return data[:-1] + b',"crc32":"%08x"}\n' % zlib.crc32(data)


def decode_line(data: bytes, kind: type[Line]) -> Line:
    """Return the object of a line.  Raises msgspec.DecodeError for one that does not match its checksum."""
    end = END.search(data)
    if end is not None and zlib.crc32(data[: end.start()] + b"}") != int(end[1], 16):
        raise msgspec.DecodeError("it does not match its checksum")
    return msgspec.json.decode(data, type=kind)
