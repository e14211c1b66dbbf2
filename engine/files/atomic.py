"""Files that are whole or absent: written beside their place and moved into it, with what a kill leaves removed."""

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
"""A file that is being written: what it is to become, and the process that writes it."""
LIBRARY = re.compile(r"\(os error (\d+)\)")
"""What libraries in Rust, safetensors among them, say of an error of the system."""

_numbers = count()
_writing: set[Path] = set()
"""the unfinished files of this process"""


def replace(path: Path, data: bytes, *, new: bool = False) -> None:
    """Write a whole file at once, see `replacing`."""
    with replacing(path, new=new) as part:
        part.write_bytes(data)


@contextmanager
def replacing(path: Path, *, new: bool = False) -> Iterator[Path]:
    """Yield where to write a file; at the end it takes the place of `path`, or nothing has changed after an error.

    A reader sees the old file or the new one, also after a power cut.  new: raise FileExistsError if `path` exists.
    Raises OSError that names `path`, also where a library has made another error of the system's.
    """
    part = path.with_name(f"{path.name}.{os.getpid()}-{next(_numbers)}.part")
    _writing.add(part)
    try:
        with naming(path, part):
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
def naming(path: Path, part: Path | None = None) -> Iterator[None]:
    """Give an OSError that names no file, as those of write, flush, fsync and close, or names `part`, the name `path`.

    So it is with what a library makes of an OSError.
    """
    try:
        yield
    except Exception as error:
        found = _of_system(error)
        named = isinstance(error, OSError) and error.filename not in (None, str(part))
        if found is None or named:
            raise
        raise OSError(found.errno, found.strerror, str(path)) from error


def tidy(home: Path, names: Iterable[str] = ()) -> None:
    """Remove what killed processes left in a directory: unfinished files, and the probes of `probe`.

    names: of the files that are written there, as patterns of `Path.glob`.  What a running process writes stays.
    """
    with suppress(OSError):
        for name in (*names, ""):
            for path in (*home.glob(f"{name}.part"), *home.glob(f"{name}.*.part")) if name else home.glob(".*.part"):
                if _is_left(path, name.rpartition("/")[2]):
                    path.unlink(missing_ok=True)


def discard(path: Path) -> None:
    """Remove the unfinished copies of a file that this process writes, as it ends without waiting for them."""
    for part in [part for part in _writing if part.parent == path.parent and _is_of(part, path.name)]:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def probe(home: Path) -> None:
    """Make the directory and a file in it, which goes again.  Raises OSError where that cannot be."""
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
    match = UNFINISHED.fullmatch(part.name)
    return match is not None and match[1] == name


def _is_left(path: Path, name: str) -> bool:
    """Return whether a file is an unfinished one of this name whose process has ended."""
    match = UNFINISHED.fullmatch(path.name)
    if match is None:
        # earlier versions named no process
        return fnmatch(path.name, f"{name}.part")
    if not fnmatch(match[1], name):
        return False
    process = int(match[2])
    return path not in _writing if process == os.getpid() else not _runs(process)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _of_system(error: Exception) -> OSError | None:
    """Return the system's error that an error is, or was made of; None for another."""
    if isinstance(error, OSError):
        return error if error.errno is not None else None
    if match := LIBRARY.search(str(error)):
        return OSError(int(match[1]), os.strerror(int(match[1])))
    # where the file cannot grow torch.save complains of positions, while it handles what the system said
    return _of_system(error.__context__) if isinstance(error.__context__, OSError) else None


def _exists(path: Path) -> OSError:
    return FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))


def _place_new(part: Path, path: Path) -> None:
    """Give the file its name unless something has it, which a link alone can tell and do at once."""
    try:
        os.link(part, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if os.path.lexists(path):
            raise _exists(path) from None
        os.rename(part, path)


def _sync(home: Path) -> None:
    """See the directory to the disk where the file system can."""
    with suppress(OSError):
        place = os.open(home, os.O_RDONLY)
        try:
            os.fsync(place)
        finally:
            os.close(place)
