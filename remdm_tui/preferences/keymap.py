"""Which keys do what, once a person has said so: the main screen's bindings under a keymap.  Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches

from textual.binding import Binding
from textual.keys import KEY_NAME_REPLACEMENTS, Keys, format_key

from remdm_tui.ui.keys import KEYS

TAKEN = {"ctrl+p": "the command palette", "ctrl+q": "quitting", "ctrl+c": "copying"}
"""Keys that every screen has."""
MODIFIERS = ("ctrl+", "shift+", "alt+", "super+", "meta+", "hyper+")
NAMED = frozenset(key.value for key in Keys) | frozenset(KEY_NAME_REPLACEMENTS.values())


def keymap(wanted: Mapping[str, object]) -> tuple[dict[str, str], list[str]]:
    """Keys by id as Textual takes them, and a sentence about each that cannot be had; those keep their own keys."""
    given: dict[str, list[str]] = {}
    problems = []
    known = {binding.id for binding in KEYS if binding.id}
    for name, value in wanted.items():
        try:
            if name not in known:
                raise ValueError(_unknown(name, known))
            given[name] = _spelled(name, value)
        except ValueError as error:
            problems.append(str(error))
    while clash := _clash(given):
        key, loser, winner = clash
        del given[loser]
        problems.append(f"{format_key(key)} cannot be the key of {loser}: it is that of {winner}")
    return {name: ",".join(keys) for name, keys in given.items()}, problems


def bound(mapped: Mapping[str, str]) -> Iterator[Binding]:
    """The bindings as they are then."""
    for binding in KEYS:
        keys = mapped.get(binding.id or "")
        yield binding if keys is None else binding.with_key(keys, None)


def shown(binding: Binding) -> str:
    """Its keys, as a person calls them."""
    return " ".join(map(format_key, _parts(binding.key)))


def shown_by_id(mapped: Mapping[str, str]) -> dict[str, str]:
    return {binding.id: shown(binding) for binding in bound(mapped) if binding.id}


def _parts(keys: str) -> list[str]:
    return [part.strip() for part in keys.split(",")]


def _unknown(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, list(known), 1)
    return f"no key has the id {name!r}" + (f": perhaps {close[0]}" if close else ": `remdm-tui list keys` has them")


def _spelled(name: str, value: object) -> list[str]:
    """The keys that a text names; raises ValueError for one that is none."""
    if not isinstance(value, str):
        raise ValueError(f'the key of {name} is a text such as "space,x", not {value!r:.40}')
    # a comma separates keys, and is one where it stands alone
    keys = ["comma" if value.strip() == "," else _named(name, key) for key in _parts(value)]
    for key in keys:
        if key in TAKEN:
            raise ValueError(f"{key} cannot be the key of {name}: it is that of {TAKEN[key]}")
    return list(dict.fromkeys(keys))


def _named(name: str, key: str) -> str:
    if len(key) == 1:
        if not key.isprintable():
            raise ValueError(f"the key of {name} is no key that can be pressed")
        if key.isalnum():
            return key
        long = unicodedata.name(key, key).lower().replace("-", "_").replace(" ", "_")
        return KEY_NAME_REPLACEMENTS.get(long, long)
    plain = key
    while plain.startswith(MODIFIERS):
        plain = plain.partition("+")[2]
    if len(plain) == 1 or key in NAMED or plain in NAMED or _is_character(plain):
        return key
    raise ValueError(f"the key of {name}, {key!r:.40}, is no key's name")


def _is_character(name: str) -> bool:
    try:
        unicodedata.lookup(name.replace("_", " "))
    except KeyError:
        return False
    return True


def _clash(given: Mapping[str, list[str]]) -> tuple[str, str, str] | None:
    """A key that two have: the key, who is to give it up, and whose it is."""
    owners: dict[str, str] = {}
    # who has kept their own keys comes first, then in the order given
    own = {binding.id: _parts(binding.key) for binding in KEYS if binding.id and binding.id not in given}
    for name, keys in [*own.items(), *given.items()]:
        for key in keys:
            if key in owners:
                return key, name, owners[key]
            owners[key] = name
    return None
