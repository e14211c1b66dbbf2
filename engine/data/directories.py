"""Find the text files of a directory: those of a known format, without files that describe the others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from engine.data.formats import KNOWN, find_format
from engine.data.text_files import NoTextError, read_documents
from engine.system.callbacks import ignore

ABOUT = frozenset(
    {"readme", "license", "licence", "copying", "notice", "changelog", "citation", "authors", "contributing"}
)
"""Names, without suffix and in any case, of files that describe the others."""
NAMED = 8
"""The number of files that a message names."""


def text_files(directory: Path, notice: Callable[[str], None] = ignore) -> list[Path]:
    """Return every file with text in a directory, sorted; hidden ones, and those in hidden directories, are ignored.

    Files of an unknown format, tables and objects without text, and files about the others, such as a README, are
    skipped, and `notice` is called with one sentence that names them.  A damaged file stays, so that reading it raises
    an error.  Raises ValueError if no file is left.
    """
    visible = [path for path in directory.rglob("*") if not _is_hidden(path.relative_to(directory))]
    faults = {path: _fault(path) for path in sorted(visible) if path.is_file()}
    found = [path for path, fault in faults.items() if not fault]
    texts = [path for path in found if path.name.partition(".")[0].lower() not in ABOUT]
    if texts:
        faults.update({path: "about the others" for path in found if path not in texts})
        found = texts
    skipped = [f"{path.relative_to(directory)} ({fault})" for path, fault in faults.items() if fault]
    more = f" and {len(skipped) - NAMED} more" if len(skipped) > NAMED else ""
    names = ", ".join(skipped[:NAMED]) + more
    if not found:
        there = f"; it holds {names}" * bool(names)
        raise ValueError(f"{directory} holds no text file of a known kind: {KNOWN}{there}")
    if names:
        notice(f"{directory}: left out {names}")
    return found


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _fault(path: Path) -> str:
    """Return why a file is not a text file; empty if it is one, and for a damaged one."""
    form = find_format(path)
    if form is None:
        return "no format of text"
    if form.kind == "text":
        return ""
    try:
        next(read_documents(path), None)
    except NoTextError as error:
        return error.found
    except (ValueError, OSError, ModuleNotFoundError):
        return ""
    return ""
