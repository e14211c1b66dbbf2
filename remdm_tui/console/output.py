"""Writes to standard output and standard error: text for people is sanitized, data keeps its characters.

`install` puts a sanitizing stream before both, for whatever else prints: tracebacks, warnings, libraries.  Standard
library alone, since every command imports it first.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from io import TextIOBase, TextIOWrapper
from typing import Any, TextIO

from remdm_tui.console.sanitize import escape_json, sanitize

OUTPUT = "standard output"
"""The name in an error of a write to standard output."""
BREAK = "\n  "
"""Continues an error message in a line of its own; any other line break in it is data."""


class NamedStream(TextIOBase):
    """A text stream whose failed writes raise OSError with its `name`; without a name, failures are ignored."""

    def __init__(self, stream: TextIO, name: str | None = None) -> None:
        self._stream, self._name = stream, name

    def write(self, text: str) -> int:
        self._do(lambda: self._stream.write(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:  # type: ignore[override]
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        self._do(self._stream.flush)

    def _do(self, write: Callable[[], object]) -> None:
        try:
            write()
        except OSError as error:
            if self._name is None:
                return
            if error.filename is None:
                error.filename = self._name
            raise

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding or "utf-8"

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        return self._stream.errors


class PeopleStream(NamedStream):
    """A NamedStream that sanitizes everything; it has no `buffer`, which would bypass that."""

    def __init__(self, stream: TextIO, name: str | None = None) -> None:
        super().__init__(stream, name)
        self.raw = NamedStream(stream, name)
        """the stream for data, and for Rich's own escapes"""

    def write(self, text: str) -> int:
        # a progress bar returns to the start of its line; elsewhere in a text that would hide what was printed before
        start = "\r" if text.startswith("\r") and self.isatty() else ""
        super().write(start + sanitize(text[len(start) :], lines=True))
        return len(text)


class MissingOutput(TextIOBase):
    """Standard output that was closed before the start: what a library prints there is lost, as in Python."""

    encoding, errors = "utf-8", "replace"

    def write(self, text: str) -> int:
        return len(text)

    def isatty(self) -> bool:
        return False


def install() -> None:
    """Sanitize standard output and error, and replace those of the three standard streams that are closed."""
    for number in range(3):
        _fill(number)
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115  (for the whole program)
    missing = sys.stdout is None
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    sys.stdout = MissingOutput() if missing else PeopleStream(sys.stdout, OUTPUT)
    sys.stderr = PeopleStream(sys.stderr)


def _fill(number: int) -> None:
    """Open the null device for a closed descriptor, which the next file to be opened would get otherwise."""
    try:
        os.fstat(number)
    except OSError:
        os.open(os.devnull, os.O_RDWR)  # the lowest free number is used


def raw(stream: Any) -> Any:
    """Return the stream behind a sanitizing one."""
    return stream.raw if isinstance(stream, PeopleStream) else stream


def has_output() -> bool:
    """Return whether there is a standard output."""
    return sys.stdout is not None and not isinstance(sys.stdout, MissingOutput)


def require_output() -> None:
    """Raise OSError if standard output is closed."""
    if not has_output():
        raise OSError(errno.EBADF, "it is closed, and the result goes there", OUTPUT)


def print_message(text: str) -> None:
    """Write lines for people to standard output and flush; write nothing if it is closed."""
    if has_output():
        print_result(text)


def print_result(text: str) -> None:
    """Write the result of a command, for people, to standard output and flush. Raises OSError if it is closed."""
    require_output()
    stream = sys.stdout
    stream.write(f"{sanitize(text, lines=True)}\n")
    stream.flush()


def print_error(sentence: str) -> None:
    """Write an error message to standard error; a line break without an indent is sanitized."""
    print_note(f"remdm-tui: {BREAK.join(map(sanitize, sentence.split(BREAK)))}")


def print_note(text: str) -> None:
    """Write lines for people to standard error and flush."""
    if sys.stderr is not None:
        sys.stderr.write(f"{sanitize(text, lines=True)}\n")
        sys.stderr.flush()


def print_data(text: str) -> None:
    """Write data to standard output and flush: unchanged to a pipe or a file, sanitized to a terminal.

    Raises OSError if standard output is closed.
    """
    require_output()
    stream = raw(sys.stdout)
    stream.write(f"{sanitize(text, lines=True, joiners=True) if stream.isatty() else text}\n")
    stream.flush()


def print_json(text: str) -> None:
    """Write JSON to standard output and flush, with escapes for characters that act on a terminal. Raises OSError."""
    print_data(escape_json(text))


def discard_output() -> None:
    """Discard what is buffered for standard output, which has no reader, so that the exit does not fail on it."""
    with suppress(OSError, ValueError, AttributeError):  # not a file, or closed
        number = sys.stdout.fileno()
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, number)
        os.close(null)
