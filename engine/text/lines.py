"""The lines of a text.  Pure."""

from __future__ import annotations

import io


def lines_of(text: str) -> list[str]:
    r"""Return the lines of a text, without their ends.

    A line ends at \n, \r\n or \r, as in Python's files and in editors.  `str.splitlines` ends lines at form feeds,
    U+0085, U+2028 and others too, which are characters of the text.
    """
    return [line.removesuffix("\n") for line in io.StringIO(text, newline=None)]
