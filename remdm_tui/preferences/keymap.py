"""Check the keys of `config.toml` against the bindings of the main screen.  Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from difflib import get_close_matches

from textual.binding import Binding
from textual.keys import KEY_NAME_REPLACEMENTS, Keys, format_key

RESERVED_KEYS = {"ctrl+p": "the command palette", "ctrl+q": "quitting", "ctrl+c": "copying"}
"""Keys that every screen has."""
ALIASES = {
    "stops": "breakpoints",
    "opinion": "prediction",
    "force": "set-token",
    "parting": "first-difference",
    "heat": "colour",
    "mark": "bookmark",
    "mark-next": "bookmark-next",
    "mark-previous": "bookmark-previous",
}
"""Ids that bindings had in earlier versions, and their ids now."""
MODIFIERS = ("ctrl+", "shift+", "alt+", "super+", "meta+", "hyper+")
NAMED = frozenset(key.value for key in Keys) | frozenset(KEY_NAME_REPLACEMENTS.values())


@dataclass(frozen=True)
class PanelBinding(Binding):
    """A key that works while one panel has the focus; there it comes before a key of the whole screen."""

    panel: str = ""

    @classmethod
    def of(cls, binding: Binding, panel: str, action: str) -> PanelBinding:
        """Return a panel's binding for lists of keys; `action` is the screen's way to do the same."""
        values = {one.name: getattr(binding, one.name) for one in fields(Binding)}
        return cls(**{**values, "action": action}, panel=panel)


@dataclass(frozen=True)
class KeyTable:
    """The keys of the main screen as configured."""

    bindings: tuple[Binding, ...] = ()
    """as they are declared; each has an id"""
    mapped: Mapping[str, str] = field(default_factory=dict)
    """other keys by id, as Textual takes them"""
    ascii_only: bool = False
    """whether keys are shown as words instead of arrows"""

    def bound(self) -> Iterator[Binding]:
        """Yield the bindings with the keys that they have now."""
        for binding in self.bindings:
            keys = self.mapped.get(binding.id or "")
            yield binding if keys is None else binding.with_key(keys, None)

    def shown(self) -> dict[str, str]:
        """Return readable keys by id."""
        return {binding.id: self.readable(binding) for binding in self.bound() if binding.id}

    def first_keys(self) -> dict[str, str]:
        """Return the first key of each id, readable: the one that a message names."""
        return {
            binding.id: readable_key(_parts(binding.key)[0], self.ascii_only) for binding in self.bound() if binding.id
        }

    def readable(self, binding: Binding) -> str:
        """Return the keys of a binding in readable form."""
        return readable_keys(binding, self.ascii_only)


def keymap(chosen: Mapping[str, object], bindings: Sequence[Binding]) -> tuple[dict[str, str], list[str]]:
    """Return keys by id in Textual's form, and one sentence for each that is refused.

    A binding whose keys are refused keeps its own.
    """
    given: dict[str, list[str]] = {}
    problems = []
    known = {binding.id for binding in bindings if binding.id}
    for written, value in chosen.items():
        name = ALIASES.get(written, written)
        try:
            if name not in known:
                raise ValueError(_unknown(name, known))
            if name in given:
                raise ValueError(f"{written} is an older id of {name}, whose key is set already")
            given[name] = _spelled(written, value)
        except ValueError as error:
            problems.append(str(error))
    while clash := _clash(given, bindings):
        key, loser, winner = clash
        del given[loser]
        problems.append(f"{format_key(key)} cannot be the key of {loser}: {winner} has it")
    return {name: ",".join(keys) for name, keys in given.items()}, problems


def readable_keys(binding: Binding, ascii_only: bool = False) -> str:
    """Return the keys of a binding in readable form."""
    return " ".join(readable_key(key, ascii_only) for key in _parts(binding.key))


def readable_key(key: str, ascii_only: bool = False) -> str:
    """Return a key as the screen shows it; ascii_only: `right` for an arrow, `U+00E9` for a letter."""
    shown = format_key(key)
    if not ascii_only or shown.isascii():
        return shown
    return key if key.isascii() else "".join(c if c.isascii() else f"U+{ord(c):04X}" for c in key)


def _parts(keys: str) -> list[str]:
    return [part.strip() for part in keys.split(",")]


def _unknown(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, list(known), 1)
    return f"no key has the id {name!r}" + (f": perhaps {close[0]}" if close else ": `remdm-tui list keys` has them")


def _spelled(name: str, value: object) -> list[str]:
    """Return the keys that a text names.  Raises ValueError for one that is no key."""
    if not isinstance(value, str):
        raise ValueError(f'the key of {name} must be a text such as "space,x", not {value!r:.40}')
    # a comma separates keys, and is one where it stands alone
    keys = ["comma" if value.strip() == "," else _named(name, key) for key in _parts(value)]
    for key in keys:
        if key in RESERVED_KEYS:
            raise ValueError(f"{key} cannot be the key of {name}: it is reserved for {RESERVED_KEYS[key]}")
    return list(dict.fromkeys(keys))


def _named(name: str, key: str) -> str:
    if len(key) == 1:
        if not key.isprintable():
            raise ValueError(f"the key of {name} is not a key")
        if key.isalnum():
            return key
        long = unicodedata.name(key, key).lower().replace("-", "_").replace(" ", "_")
        return KEY_NAME_REPLACEMENTS.get(long, long)
    plain = key
    while plain.startswith(MODIFIERS):
        plain = plain.partition("+")[2]
    if len(plain) == 1 or key in NAMED or plain in NAMED or _is_character(plain):
        return key
    raise ValueError(f"the key of {name}: no key is called {key!r:.40}")


def _is_character(name: str) -> bool:
    try:
        unicodedata.lookup(name.replace("_", " "))
    except KeyError:
        return False
    return True


def _clash(given: Mapping[str, list[str]], bindings: Sequence[Binding]) -> tuple[str, str, str] | None:
    """Return a key that two bindings have, the id that gives it up and the id that has it; None: no key is doubled.

    A panel's key may be one of the screen's too.
    """
    owners: dict[tuple[str, str], str] = {}
    panels = {binding.id: binding.panel for binding in bindings if isinstance(binding, PanelBinding)}
    # bindings with their own keys come first, then those given, in their order
    own = {binding.id: _parts(binding.key) for binding in bindings if binding.id and binding.id not in given}
    for name, keys in [*own.items(), *given.items()]:
        for key in keys:
            place = panels.get(name, ""), key
            if place in owners:
                return key, name, owners[place]
            owners[place] = name
    return None
