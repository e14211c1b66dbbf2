"""Parse keys, mouse events and reports from any bytes that a terminal sends.

Textual's parser knows keys, the mouse and a few reports.  It takes any other report for keys, and the next key for a
part of the report.  Here reports are recognised by their form (ECMA-48, sections 5.4 and 5.6), and unknown ones are
dropped.
"""

from __future__ import annotations

import codecs
import os
import select
import time
from collections.abc import Callable, Iterable
from enum import Enum, auto

from textual import events
from textual._xterm_parser import XTermParser
from textual.message import Message

CHUNK = 1 << 12
WAIT = 0.1
"""Seconds without input after which an escape sequence that has no end is looked at again."""
PASTING = 1.0
"""The same for a paste."""
LONGEST = 30
"""Bytes of a sequence that the parser is shown; it takes longer ones for keys."""
LARGEST = 4096
"""Columns and rows that a screen may have."""
FALLBACK = "remdm-latin-1"
MALFORMED = (ValueError, OverflowError, ZeroDivisionError)
"""What the parser makes of reports with numbers that no terminal has."""

ESC, BEL, CAN, SUB, ST = 0x1B, 0x07, 0x18, 0x1A, 0x9C
STRINGS = b"]PX^_"
"""What begins a string that ends with ST, after ESC: OSC, DCS, SOS, PM, APC."""
REPORTS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZcmntuy~"
"""Last bytes of keys and reports; any other is a key pressed after a sequence that broke off."""
CONTROLS = {
    0x80 + code: f"\x1b{chr(0x40 + code)}" if code in b"\x0f\x10\x18\x1b\x1d\x1e\x1f" else "" for code in range(32)
}
"""8-bit controls as those of 7 bits, where they begin a sequence; ST only ends one."""
CONTROLS[ST] = chr(ST)
PASTE_BEGIN, PASTE_END = b"\x1b[200~", b"\x1b[201~"


def _as_latin_1(error: UnicodeError) -> tuple[str, int]:
    """Decode bytes that are not UTF-8 as Latin-1: a typed letter, or a control that no key has."""
    assert isinstance(error, UnicodeDecodeError)
    letters = error.object[error.start : error.end].decode("latin-1")
    # behind the first byte of a character it is the rest of that one
    return letters[0] + "".join(c for c in letters[1:] if c >= "\xa0"), error.end


codecs.register_error(FALLBACK, _as_latin_1)


class ByteContext(Enum):
    """What the next byte belongs to."""

    TEXT = auto()
    ESCAPE = auto()
    SEQUENCE = auto()
    FUNCTION = auto()
    """SS3, which one byte follows"""
    MOUSE = auto()
    """a report of the oldest kind, three bytes of any value"""
    STRING = auto()
    PASTE = auto()


class Keyboard:
    """Bytes to events; no byte is an error, and a malformed sequence costs itself alone."""

    def __init__(self, debug: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self._debug, self._clock = debug, clock
        self._decode = codecs.getincrementaldecoder("utf-8")(errors=FALLBACK).decode
        self._parser = XTermParser(debug)
        self._state, self._last = ByteContext.TEXT, clock()
        self._sequence = bytearray()
        """what has come of a sequence, a string's last byte, or a paste"""

    def feed(self, data: bytes) -> list[Message]:
        """Return the events that are complete; half a character waits for its rest."""
        found: list[Message] = []
        at = 0
        while at < len(data):
            if self._state is ByteContext.TEXT:
                end = data.find(ESC, at)
                end = len(data) if end < 0 else end
                found += self._typed(self._decode(data[at:end]))
                if end < len(data):
                    found += self.rest()
                    self._state = ByteContext.ESCAPE
                    found += self._parsed("\x1b")
                at = end + 1
            elif self._state is ByteContext.PASTE:
                known = len(self._sequence)
                self._sequence += data[at:]
                end = self._sequence.find(PASTE_END, max(0, known - len(PASTE_END)))
                if end < 0:
                    break
                data, at = bytes(self._sequence[end + len(PASTE_END) :]), 0
                found += self._paste(bytes(self._sequence[:end]))
            else:
                found += self._step(data[at])
                at += 1
        self._last = self._clock()
        return found

    def rest(self) -> list[Message]:
        """Return the messages for the bytes of an unfinished character: each byte is a letter."""
        return self._typed(self._decode(b"", True))

    def tick(self) -> list[Message]:
        """Return the messages for a sequence that was not finished in time."""
        waited = self._clock() - self._last
        if self._state is ByteContext.PASTE and waited >= PASTING:
            return self._paste(bytes(self._sequence))
        if self._state is ByteContext.STRING and waited >= WAIT:
            # its last byte may be a key that the user pressed
            key = bytes(self._sequence)
            self._leave()
            return self._typed(self._decode(key)) if b" " <= key <= b"~" else []
        if self._state in (ByteContext.SEQUENCE, ByteContext.MOUSE) and waited >= WAIT:
            self._leave()
        try:
            found = list(self._parser.tick())
        except MALFORMED:
            self._renew()
            found = []
        if self._state in (ByteContext.ESCAPE, ByteContext.FUNCTION) and (found or waited >= 2 * WAIT):
            self._state = ByteContext.TEXT
        return _possible(found)

    def _step(self, byte: int) -> list[Message]:
        """Take the next byte of what is no text."""
        if self._state is ByteContext.ESCAPE:
            return self._after_escape(byte)
        if self._state is ByteContext.STRING:
            return self._in_string(byte)
        if self._state is ByteContext.MOUSE:
            self._sequence.append(byte)
            if len(self._sequence) == 3:
                self._leave()
            return []
        if self._state is ByteContext.FUNCTION:
            self._state = ByteContext.TEXT
            found = self._parsed(chr(byte)) if 0x20 <= byte < 0x7F else []
            self._renew()
            return found if found or 0x20 <= byte < 0x7F else self.feed(bytes([byte]))
        return self._in_sequence(byte)

    def _after_escape(self, byte: int) -> list[Message]:
        if byte in STRINGS:
            self._renew()
            self._state, self._sequence = ByteContext.STRING, bytearray()
            return []
        states = {ord("["): ByteContext.SEQUENCE, ord("O"): ByteContext.FUNCTION, ESC: ByteContext.ESCAPE}
        self._state, self._sequence = states.get(byte, ByteContext.TEXT), bytearray(b"\x1b[")
        return self._parsed(chr(byte)) if byte in states else self.feed(bytes([byte]))

    def _in_sequence(self, byte: int) -> list[Message]:
        if byte >= 0x80:
            self._sequence += bytes(LONGEST)  # no key has it
            return []
        if not 0x20 <= byte < 0x7F:
            self._leave()
            return self.feed(bytes([byte]))
        self._sequence.append(byte)
        if self._sequence == PASTE_BEGIN:
            self._leave(ByteContext.PASTE)
            return []
        if self._sequence == b"\x1b[M":
            self._leave(ByteContext.MOUSE)
            return []
        found = self._parsed(chr(byte)) if len(self._sequence) <= LONGEST else []
        if found:
            self._state = ByteContext.TEXT
        elif byte >= 0x40 and self._sequence != b"\x1b[[":
            self._leave()
            if byte not in REPORTS:
                return self.feed(bytes([byte]))
        return found

    def _in_string(self, byte: int) -> list[Message]:
        before, self._sequence = bytes(self._sequence), bytearray([byte])
        # ST of one byte is also the middle of a letter
        if byte in (BEL, CAN, SUB) or (byte == ST and before < b"\x80") or (before == b"\x1b" and byte == ord("\\")):
            self._leave()
        elif before == b"\x1b":
            self._state = ByteContext.TEXT
            return self.feed(bytes([ESC, byte]))
        return []

    def _paste(self, text: bytes) -> list[Message]:
        self._leave()
        return [events.Paste(text.decode("utf-8", FALLBACK).replace("\x00", ""))]

    def _typed(self, text: str) -> list[Message]:
        """Return what text that has no ESC means; 8-bit controls in it begin sequences as those of 7 bits do."""
        plain = text.translate(CONTROLS)
        if "\x1b" not in plain:
            return self._parsed(plain.replace(chr(ST), ""))
        before, escape, sequence = plain.partition("\x1b")
        return self._typed(before) + self.feed((escape + sequence).encode().replace(chr(ST).encode(), bytes([ST])))

    def _parsed(self, text: str) -> list[Message]:
        try:
            return _possible(self._parser.feed(text)) if text else []
        except MALFORMED:
            self._renew()
            return []

    def _leave(self, state: ByteContext = ByteContext.TEXT) -> None:
        """Forget the sequence that has come until now."""
        self._state, self._sequence = state, bytearray()
        self._renew()

    def _renew(self) -> None:
        """Take a new parser, which still knows how the terminal reports its mouse."""
        old, self._parser = self._parser, XTermParser(self._debug)
        for name in ("mouse_pixels", "terminal_size", "terminal_pixel_size", "last_x", "last_y"):
            setattr(self._parser, name, getattr(old, name))


def _possible(found: Iterable[Message]) -> list[Message]:
    """Leave out what no terminal has: a screen without room or of any size, a key that is half a character."""
    return [
        event for event in found
        if not (isinstance(event, events.Key) and "\ud800" <= (event.character or "") <= "\udfff")
        and not (isinstance(event, events.Resize) and not all(0 < side <= LARGEST for side in event.size))
    ]  # fmt: skip


def read_input(
    fd: int,
    stopped: Callable[[], bool],
    take: Callable[[Message], None],
    keyboard: Keyboard,
    owned: Callable[[], bool] = lambda: True,
) -> bool:
    """Take every event of a terminal until `stopped`; return whether the terminal is still there.

    Nothing is read while the terminal is not `owned`: what is typed then is for the shell.
    """
    while not stopped():
        if not owned():
            time.sleep(WAIT)
            continue
        if select.select([fd], [], [], WAIT)[0]:
            try:
                data = os.read(fd, CHUNK)
            except OSError:
                if owned():
                    return False
                continue
            if not data:
                return False
            for event in keyboard.feed(data):
                take(event)
        else:
            for event in keyboard.rest():
                take(event)
        for event in keyboard.tick():
            take(event)
    return True
