"""Calls of other people's code, whose every exception is caught but an interrupt that a person asked for."""

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
    rb"\n?thread '[^'\n]*' (?:\(\d+\) )?panicked at .*?(?:\nnote: [^\n]*RUST_BACKTRACE[^\n]*(?:\n|$)|$)", re.DOTALL
)
"""What Rust writes of a panic, up to its note on backtraces."""


@contextmanager
def interrupts_told_apart() -> Iterator[None]:
    """Let foreign code raise KeyboardInterrupt without ending the program; Ctrl+C still does.

    Inside, a real SIGINT raises `Interrupted`, which is a KeyboardInterrupt; foreign code raises the plain one.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield  # no signal's handler runs here
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
    """Whether an exception is a panic of a library in Rust, which is no Exception."""
    return type(error).__name__ == "PanicException"


@contextmanager
def library_errors(what: str) -> Iterator[None]:
    """Turn whatever a tokenizer's library raises, panics too, into a ValueError; `what` begins its sentence.

    The library reports panics on standard error as well, where `silent_panics` leaves them out.
    """
    try:
        with silent_panics():
            yield
    except BaseException as error:
        if not isinstance(error, Exception) and not is_panic(error):
            raise
        said = " ".join(str(error).split())[:300] or type(error).__name__
        raise ValueError(f"{what}: {said}") from error


@contextmanager
def silent_panics() -> Iterator[None]:
    """Leave reports of panics out of file descriptor 2; all else that is written there comes when this ends.

    Only the outermost of nested or concurrent calls does anything.
    """
    if not _SILENCING.acquire(blocking=False):
        yield
        return
    try:
        try:
            kept = os.dup(2)
        except OSError:  # there is no standard error
            yield
            return
        try:
            with _memory() as meanwhile:
                os.dup2(meanwhile.fileno(), 2)
                try:
                    yield
                finally:
                    os.dup2(kept, 2)
                    if os.fstat(meanwhile.fileno()).st_size:
                        meanwhile.seek(0)
                        _write(2, PANIC.sub(b"", meanwhile.read()))
        finally:
            os.close(kept)
    finally:
        _SILENCING.release()


def _memory() -> IO[bytes]:
    """Return an empty file that is gone when it is closed."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("stderr"), "w+b")
    return TemporaryFile()


def _write(descriptor: int, data: bytes) -> None:
    with suppress(OSError):  # whoever read it has gone away
        while data:
            data = data[os.write(descriptor, data) :]
