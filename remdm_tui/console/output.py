"""The one door to standard output and standard error: text for people is sanitized, data is asked for by name.

`install` puts a sanitizing stream before both, for whatever else prints: tracebacks, warnings, libraries.  Standard
library alone, since every command begins here.
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
"""What an error that has no file's name is about."""
BREAK = "\n  "
"""How a sentence goes on in a line of its own; any other line break in it is somebody's data."""


class NamedStream(TextIOBase):
    """A text stream whose failed writes raise OSError with its `name`; one without goes on, as nobody can be told."""

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
    """The same, which sanitizes all that is written to it; it has no `buffer` that would lead past it."""

    def __init__(self, stream: TextIO, name: str | None = None) -> None:
        super().__init__(stream, name)
        self.raw = NamedStream(stream, name)
        """the stream for data, and for Rich's own escapes"""

    def write(self, text: str) -> int:
        # a library's bar goes back to the start of its line; within a text that would cover what stands there
        start = "\r" if text.startswith("\r") and self.isatty() else ""
        super().write(start + sanitize(text[len(start) :], lines=True))
        return len(text)


class MissingOutput(TextIOBase):
    """Standard output that was closed before the program began: what a library prints there is lost, as in Python."""

    encoding, errors = "utf-8", "replace"

    def write(self, text: str) -> int:
        return len(text)

    def isatty(self) -> bool:
        return False


def install() -> None:
    """Sanitize what is written to standard output and error, and fill in those of the three streams that are closed."""
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
    """Open the null device where a descriptor is closed: the next file opened would get its number, and its writes."""
    try:
        os.fstat(number)
    except OSError:
        os.open(os.devnull, os.O_RDWR)  # takes the lowest that is free


def raw(stream: Any) -> Any:
    """Return the stream behind a sanitizing one."""
    return stream.raw if isinstance(stream, PeopleStream) else stream


def has_output() -> bool:
    """Return whether there is a standard output at all."""
    return sys.stdout is not None and not isinstance(sys.stdout, MissingOutput)


def print_message(text: str) -> None:
    """Write lines for people to standard output, at once; nothing where it is closed."""
    if has_output():
        print_result(text)


def print_result(text: str) -> None:
    """Write lines for people that are what a command is for; raises OSError where standard output takes none."""
    stream = _output(sys.stdout)
    stream.write(f"{sanitize(text, lines=True)}\n")
    stream.flush()


def print_error(sentence: str) -> None:
    """Write one sentence to standard error; only an indented line in it stays a line."""
    said = BREAK.join(map(sanitize, sentence.split(BREAK)))
    print_note(f"remdm-tui: {said}")


def print_note(text: str) -> None:
    """Write lines for people to standard error, at once."""
    if sys.stderr is not None:
        sys.stderr.write(f"{sanitize(text, lines=True)}\n")
        sys.stderr.flush()


def print_data(text: str) -> None:
    """Write a result to standard output, at once: as it is to a pipe or a file, sanitized to a terminal.

    Raises OSError where standard output takes none.
    """
    stream = _output(raw(sys.stdout))
    stream.write(f"{sanitize(text, lines=True, joiners=True) if stream.isatty() else text}\n")
    stream.flush()


def _output(stream: Any) -> Any:
    if not has_output():
        raise OSError(errno.EBADF, "it is closed, and the result goes there", OUTPUT)
    return stream


def print_json(text: str) -> None:
    """Write JSON to standard output, at once; it reads back as the same data and does nothing to a terminal."""
    print_data(escape_json(text))


def discard_output() -> None:
    """Let what is still buffered for standard output go nowhere: nobody reads it, and the exit would fail on it."""
    with suppress(OSError, ValueError, AttributeError):  # it is no file, or closed
        number = sys.stdout.fileno()
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, number)
        os.close(null)
