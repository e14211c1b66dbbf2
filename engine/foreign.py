"""Calls of other people's code, whose every exception is caught but an interrupt that a person asked for."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SILENCING = threading.Lock()


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

    The library writes panics to standard error, which is silent meanwhile.
    """
    try:
        with silent_stderr():
            yield
    except BaseException as error:
        if not isinstance(error, Exception) and not is_panic(error):
            raise
        said = " ".join(str(error).split())[:300] or type(error).__name__
        raise ValueError(f"{what}: {said}") from error


@contextmanager
def silent_stderr() -> Iterator[None]:
    """Send file descriptor 2 nowhere; only the outermost of nested or concurrent calls does."""
    if not _SILENCING.acquire(blocking=False):
        yield
        return
    try:
        kept = _without_stderr()
        try:
            yield
        finally:
            if kept is not None:
                os.dup2(kept, 2)
                os.close(kept)
    finally:
        _SILENCING.release()


def _without_stderr() -> int | None:
    """Replace file descriptor 2 and return a copy of what it was; None where there is none."""
    try:
        kept = os.dup(2)
    except OSError:
        return None
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    return kept
