"""Keys in messages: a message has the id of a key, and the screen shows the key that is bound to it.  Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

_ID = re.compile("\x1d([a-z0-9-]+)\x1d")
"""An id between control characters, which no sanitized text has."""


def key(name: str) -> str:
    """Return a placeholder for the key with this id; `remdm-tui list keys` has the ids."""
    return f"\x1d{name}\x1d"


def name_keys(text: str, keys: Mapping[str, str]) -> str:
    """Return a message with the keys in place of their ids.

    keys: readable keys by id; the placeholder of an unknown id stays.
    """
    return _ID.sub(lambda found: keys.get(found[1], found[0]), text)
