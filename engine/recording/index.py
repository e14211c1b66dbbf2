"""All of a recording but its frames: what each record adds, as it is written or found."""

from __future__ import annotations

import struct

from engine.recording.branch_index import ROWS, BranchEntry, unpack_rows
from engine.recording.entries import Header, Mark, Pieces, SettingsEntry, unpack
from engine.recording.frames import head
from engine.recording.layout import Cursor, Kind
from engine.recording.state import CLOCK
from engine.records import Branch, Settings

PLACE = struct.Struct("<HI")
"""branch and position of a state"""
FORK = struct.Struct("<HHI")
"""number of a branch, its parent (itself for the first) and its fork"""
MOST_ENTRIES = 1 << 16
"""Branches, settings and marks, each."""


class Index:
    """Records are taken in the order of the file; one that cannot follow those before it raises ValueError."""

    def __init__(self) -> None:
        self.header: Header | None = None
        self.lines: list[BranchEntry] = []
        self.settings: list[Settings] = []
        self.pieces: dict[int, str] = {}
        self.fragments: dict[int, bytes] = {}
        self.marks: list[Mark] = []
        self._taking = {
            Kind.BRANCH: self._branch, Kind.PIECES: self._pieces, Kind.SETTINGS: self._setting,
            Kind.FRAME: self._frame, Kind.KEYFRAME: self._keyframe, Kind.FIGURES: self._figures,
            Kind.MARK: self._mark,
        }  # fmt: skip

    def take(self, offset: int, body: bytes) -> None:
        """Index a record and where it begins."""
        kind = body[0]
        if self.header is None:
            if kind != Kind.HEADER:
                raise ValueError("a recording begins with its header")
            self.header = unpack(Header, body[1:]).checked()
            return
        if kind not in self._taking or not (self.lines or kind == Kind.BRANCH):
            raise ValueError(f"a record of kind {kind} is not allowed here")
        self._taking[Kind(kind)](offset, body)

    @property
    def known(self) -> Header:
        assert self.header is not None
        return self.header

    def _branch(self, offset: int, body: bytes) -> None:
        cursor = Cursor(body, 1)
        number, parent, fork = cursor.unpack(FORK)
        calls = cursor.unpack(CLOCK)[2]
        if number != len(self.lines) or (number and not (parent < number and fork <= len(self.lines[parent]))):
            raise ValueError(f"branch {number} of the recording forks from a step that is not there")
        if not number and fork:
            raise ValueError("the first branch of a recording begins at its start")
        self.lines.append(
            BranchEntry(Branch(number, parent if number else None, fork), offset, calls, self.known.batch)
        )

    def _frame(self, offset: int, body: bytes) -> None:
        found, alpha_s = head(body)
        line = self.line(found.branch)
        if found.step != len(line):
            raise ValueError(f"frame {found.step} of the recording cannot follow {len(line)} others")
        if found.settings >= len(self.settings):
            raise ValueError(f"frame {found.step} of the recording has settings that are not there")
        line.add(offset, found, alpha_s)

    def _keyframe(self, offset: int, body: bytes) -> None:
        number, position = Cursor(body, 1).unpack(PLACE)
        line = self.line(number)
        if position != len(line) or line.keys[-1:] == [position]:
            raise ValueError("a keyframe of the recording is in the wrong place")
        line.add_key(position, offset)

    def _figures(self, offset: int, body: bytes) -> None:
        cursor = Cursor(body, 1)
        number, first, count = cursor.unpack(ROWS)
        line = self.line(number)
        if first != line.fork + line.stored or first + count > len(line):
            raise ValueError("figures of the recording are of frames that are not there")
        # the writer has them already
        if line.curves.rows <= line.stored:
            line.add_rows(unpack_rows(cursor, count, self.known.batch), count)
        else:
            line.stored += count

    def _setting(self, offset: int, body: bytes) -> None:
        self._room(len(self.settings))
        self.settings.append(unpack(SettingsEntry, body[1:]).checked().settings())

    def _pieces(self, offset: int, body: bytes) -> None:
        read = unpack(Pieces, body[1:]).checked(self.known)
        self.pieces |= read.texts
        self.fragments |= read.fragments

    def _mark(self, offset: int, body: bytes) -> None:
        mark = unpack(Mark, body[1:])
        if not 0 <= mark.position <= len(self.line(mark.branch)):
            raise ValueError("a mark of the recording is at a step that is not there")
        self._room(len(self.marks))
        self.marks.append(mark)

    def line(self, number: int) -> BranchEntry:
        if not 0 <= number < len(self.lines):
            raise ValueError(f"the recording has no branch {number}")
        return self.lines[number]

    def lineage(self, branch: int) -> list[tuple[BranchEntry, int, int]]:
        """Return the lines that a branch consists of, oldest first, with the first and the last position of each."""
        line = self.lines[branch]
        parts, last = [], len(line)
        while True:
            if last > line.fork:
                parts.append((line, line.fork, last))
                last = line.fork
            if line.branch.parent is None:
                return parts[::-1]
            line = self.lines[line.branch.parent]

    def owner(self, branch: int, position: int) -> BranchEntry:
        """Return the branch that a position belongs to: its own from its fork on."""
        line = self.lines[branch]
        while position < line.fork and line.branch.parent is not None:
            line = self.lines[line.branch.parent]
        return line

    def _room(self, there: int) -> None:
        if there >= MOST_ENTRIES:
            raise ValueError(f"a recording holds {MOST_ENTRIES} settings and marks at most, each")
