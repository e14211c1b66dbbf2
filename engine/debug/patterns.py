"""Regular expressions of strangers on short texts: those that could take for ever are refused."""

from __future__ import annotations

import re
from functools import lru_cache

LONGEST = 200
"""characters of a pattern"""
READ = 40
"""characters of a token's text that are looked at"""
MOST = 2e6
"""ways to match that may be tried on one text"""

_TOKEN = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?:|\(\?i\)|\(\?|\{\d*,?\d*\}|.", re.DOTALL)
"""an escape, a class, how a group opens, a repeat, or a single character"""


def safe_pattern(pattern: str) -> re.Pattern[str]:
    """Return the pattern, whose search in READ characters ends soon.  Raises ValueError that says what is not allowed.

    A repeat of a single character tries at most READ lengths, and each choice doubles the ways; repeats of groups and
    references to them are refused, because their ways cannot be counted so.
    """
    if len(pattern) > LONGEST:
        raise ValueError(f"a pattern has at most {LONGEST} characters, not {len(pattern)}")
    repeats = choices = 0
    before = ""
    for token in _TOKEN.findall(pattern):
        if token == "(?" or re.fullmatch(r"\\[0-9]", token):
            raise ValueError(f"the pattern /{pattern}/ has {token!r}: use plain groups (...) and (?:...) alone")
        if token in "*+" or (token[0] == "{" and len(token) > 1):
            if before == ")":
                raise ValueError(f"the pattern /{pattern}/ repeats a group: repeat single characters or classes")
            repeats += 1
        choices += token in "?|"
        before = token
    if float(READ) ** (repeats + 1) * 2.0**choices > MOST * READ:
        raise ValueError(f"the pattern /{pattern}/ has too many repeats and choices: split it into several")
    try:
        return re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"the pattern /{pattern}/ cannot be read: {error}") from None


@lru_cache(maxsize=1 << 14)
def found(pattern: re.Pattern[str], text: str) -> bool:
    """Return whether the pattern occurs in the text's first READ characters."""
    return pattern.search(text[:READ]) is not None
