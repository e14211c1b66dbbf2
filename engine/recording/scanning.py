"""Records found in a file, whole ones alone."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator

from engine.recording.layout import LARGEST, MAGIC, PREAMBLE, RECORD, VERSION

GLANCE = 2_048
"""Bytes read at once: most records are shorter."""


def check_preamble(file: int, name: str) -> int:
    """Return where records begin; raises ValueError for a file that is not a recording, or of an unknown format."""
    begin = os.pread(file, PREAMBLE.size, 0)
    if not begin.startswith(MAGIC) or len(begin) < PREAMBLE.size:
        raise ValueError(f"{name} is not a recording of remdm-tui")
    _, version = PREAMBLE.unpack(begin)
    if not 1 <= version <= VERSION:
        raise ValueError(
            f"{name} is in format {version} of recordings and this remdm-tui reads 1 to {VERSION}: install a newer one"
        )
    return PREAMBLE.size


def body_at(file: int, offset: int) -> bytes | None:
    """Return the body of the record at an offset; None where no whole and sound record is."""
    data = os.pread(file, GLANCE, offset)
    if len(data) < RECORD.size:
        return None
    size, checksum = RECORD.unpack_from(data)
    if not 0 < size <= LARGEST:
        return None
    body = data[RECORD.size : RECORD.size + size]
    if len(body) < size:
        # a wrong length must not allocate more than the file has
        if offset + RECORD.size + size > os.fstat(file).st_size:
            return None
        body += os.pread(file, size - len(body), offset + RECORD.size + len(body))
    return body if len(body) == size and zlib.crc32(body) == checksum else None


def bodies(file: int, offset: int) -> Iterator[tuple[int, bytes, int]]:
    """Yield (offset, body, offset of what follows) of every record up to the first that is not whole."""
    while (body := body_at(file, offset)) is not None:
        following = offset + RECORD.size + len(body)
        yield offset, body, following
        offset = following


def torn_at(file: int, offset: int) -> bool:
    """Return whether what lies there is a record's beginning that the file's end cuts off."""
    begin = os.pread(file, RECORD.size, offset)
    if len(begin) < RECORD.size:
        return True
    size, _ = RECORD.unpack(begin)
    return bool(0 < size <= LARGEST and offset + RECORD.size + size > os.fstat(file).st_size)
