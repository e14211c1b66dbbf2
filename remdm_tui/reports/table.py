"""A table of a report as plain data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cell:
    """A figure and its spread."""

    text: str
    spread: str = ""
    """an interval or a deviation, in smaller type if possible"""

    @property
    def whole(self) -> str:
        """Return figure and spread in one text."""
        return f"{self.text} {self.spread}".rstrip()


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    title: str
    core: bool = True
    """whether it is shown even if the table is narrow"""
    textual: bool = False
    """whether it has words, which begin at the left"""


@dataclass(frozen=True)
class Table:
    """A titled table."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    """the first cell is the heading of the row"""
    note: str = ""

    def core(self) -> Table:
        """Return the table with its core columns alone."""
        kept = [i for i, column in enumerate(self.columns) if column.core]
        rows = tuple(tuple(row[i] for i in kept) for row in self.rows)
        return Table(self.title, tuple(self.columns[i] for i in kept), rows, self.note)
