"""Call third-party code and catch all its exceptions, but not the person's Ctrl+C."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from tempfile import TemporaryFile
from types import FrameType
from typing import IO

_SILENCING = threading.Lock()
PANIC = re.compile(
    rb"\n?thread '[^'\n]*' (?:\(\d+\) )?panicked at .*?(?:\nnote: [^\n]*RUST_BACKTRACE[^\n]*(?:\n|\Z)|\Z)", re.DOTALL
)
"""The report of a Rust panic, up to its note on backtraces; only the first report of a process has the note."""


@contextmanager
def distinguish_interrupts() -> Iterator[None]:
    """Let foreign code raise KeyboardInterrupt without ending the program; Ctrl+C still does.

    Inside, a real SIGINT raises `Interrupted`, which is a KeyboardInterrupt; foreign code raises the plain one.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield  # signal handlers only run in the main thread
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        try:
            before(number, frame)
        except KeyboardInterrupt:
            raise Interrupted from None

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class Interrupted(KeyboardInterrupt):
    """A person pressed Ctrl+C, or a signal ends the process; foreign code cannot have raised it."""


def is_panic(error: BaseException) -> bool:
    """Return whether an exception is a panic of a Rust library, which is not an `Exception`."""
    return type(error).__name__ == "PanicException"


@contextmanager
def library_errors(what: str) -> Iterator[None]:
    """Turn any exception of a tokenizer library, panics included, into a ValueError that begins with `what`.

    The library also reports panics on standard error, where `silent_panics` removes them.
    """
    try:
        with silent_panics():
            yield
    except BaseException as error:
        if not isinstance(error, Exception) and not is_panic(error):
            raise
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise ValueError(f"{what}: {reason}") from error


@contextmanager
def silent_panics() -> Iterator[None]:
    """Remove reports of panics from standard error; write everything else when the block ends.

    Of nested or concurrent calls only the outermost has an effect.
    """
    if not _SILENCING.acquire(blocking=False):
        yield
        return
    try:
        try:
            original = os.dup(2)
        except OSError:  # there is no standard error
            yield
            return
        try:
            with _memory() as buffer:
                os.dup2(buffer.fileno(), 2)
                try:
                    yield
                finally:
                    os.dup2(original, 2)
                    if os.fstat(buffer.fileno()).st_size:
                        buffer.seek(0)
                        _write(2, PANIC.sub(b"", buffer.read()))
        finally:
            os.close(original)
    finally:
        _SILENCING.release()


def _memory() -> IO[bytes]:
    """Return an empty file that is deleted when it is closed."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("stderr"), "w+b")
    return TemporaryFile()


def _write(descriptor: int, data: bytes) -> None:
    """Write all data, unless the reader has closed the descriptor."""
    with suppress(OSError):
        while data:
            data = data[os.write(descriptor, data) :]
