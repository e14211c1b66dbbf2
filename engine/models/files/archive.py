"""The members of an uncompressed zip archive, found but never extracted."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from engine.models.files.mapped import printable

MEMBERS = 1 << 17
"""More members than any checkpoint has."""
DIRECTORY = 1 << 25
"""Bytes of the longest directory that is read."""

END = struct.Struct("<4s4H2LH")
END64 = struct.Struct("<4sQ2H2L4Q")
LOCATOR = struct.Struct("<4sLQL")
ENTRY = struct.Struct("<4s6H3L5H2L")
LOCAL = struct.Struct("<4s5H3L2H")
MANY = 0xFFFFFFFF


@dataclass(frozen=True)
class Member:
    """Bytes of an archive: `size` of them, after the header at `header`."""

    name: str
    header: int
    size: int


class Archive:
    """A zip file whose members are stored as they are, as torch.save writes them."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        """Raise ValueError for a file that is cut off, compressed, encrypted or has members that lie outside it."""
        self.path, self._file = path, file
        self._size = file.seek(0, 2)
        members = list(self._members())
        self.members = {member.name: member for member in members}
        if len(self.members) < len(members):
            raise ValueError(f"{path} lists a member twice")

    def read(self, name: str, limit: int) -> bytes:
        """Return a member's bytes.  Raises ValueError if the name is unknown or the member is longer than `limit`."""
        member = self.members.get(name)
        if member is None:
            raise ValueError(f"{self.path} has no member {printable(name)}: torch.save did not write it")
        if member.size > limit:
            raise ValueError(
                f"{self.path}: {printable(name)} has {member.size} bytes, more than the {limit} that are read"
            )
        return self._at(self.start(member), member.size)

    def start(self, member: Member) -> int:
        """Return where the member's bytes begin."""
        mark, *_, name, extra = LOCAL.unpack(self._at(member.header, LOCAL.size))
        start = member.header + LOCAL.size + int(name) + int(extra)
        if mark != b"PK\3\4" or start + member.size > self._size:
            raise ValueError(f"{self.path}: {printable(member.name)} is not where the archive says, or is cut off")
        return start

    def _members(self) -> Iterator[Member]:
        count, size, start = self._directory()
        if count > MEMBERS or size > DIRECTORY:
            raise ValueError(f"{self.path} lists {count} members in {size} bytes, more than any checkpoint has")
        directory = self._at(start, size)
        at = 0
        for _ in range(count):
            if at + ENTRY.size > size:
                raise ValueError(f"{self.path} lists fewer members than it says: half a download?")
            fields = ENTRY.unpack_from(directory, at)
            mark, flags, method = fields[0], fields[3], fields[4]
            names, extras, comments = fields[10:13]
            at += ENTRY.size
            name = directory[at : at + names].decode("utf-8", "replace")
            if mark != b"PK\1\2":
                raise ValueError(f"{self.path} has a damaged directory")
            if method or flags & 1:
                raise ValueError(
                    f"{self.path}: {printable(name)} is compressed or encrypted, which torch.save never does"
                )
            if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/"):
                raise ValueError(f"{self.path}: the member {printable(name)} points outside the archive")
            extra = directory[at + names : at + names + extras]
            sizes = self._wide(fields[9], fields[8], fields[16], extra)
            yield self._checked(name, *sizes)
            at += names + extras + comments

    def _checked(self, name: str, size: int, stored: int, header: int) -> Member:
        if size != stored or header + LOCAL.size + size > self._size:
            raise ValueError(f"{self.path}: {printable(name)} claims {size} bytes, which are not in the file")
        return Member(name, header, size)

    def _wide(self, size: int, stored: int, header: int, extra: bytes) -> tuple[int, int, int]:
        """Return sizes and place of a member: those that 32 bits cannot hold are in its zip64 field."""
        if MANY not in (size, stored, header):
            return size, stored, header
        at = 0
        while at + 4 <= len(extra):
            kind, length = struct.unpack_from("<2H", extra, at)
            if kind == 1:
                wide = iter(struct.unpack_from(f"<{length // 8}Q", extra.ljust(at + 4 + length, b"\0"), at + 4))
                size, stored, header = (next(wide, MANY) if n == MANY else n for n in (size, stored, header))
                break
            at += 4 + length
        return size, stored, header

    def _directory(self) -> tuple[int, int, int]:
        """Return how many members the archive lists, in how many bytes, from where."""
        tail_start = max(0, self._size - END.size - 0xFFFF)
        tail = self._at(tail_start, self._size - tail_start)
        at = tail.rfind(b"PK\5\6")
        if at < 0 or at + END.size > len(tail):
            raise ValueError(f"{self.path} is a zip file without its end: half a download?")
        _, _, _, _, count, size, start, _ = END.unpack_from(tail, at)
        locator = tail_start + at - LOCATOR.size
        if locator >= 0:
            mark, _, place, _ = LOCATOR.unpack(self._at(locator, LOCATOR.size))
            if mark == b"PK\6\7":
                *_, count, size, start = END64.unpack(self._at(place, END64.size))
        return count, size, start

    def _at(self, start: int, size: int) -> bytes:
        if start + size > self._size:
            raise ValueError(f"{self.path} is a zip file that points behind its end: half a download?")
        self._file.seek(start)
        return self._file.read(size)
