"""Read text files into documents: one reader for each kind of file, whose errors name the file and the line."""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

from engine.data.document import Document
from engine.data.formats import DAMAGED, TextFormat, text_format
from engine.files.pointers import check_pointer
from engine.files.regular import regular_file

SPLIT = re.compile(r"[A-Za-z0-9_-]{1,40}")
"""A word that may name a split, and with it a file."""
TRAIN = "train"
"""The split of a document that names none."""
SURROGATES = re.compile("[\ud800-\udfff]")
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is a prefix of it
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte order marks, and the encodings that leave them out."""
SHOWN = 8
"""The number of columns or fields that a message names."""
ReadDocuments = Callable[[Path, TextIO], Iterator[Document]]


class NoTextError(ValueError):
    """A table without a text column, or a value without a text field.  found: what it has instead, in words."""

    def __init__(self, sentence: str, found: str) -> None:
        super().__init__(sentence)
        self.found = found


def read_documents(path: Path) -> Iterator[Document]:
    """Yield the documents of a file, in the format of its name.

    A text file is one document.  Of the others each object or row is one: its `text`, and its `split`, by default
    "train".  A byte order mark is no text, and half a surrogate pair becomes U+FFFD.  Raises ValueError that names the
    file, and the line where there are lines.
    """
    form = text_format(path)
    check_pointer(regular_file(path))
    try:
        for document in _parquet(path) if form.kind == "parquet" else _decoded(path, form):
            yield replace(document, text=encodable(document.text))
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text: {_place(path, form, error)}") from error
    except DAMAGED as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    except MemoryError as error:
        raise ValueError(f"{path} does not fit into memory: divide it into several files") from error
    except OSError as error:
        if error.errno is not None and error.strerror is not None:
            raise
        raise ValueError(f"{path} is damaged: {' '.join(str(error).split())}") from error


def encodable(text: str) -> str:
    """Return the text with U+FFFD in the place of half a surrogate pair, which no encoding has."""
    return text if text.isascii() else SURROGATES.sub("\ufffd", text)


def _decoded(path: Path, form: TextFormat) -> Iterator[Document]:
    # csv needs unchanged line ends, to distinguish those in quotes from those of rows
    newline = "" if form.kind in ("csv", "tsv") else None
    with form.open(path) as raw:
        buffered: io.BufferedReader[Any] = io.BufferedReader(raw)
        with io.TextIOWrapper(buffered, encoding=_encoding(buffered), newline=newline) as file:
            yield from READERS[form.kind](path, file)


def _encoding(file: io.BufferedReader[Any]) -> str:
    """Return the encoding of the byte order mark, which is not consumed; UTF-8 without one."""
    start = file.peek(4)[:4]
    return next((name for mark, name in MARKS if start.startswith(mark)), "utf-8")


def _text(path: Path, file: TextIO) -> Iterator[Document]:
    text = file.read()
    _refuse_nul(path, text, 1)
    yield Document(text, TRAIN, str(path))


def _json_lines(path: Path, file: TextIO) -> Iterator[Document]:
    for number, line in enumerate(file, 1):
        _refuse_nul(path, line, number)
        if not line.strip():
            continue
        yield _object(f"{path}, line {number}", line)


def _json(path: Path, file: TextIO) -> Iterator[Document]:
    """Yield the documents of an array of objects or texts, of a single object, or of one object a line."""
    text = file.read()
    _refuse_nul(path, text, 1)
    if not text.strip():
        return
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        if _has_json_lines(text):
            yield from _json_lines(path, io.StringIO(text))
            return
        raise ValueError(f"{path}, line {error.lineno}: {error.msg}") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no JSON that can be read: {error}") from error
    for number, item in enumerate(value if isinstance(value, list) else [value], 1):
        where = f"{path}, item {number}"
        yield Document(item, TRAIN, where) if isinstance(item, str) else _row(where, item)


def _has_json_lines(text: str) -> bool:
    """Return whether the first line is a whole object, so that the others are one each."""
    try:
        return isinstance(json.loads(text.lstrip().partition("\n")[0]), dict)
    except (ValueError, RecursionError):
        return False


def _object(where: str, line: str) -> Document:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f'{where}: expected a JSON object with a string "text", got {error!r}') from error
    return _row(where, value)


def _row(where: str, row: object) -> Document:
    """Return the document of an object.  Raises ValueError that says what it has in place of a text."""
    expected = f'{where}: expected a JSON object with a string "text", got'
    if not isinstance(row, Mapping):
        found = f"{type(row).__name__} {str(row)[:40]!r}"
        raise NoTextError(f"{expected} {found}", f"no objects, but {found}")
    if "text" not in row:
        raise NoTextError(f"{expected} one with {_listed(row)}", f"no field 'text', but {_listed(row)}")
    if not isinstance(row["text"], str):
        raise ValueError(f"{expected} a text that is {row['text']!r:.40}")
    return Document(row["text"], _split(where, row.get("split", TRAIN)), where)


def _split(where: str, split: object) -> str:
    if split is None:
        return TRAIN
    if not (isinstance(split, str) and SPLIT.fullmatch(split)):  # it names a file
        raise ValueError(f"{where}: split {split!r:.60} is not a plain word")
    return split


def _table(dialect: type[csv.Dialect]) -> ReadDocuments:
    def read(path: Path, file: TextIO) -> Iterator[Document]:
        csv.field_size_limit(min(sys.maxsize, 2**31 - 1))  # a text may be long
        rows = csv.reader(_without_nul(path, file), dialect, strict=True)
        first = 1
        try:
            columns = next(rows, None)
            if columns is None:
                return
            if "text" not in columns:
                found = _listed(columns)
                raise NoTextError(
                    f"{path} has no column 'text' in its first line, but {found}", f"no column 'text', but {found}"
                )
            at, split_at = columns.index("text"), columns.index("split") if "split" in columns else None
            first = rows.line_num + 1
            for row in rows:
                where, first = f"{path}, {_span(first, rows.line_num)}", rows.line_num + 1
                if not row:
                    continue
                if len(row) != len(columns):
                    raise ValueError(f"{where}: {len(row)} fields, and the first line names {len(columns)} columns")
                split = None if split_at is None else row[split_at] or None
                yield Document(row[at].replace("\r\n", "\n"), _split(where, split), where)
        except csv.Error as error:
            raise ValueError(f"{path}, {_span(first, rows.line_num)}: {error}") from error

    return read


def _span(first: int, last: int) -> str:
    """Return the lines of a row in words; several if a quoted field has line ends or is never closed."""
    return f"line {first}" if last <= first else f"lines {first} to {last}"


def _parquet(path: Path) -> Iterator[Document]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"{path} needs the package pyarrow: pip install pyarrow", name=error.name) from error
    try:
        with parquet.ParquetFile(path) as file:
            columns = file.schema_arrow.names
            if "text" not in columns:
                found = f"no column 'text', but {_listed(columns)}"
                raise NoTextError(f"{path} has {found}", found)
            selected = [name for name in ("text", "split") if name in columns]
            number = 0
            for batch in file.iter_batches(columns=selected):
                for row in batch.to_pylist():
                    number += 1
                    if not isinstance(row["text"], str):
                        raise ValueError(f"{path}, row {number}: expected a text, got {row['text']!r:.40}")
                    where = f"{path}, row {number}"
                    yield Document(row["text"], _split(where, row.get("split")), where)
    except pyarrow.ArrowException as error:
        raise ValueError(f"{path} is not a parquet file, or damaged: {' '.join(str(error).split())[:200]}") from error


READERS: dict[str, ReadDocuments] = {
    "text": _text,
    "json lines": _json_lines,
    "json": _json,
    "csv": _table(csv.excel),
    "tsv": _table(csv.excel_tab),
}


def _listed(names: object) -> str:
    found = [repr(str(name)) for name in names] if isinstance(names, list | Mapping) else []
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return f"{', '.join(found[:SHOWN])}{more}" if found else "none at all"


def _without_nul(path: Path, file: TextIO) -> Iterator[str]:
    for number, line in enumerate(file, 1):
        _refuse_nul(path, line, number)
        yield line


def _refuse_nul(path: Path, text: str, line: int) -> None:
    """Raise ValueError for a NUL, which UTF-16 without a byte order mark and files that are no text are full of."""
    at = text.find("\0")
    if at >= 0:
        line += text.count("\n", 0, at)
        raise ValueError(f"{path}, line {line}: a NUL character; expected UTF-8, or UTF-16 with a byte order mark")


def _place(path: Path, form: TextFormat, error: UnicodeDecodeError) -> str:
    """Return the line and byte at which the file cannot be decoded, found by reading it again."""
    if error.encoding not in ("utf-8", "utf-8-sig"):
        return f"it begins as {error.encoding.upper()} does, and then {error.reason}"
    with form.open(path) as raw:
        for number, line in enumerate(io.BufferedReader(raw), 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as found:
                return f"line {number}, byte {found.start + 1} (0x{line[found.start]:02x}): {found.reason}"
    return error.reason
