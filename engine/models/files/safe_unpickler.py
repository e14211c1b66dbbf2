"""A reader of pickles that makes plain values and nothing else.

A pickle is a program for a small stack machine.  This one runs it without ever importing a name or calling
what a name means: every global is a `Stub` that remembers how the file uses it, except for the
few that the caller gives a meaning.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Mapping, Sized
from typing import Any, BinaryIO, TypeVar
from warnings import catch_warnings, simplefilter

from engine.models.files.containers import PLAIN, Rebuild, Refused, Stub, build, extend, key_of, put
from engine.models.files.mapped import printable

MEMORY = 1 << 27
"""Bytes that the values of one pickle may take, roughly counted: far more than a checkpoint's structure needs."""
OPCODE, OBJECT, ITEM = 96, 256, 16
"""What an opcode, an object and an item of a copy are counted as."""

T = TypeVar("T")


class SafeUnpickler:
    """Runs pickles; `load` may be called for several that follow one another."""

    def __init__(self, rebuild: Mapping[str, Rebuild], persistent: Callable[[object], object]) -> None:
        """Read a pickle.  rebuild: what calling a global of that dotted name gives.  persistent: the object of a
        persistent id.
        """
        self.rebuild = {**PLAIN, **rebuild}
        self.persistent = persistent
        self.left = MEMORY

    def load(self, stream: BinaryIO) -> Any:
        """Return the value of the pickle at the stream's place.

        Raises Refused for one that is damaged or too large.
        """
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        name = "PROTO"
        try:
            with catch_warnings():
                simplefilter("ignore")  # over escapes in the file's texts
                for opcode, argument, _ in pickletools.genops(stream):
                    name = opcode.name
                    self.spend(OPCODE)
                    OPCODES[name](self, argument)
            return self.stack.pop()
        except Refused as error:
            raise Refused(f"{error}{self._near()}") from error
        except (IndexError, KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise Refused(f"the pickle is damaged or cut off at its {name}{self._near()}") from error

    def spend(self, amount: int) -> None:
        self.left -= amount
        if self.left < 0:
            raise Refused(f"the pickle makes more than {MEMORY >> 20} MiB of objects")

    def made(self, value: T, size: int = 0) -> T:
        """Return a new object and count its items."""
        self.spend(OBJECT + ITEM * size)
        return value

    def pop_mark(self) -> list[Any]:
        """Return what was pushed since the last mark."""
        items = self.stack
        self.stack = self.below.pop()
        return items

    def call(self, function: object, args: object) -> object:
        if type(function) is not Stub or type(args) is not tuple:
            raise Refused("the pickle calls something that is not a function")
        known = self.rebuild.get(function.path) if function.args is None else None
        if known is None:
            return self.made(Stub(function.module, function.name, args))
        self.spend(OBJECT + sum(ITEM * len(arg) for arg in args if isinstance(arg, Sized)))
        return known(args)

    def _near(self) -> str:
        """Return the last name before the place where the machine stopped: most often the tensor's."""
        for stack in (self.stack, *reversed(self.below)):
            for value in reversed(stack):
                if type(value) is str:
                    return f" (at {printable(value)})"
        return ""


def _value(m: SafeUnpickler, value: Any) -> None:
    if isinstance(value, str | bytes | bytearray):
        m.spend(4 * len(value))
    elif isinstance(value, int) and value.bit_length() > 1 << 11:
        raise Refused("the pickle has a number of more than 2048 bits")
    m.stack.append(value)


def _top(make: Callable[[SafeUnpickler], object]) -> Callable[[SafeUnpickler, Any], None]:
    def opcode(m: SafeUnpickler, _: Any) -> None:
        value = m.made(make(m))  # first, since it may take the stack away
        m.stack.append(value)

    return opcode


def _tuple(count: int) -> Callable[[SafeUnpickler, Any], None]:
    def opcode(m: SafeUnpickler, _: Any) -> None:
        # checked, since a slice of too short a stack would be silently shorter
        items = [m.stack.pop() for _ in range(count)]
        m.stack.append(m.made(tuple(reversed(items))))

    return opcode


def _called(m: SafeUnpickler, _: Any) -> None:
    args = m.stack.pop()
    m.stack.append(m.call(m.stack.pop(), args))


def _called_with_names(m: SafeUnpickler, _: Any) -> None:
    m.stack.pop()
    _called(m, None)


def _object(m: SafeUnpickler, _: Any) -> None:
    function, *args = m.pop_mark()
    m.stack.append(m.call(function, tuple(args)))


def _instance(m: SafeUnpickler, names: str) -> None:
    args = tuple(m.pop_mark())
    m.stack.append(m.call(_global(names), args))


def _global(names: str) -> Stub:
    module, _, name = names.partition(" ")
    return Stub(module, name)


def _named_by_stack(m: SafeUnpickler) -> Stub:
    name, module = m.stack.pop(), m.stack.pop()
    if type(name) is not str or type(module) is not str:
        raise Refused("the pickle names a global by something that is not text")
    return Stub(module, name)


def _dict(m: SafeUnpickler) -> dict[Any, Any]:
    made: dict[Any, Any] = {}
    put(made, m.pop_mark())
    return made


def _mark(m: SafeUnpickler, _: Any) -> None:
    m.below.append(m.stack)
    m.stack = m.made([])


def _pop(m: SafeUnpickler, _: Any) -> None:
    if m.stack:
        m.stack.pop()
    else:
        m.pop_mark()


def _remember(m: SafeUnpickler, place: int | None) -> None:
    m.spend(2 * ITEM)
    m.memo[len(m.memo) if place is None else place] = m.stack[-1]


def _one(act: Callable[[Any, Any], None]) -> Callable[[SafeUnpickler, Any], None]:
    def opcode(m: SafeUnpickler, _: Any) -> None:
        value = m.stack.pop()
        act(m.stack[-1], value)

    return opcode


def _many(act: Callable[[Any, list[Any]], None]) -> Callable[[SafeUnpickler, Any], None]:
    def opcode(m: SafeUnpickler, _: Any) -> None:
        values = m.pop_mark()
        act(m.stack[-1], values)

    return opcode


def _set_item(m: SafeUnpickler, _: Any) -> None:
    value, key = m.stack.pop(), m.stack.pop()
    put(m.stack[-1], [key, value])


def _refused(m: SafeUnpickler, _: Any) -> None:
    raise Refused("the pickle uses extension codes, textual persistent ids or foreign buffers, as no checkpoint does")


VALUES = (
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING UNICODE "
    "SHORT_BINUNICODE BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8"
)
OPCODES: dict[str, Callable[[SafeUnpickler, Any], None]] = {
    **dict.fromkeys(VALUES.split(), _value),
    **dict.fromkeys(("EXT1", "EXT2", "EXT4", "PERSID", "NEXT_BUFFER", "READONLY_BUFFER"), _refused),
    **dict.fromkeys(("PROTO", "FRAME", "STOP"), lambda m, _: None),
    "NONE": lambda m, _: m.stack.append(None),
    "NEWTRUE": lambda m, _: m.stack.append(True),
    "NEWFALSE": lambda m, _: m.stack.append(False),
    "EMPTY_LIST": _top(lambda m: []),
    "EMPTY_DICT": _top(lambda m: {}),
    "EMPTY_SET": _top(lambda m: set()),
    "EMPTY_TUPLE": _top(lambda m: ()),
    "LIST": _top(lambda m: m.pop_mark()),
    "DICT": _top(_dict),
    "FROZENSET": _top(lambda m: frozenset(map(key_of, m.pop_mark()))),
    "TUPLE": _top(lambda m: tuple(m.pop_mark())),
    "TUPLE1": _tuple(1),
    "TUPLE2": _tuple(2),
    "TUPLE3": _tuple(3),
    "MARK": _mark,
    "POP": _pop,
    "POP_MARK": lambda m, _: m.pop_mark().clear(),
    "DUP": lambda m, _: m.stack.append(m.stack[-1]),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), lambda m, place: m.stack.append(m.memo[place])),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), _remember),
    "APPEND": _one(lambda container, value: extend(container, [value])),
    "APPENDS": _many(extend),
    "ADDITEMS": _many(extend),
    "SETITEM": _set_item,
    "SETITEMS": _many(put),
    "BUILD": _one(build),
    "GLOBAL": lambda m, names: m.stack.append(m.made(_global(names))),
    "STACK_GLOBAL": _top(_named_by_stack),
    "INST": _instance,
    "OBJ": _object,
    "REDUCE": _called,
    "NEWOBJ": _called,
    "NEWOBJ_EX": _called_with_names,
    "BINPERSID": lambda m, _: m.stack.append(m.persistent(m.stack.pop())),
}
