"""What pickles are turned into: plain containers, and stubs for everything else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.models.files.mapped import LazyTensor, printable

Rebuild = Callable[["tuple[Any, ...]"], object]


class Refused(ValueError):
    """A pickle with content that no checkpoint needs; the message is for the file's owner."""


class Stub:
    """A class, function or object of the file, which stays what the file says of it."""

    __slots__ = ("args", "entries", "items", "module", "name", "state")

    def __init__(self, module: str, name: str, args: tuple[object, ...] | None = None) -> None:
        self.module, self.name = module, name
        self.args = args
        """what it was to be called with; None for the class or function itself"""
        self.state: object = None
        self.items: list[object] = []
        self.entries: list[tuple[object, object]] = []

    @property
    def path(self) -> str:
        return f"{self.module}.{self.name}"

    def __repr__(self) -> str:
        return f"<inert {printable(self.path)}>"


KEYS = (str, bytes, bool, float, type(None), Stub, LazyTensor)


def key_of(value: Any) -> Any:
    """Return the value as a dictionary's key: one whose hash is cheap and cannot be chosen to collide."""
    if type(value) is tuple and len(value) <= 8:
        for part in value:  # flat: a tuple's hash is that of all that it holds
            key_of([] if type(part) is tuple else part)
    elif type(value) is int:
        if abs(value) >> 60:
            raise Refused("the pickle has a key of more than 60 bits")
    elif not isinstance(value, KEYS):
        raise Refused(f"the pickle has a {type(value).__name__} as a key")
    return value


def put(container: Any, pairs: list[Any]) -> None:
    if len(pairs) % 2:
        raise Refused("the pickle sets a key without a value")
    if type(container) is Stub:
        container.entries.extend(zip(pairs[::2], pairs[1::2]))
    elif type(container) is dict:
        for key, value in zip(pairs[::2], pairs[1::2]):
            container[key_of(key)] = value
    else:
        raise Refused("the pickle sets items of something that is not a dictionary")


def extend(container: Any, items: list[Any]) -> None:
    if type(container) is Stub:
        container.items.extend(items)
    elif type(container) is list:
        container.extend(items)
    elif type(container) is set:
        container.update(map(key_of, items))
    else:
        raise Refused("the pickle appends to something that is not a list")


def build(container: Any, state: object) -> None:
    """Set attributes on stubs alone: a plain value has none that matter."""
    if type(container) is Stub:
        container.state = state


def _pairs(args: tuple[Any, ...]) -> dict[Any, Any]:
    made: dict[Any, Any] = {}
    for key, value in args[0] if args else ():
        made[key_of(key)] = value
    return made


def _latin1(args: tuple[Any, ...]) -> bytes:
    """Return bytes as protocol 2 writes them: a text and the name of its encoding."""
    text, encoding = args
    if encoding not in ("latin1", "latin-1"):
        raise Refused(f"the pickle encodes bytes as {printable(encoding)}")
    return str(text).encode("latin-1")


def _no_bytes(args: tuple[Any, ...]) -> bytes:
    """Return bytes of length 0 as protocol 2 writes them; it has no other use of this name."""
    if args:
        raise Refused("the pickle makes bytes out of what it does not hold")
    return b""


PLAIN: dict[str, Rebuild] = {
    "collections.OrderedDict": _pairs,
    "collections.defaultdict": lambda args: {},
    **{f"{home}.set": lambda args: {key_of(item) for item in args[0]} for home in ("builtins", "__builtin__")},
    **{f"{home}.frozenset": lambda args: frozenset(map(key_of, args[0])) for home in ("builtins", "__builtin__")},
    **{f"{home}.bytes": _no_bytes for home in ("builtins", "__builtin__")},
    "_codecs.encode": _latin1,
    "torch.Size": lambda args: tuple(args[0]),
}
"""Globals of plain containers, by what they make of their arguments."""
