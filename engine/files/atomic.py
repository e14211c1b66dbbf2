"""Write files atomically: to a temporary file that then replaces the old one; remove what killed processes left."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from fnmatch import fnmatch
from itertools import count
from pathlib import Path

UNFINISHED = re.compile(r"(.*)\.(\d+)(?:-\d+)?\.part")
"""The name of an unfinished file: its final name, and the id of the process that writes it."""
LIBRARY = re.compile(r"\(os error (\d+)\)")
"""The form of system errors in messages of Rust libraries such as safetensors."""

_numbers = count()
_writing: set[Path] = set()
"""The unfinished files of this process."""


def replace(path: Path, data: bytes, *, new: bool = False) -> None:
    """Write a file atomically, see `replacing`."""
    with replacing(path, new=new) as part:
        part.write_bytes(data)


@contextmanager
def replacing(path: Path, *, new: bool = False) -> Iterator[Path]:
    """Yield a temporary path to write to; it replaces `path` at the end, or is removed after an error.

    A reader sees the old file or the new one, also after a power failure.  new: raise FileExistsError if `path` exists.
    Raises OSError that names `path`, also for system errors that a library has wrapped.
    """
    part = path.with_name(f"{path.name}.{os.getpid()}-{next(_numbers)}.part")
    _writing.add(part)
    try:
        with named_errors(path, part):
            if new and os.path.lexists(path):
                raise _exists(path)
            yield part
            with part.open("rb") as file:
                os.fsync(file.fileno())
            if new:
                _place_new(part, path)
            else:
                os.replace(part, path)
            _sync(path.parent)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        _writing.discard(part)


@contextmanager
def named_errors(path: Path, part: Path | None = None) -> Iterator[None]:
    """Raise OSErrors inside with the name `path` if they name no file, as those of write and fsync, or name `part`.

    The same holds for system errors that a library has wrapped.
    """
    try:
        yield
    except Exception as error:
        found = _system_error(error)
        named = isinstance(error, OSError) and error.filename not in (None, str(part))
        if found is None or named:
            raise
        raise OSError(found.errno, found.strerror, str(path)) from error


def tidy(home: Path, names: Iterable[str] = ()) -> None:
    """Remove what killed processes left in a directory: unfinished files, and those of `probe`.

    names: patterns for `Path.glob` of the files written there.  Files of running processes stay.
    """
    with suppress(OSError):
        for name in (*names, ""):
            for path in (*home.glob(f"{name}.part"), *home.glob(f"{name}.*.part")) if name else home.glob(".*.part"):
                if _is_abandoned(path, name.rpartition("/")[2]):
                    path.unlink(missing_ok=True)


def discard(path: Path) -> None:
    """Remove this process's unfinished copies of a file, before it exits without finishing them."""
    for part in [part for part in _writing if part.parent == path.parent and _is_of(part, path.name)]:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def probe(home: Path) -> None:
    """Create the directory, and a file in it that is removed again.  Raises OSError if that fails."""
    path = home / f".{os.getpid()}.part"
    home.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\0")
    path.unlink(missing_ok=True)


def writable(home: Path) -> None:
    """Make the directory, and find out whether files can be written in it.  Raises ValueError."""
    try:
        probe(home)
    except OSError as error:
        raise ValueError(f"{home} cannot be written in: {error.strerror}; choose another --out") from error


def _is_of(part: Path, name: str) -> bool:
    """Return whether a file is an unfinished one of this name."""
    match = UNFINISHED.fullmatch(part.name)
    return match is not None and match[1] == name


def _is_abandoned(path: Path, name: str) -> bool:
    """Return whether a file is an unfinished one of this name whose process has ended."""
    match = UNFINISHED.fullmatch(path.name)
    if match is None:
        # earlier versions did not name the process
        return fnmatch(path.name, f"{name}.part")
    if not fnmatch(match[1], name):
        return False
    process = int(match[2])
    return path not in _writing if process == os.getpid() else not _runs(process)


def _runs(process: int) -> bool:
    """Return whether a process is running."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _system_error(error: Exception) -> OSError | None:
    """Return the system error that an error is or wraps; None for other errors."""
    if isinstance(error, OSError):
        return error if error.errno is not None else None
    if match := LIBRARY.search(str(error)):
        return OSError(int(match[1]), os.strerror(int(match[1])))
    # if a file cannot grow torch.save raises an error about positions while handling the system's
    return _system_error(error.__context__) if isinstance(error.__context__, OSError) else None


def _exists(path: Path) -> OSError:
    """Return the error of a path that exists."""
    return FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))


def _place_new(part: Path, path: Path) -> None:
    """Rename the file unless the name is taken; only a hard link checks and renames at once."""
    try:
        os.link(part, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if os.path.lexists(path):
            raise _exists(path) from None
        os.rename(part, path)


def _sync(home: Path) -> None:
    """Flush the directory to disk if the file system can."""
    with suppress(OSError):
        descriptor = os.open(home, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
