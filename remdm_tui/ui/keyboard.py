"""What comes from a terminal's keyboard and mouse, whatever bytes it sends."""

from __future__ import annotations

import codecs
import os
import select
import time
from collections.abc import Callable

from textual._xterm_parser import XTermParser
from textual.message import Message

CHUNK = 1 << 12
WAIT = 0.1
"""Seconds without input after which an escape sequence that has no end is looked at again."""
FALLBACK = "remdm-latin-1"
MALFORMED = (ValueError, OverflowError, ZeroDivisionError)
"""What the parser makes of reports with numbers that no terminal has."""


def _as_latin_1(error: UnicodeError) -> tuple[str, int]:
    """Take bytes that are no UTF-8 as Latin-1: a letter where somebody types one, else a control that no key has."""
    assert isinstance(error, UnicodeDecodeError)
    return error.object[error.start : error.end].decode("latin-1"), error.end


codecs.register_error(FALLBACK, _as_latin_1)


class Keyboard:
    """Bytes to events; no byte is an error, and a malformed sequence costs itself alone."""

    def __init__(self, debug: bool = False) -> None:
        self._debug = debug
        self._decode = codecs.getincrementaldecoder("utf-8")(errors=FALLBACK).decode
        self._parser = XTermParser(debug)

    def feed(self, data: bytes) -> list[Message]:
        """Return the events that are complete; half a character waits for its rest."""
        return self._parsed(self._decode(data))

    def rest(self) -> list[Message]:
        """Return what is meant by bytes of a character that has not gone on, of which each is a letter then."""
        return self._parsed(self._decode(b"", True))

    def _parsed(self, text: str) -> list[Message]:
        try:
            return list(self._parser.feed(text)) if text else []
        except MALFORMED:
            self._renew()
        events: list[Message] = []
        for character in text:
            try:
                events += self._parser.feed(character)
            except MALFORMED:
                self._renew()
        return events

    def tick(self) -> list[Message]:
        """Return what was meant by a sequence that has not gone on."""
        try:
            return list(self._parser.tick())
        except MALFORMED:
            self._renew()
            return []

    def _renew(self) -> None:
        """Take a new parser, which still knows how the terminal reports its mouse."""
        old, self._parser = self._parser, XTermParser(self._debug)
        for name in ("mouse_pixels", "terminal_size", "terminal_pixel_size"):
            setattr(self._parser, name, getattr(old, name))


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
