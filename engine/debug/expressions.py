"""Small conditions over a frame's fields, read from text: `remasked > 8 and t < .3`, `any(held < .1)`.

The text is parsed and every node is looked up in a table; nothing of it is ever run as Python.  Values are float64
arrays of a whole batch, [B, 1] for a sample and [B, L] for its positions, which any, all, count, min, max, mean and sum
bring down to a sample.  A comparison with a missing number (`held` where masked) is false.
"""

from __future__ import annotations

import ast
import math
import operator
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.debug.fields import CONSTANTS, FIELDS, Values
from engine.records import Frame
from engine.text.characters import Characters

LONGEST = 400
"""characters"""
DEEPEST = 24
"""levels of brackets and operators"""
LARGEST = 1e15
"""of numbers written down"""
HIGHEST_POWER = 16

ReadValues = Callable[[Frame], Values]


@dataclass(frozen=True)
class Operand:
    """A part of an expression: how it is computed, and its kind."""

    read: ReadValues
    wide: bool = False
    truth: bool = False
    text: str | None = None
    """the text itself, where the part is one in quotes"""
    field: str | None = None
    """the field's name, where the part is nothing else"""


@dataclass(frozen=True, eq=False)
class Expression:
    """A parsed expression; `truth` says whether it is a condition or a number to watch."""

    text: str
    truth: bool
    names: frozenset[str]
    """the fields that it reads"""
    read: ReadValues

    @property
    def event(self) -> bool:
        """Return whether it describes single steps, not a state that lasts."""
        return any(FIELDS[name].event for name in self.names)

    def values(self, frame: Frame) -> Values:
        """Return the value for each sample, [B]: bool of a condition, else float64."""
        with np.errstate(all="ignore"):
            value = np.asarray(self.read(frame))
        return np.broadcast_to(value, (len(frame.tokens), 1))[:, 0]


def parse_expression(text: str, pieces: Sequence[str] = (), characters: Characters | None = None) -> Expression:
    """Return an expression from its text; pieces[i] is the text of token i.  Raises ValueError with the offending part.

    characters: where some tokens hold a part of one.
    """
    if len(text) > LONGEST:
        raise ValueError(f"an expression has at most {LONGEST} characters, not {len(text)}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        at = f" at {error.text.strip()[(error.offset or 1) - 1 :][:20]!r}" if error.text else ""
        raise ValueError(f"the expression {text!r} cannot be read{at}: {error.msg}") from None
    except (ValueError, MemoryError, RecursionError):
        raise ValueError(f"the expression {text[:40]!r} cannot be read: write one such as remasked > 8") from None
    parser = _Parser(text.strip(), pieces, characters)
    part = parser.part(tree, 0)
    if part.text is not None:
        raise ValueError(f"{part.text!r} is not a condition: write token == {part.text!r}")
    if part.wide:
        raise ValueError(f"{text.strip()!r} has a value for each position: put it into any(), all(), count() or min()")
    return Expression(text.strip(), part.truth, frozenset(parser.names), part.read)


class _Parser:
    """Walks one tree; `names` collects the fields that are read."""

    def __init__(self, text: str, pieces: Sequence[str], characters: Characters | None) -> None:
        self.text, self.pieces, self.characters = text, pieces, characters
        self.names: set[str] = set()

    def part(self, node: ast.AST, depth: int) -> Operand:
        if depth > DEEPEST:
            raise ValueError(f"the expression is nested more than {DEEPEST} deep: write it in parts")
        if type(node) not in NODES:
            raise ValueError(f"{self.source_of(node)} is not understood: {ALLOWED}")
        return NODES[type(node)](self, node, depth + 1)

    def source_of(self, node: ast.AST) -> str:
        """Return the piece of the text that a node was read from."""
        piece = ast.get_source_segment(self.text, node) if isinstance(node, ast.expr) else None
        return repr(piece if piece is None or len(piece) <= 40 else piece[:39] + "…") if piece else "this"

    def number(self, node: ast.expr, depth: int) -> Operand:
        """Return a part that must be a number."""
        part = self.part(node, depth)
        if part.truth or part.text is not None:
            kind = "text" if part.text is not None else "true or false"
            raise ValueError(f"{self.source_of(node)} is {kind} where a number is needed")
        return part

    def condition(self, node: ast.expr, depth: int) -> Operand:
        """Return a part that must be true or false."""
        part = self.part(node, depth)
        if not part.truth:
            raise ValueError(
                f"{self.source_of(node)} is not a condition: compare it with something, as in remasked > 8"
            )
        return part


def _constant(parser: _Parser, node: ast.Constant, depth: int) -> Operand:
    value = node.value
    if isinstance(value, str):
        return Operand(lambda frame: np.zeros((1, 1)), text=value)
    if isinstance(value, bool):
        return Operand(lambda frame: np.full((1, 1), value), truth=True)
    if not isinstance(value, int | float):
        raise ValueError(f"{parser.source_of(node)} is neither a number nor text in quotes")
    if not abs(value) <= LARGEST:
        raise ValueError(f"{parser.source_of(node)} is too large: numbers go up to {LARGEST:g}")
    number = np.full((1, 1), float(value))
    return Operand(lambda frame: number)


def _name(parser: _Parser, node: ast.Name, depth: int) -> Operand:
    if node.id in CONSTANTS:
        code = np.full((1, 1), CONSTANTS[node.id])
        return Operand(lambda frame: code)
    if node.id in FUNCTIONS:
        raise ValueError(f"{node.id} is a function: write {node.id}(...)")
    if node.id not in FIELDS:
        raise ValueError(f"unknown name {node.id!r}: the names are {', '.join((*FIELDS, *CONSTANTS))}")
    parser.names.add(node.id)
    field = FIELDS[node.id]
    if field.truth:
        return Operand(field.read, field.wide, truth=True)
    return Operand(lambda frame: field.read(frame).astype(np.float64, copy=False), field.wide, field=node.id)


def _unary(parser: _Parser, node: ast.UnaryOp, depth: int) -> Operand:
    if isinstance(node.op, ast.Not):
        inner = parser.condition(node.operand, depth)
        return Operand(lambda frame: np.logical_not(inner.read(frame)), inner.wide, truth=True)
    if type(node.op) not in SIGNS:
        raise ValueError(f"the operator of {parser.source_of(node)} is not understood: {ALLOWED}")
    sign, inner = SIGNS[type(node.op)], parser.number(node.operand, depth)
    return Operand(lambda frame: sign * inner.read(frame), inner.wide)


def _binary(parser: _Parser, node: ast.BinOp, depth: int) -> Operand:
    if type(node.op) not in ARITHMETIC:
        raise ValueError(f"the operator of {parser.source_of(node)} is not understood: {ALLOWED}")
    if isinstance(node.op, ast.Pow):
        power = node.right
        small = isinstance(power, ast.Constant) and isinstance(power.value, int | float)
        if not small or not 0 <= power.value <= HIGHEST_POWER:  # type: ignore[attr-defined]
            raise ValueError(f"the power in {parser.source_of(node)} must be a number from 0 to {HIGHEST_POWER}")
    act = ARITHMETIC[type(node.op)]
    left, right = parser.number(node.left, depth), parser.number(node.right, depth)
    return Operand(lambda frame: act(left.read(frame), right.read(frame)), left.wide or right.wide)


def _joined(parser: _Parser, node: ast.BoolOp, depth: int) -> Operand:
    join = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
    parts = [parser.condition(value, depth) for value in node.values]
    wide = any(part.wide for part in parts)
    return Operand(lambda frame: reduce(join, (part.read(frame) for part in parts)), wide, truth=True)


def _compared(parser: _Parser, node: ast.Compare, depth: int) -> Operand:
    operands = [node.left, *node.comparators]
    links = [_link(parser, node, operands[i : i + 2], relation, depth) for i, relation in enumerate(node.ops)]
    wide = any(link.wide for link in links)
    return Operand(lambda frame: reduce(np.logical_and, (link.read(frame) for link in links)), wide, truth=True)


def _link(parser: _Parser, node: ast.Compare, pair: list[ast.expr], relation: ast.cmpop, depth: int) -> Operand:
    """Return one `a < b` of a chain."""
    if type(relation) not in RELATIONS:
        raise ValueError(f"the comparison in {parser.source_of(node)} is not understood: {ALLOWED}")
    act = RELATIONS[type(relation)]
    left, right = (parser.part(side, depth) for side in pair)
    if left.text is not None or right.text is not None:
        return _spelled(parser, node, left, right, relation)
    for side, part in zip(pair, (left, right)):
        if part.truth:
            raise ValueError(f"{parser.source_of(side)} is true or false: join conditions with and, or, not")
    return Operand(lambda frame: _true(act, left.read(frame), right.read(frame)), left.wide or right.wide, truth=True)


def _true(act: Callable[[Values, Values], Values], a: Values, b: Values) -> Values:
    """Return a comparison that no missing number fulfils, not even with !=."""
    return np.asarray(act(a, b)) & (a == a) & (b == b)


def _spelled(parser: _Parser, node: ast.Compare, left: Operand, right: Operand, relation: ast.cmpop) -> Operand:
    """Return `token == " the"`, by the set of tokens with that text."""
    text, other = (left.text, right) if left.text is not None else (right.text, left)
    if other.field != "token" or not isinstance(relation, ast.Eq | ast.NotEq):
        raise ValueError(f"text in {parser.source_of(node)} can only be compared with token, by == or !=")
    ids = np.array([i for i, piece in enumerate(parser.pieces) if piece == text], np.int64)
    same = isinstance(relation, ast.Eq)
    characters, spelling = parser.characters, text or ""
    if characters is not None and characters.spell(spelling.strip()):
        return Operand(lambda frame: _whole(characters, frame, spelling, ids) == same, wide=True, truth=True)
    if len(ids) == 0:
        raise ValueError(f"no token is spelled {text!r}: spaces count, and token /{text}/ looks for a part of one")
    return Operand(lambda frame: np.isin(frame.tokens, ids, invert=not same), wide=True, truth=True)


def _whole(characters: Characters, frame: Frame, text: str, ids: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return where a character is one of these tokens, or several, [B, L]."""
    return np.isin(frame.tokens, ids) | characters.where(frame.tokens, lambda shown: shown == text)


def _called(parser: _Parser, node: ast.Call, depth: int) -> Operand:
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    if name not in FUNCTIONS:
        raise ValueError(f"{parser.source_of(node.func)} cannot be called: the functions are {', '.join(FUNCTIONS)}")
    if len(node.args) != 1 or node.keywords or isinstance(node.args[0], ast.Starred):
        raise ValueError(f"{name} takes one thing, what it looks at in every position: {name}({SAMPLES[name]})")
    function = FUNCTIONS[name]
    inner = (parser.condition if function.of_truth else parser.number)(node.args[0], depth)
    if not inner.wide:
        raise ValueError(f"{parser.source_of(node.args[0])} is the same at every position: {name}({SAMPLES[name]})")
    return Operand(lambda frame: function.act(inner.read(frame)), truth=function.to_truth)


@dataclass(frozen=True)
class _Function:
    """A reduction from [B, L] to [B, 1]."""

    act: Callable[[Values], Values]
    of_truth: bool
    to_truth: bool = False


def _over(act: Callable[..., Any]) -> Callable[[Values], NDArray[np.float64]]:
    """Return `act` over the numbers that are not nan; nan if all are nan."""

    def reduced(values: Values) -> NDArray[np.float64]:
        there = ~np.isnan(values)
        return np.where(there.any(-1, keepdims=True), act(values, there), math.nan)

    return reduced


FUNCTIONS: dict[str, _Function] = {
    "any": _Function(lambda x: np.any(x, -1, keepdims=True), True, True),
    "all": _Function(lambda x: np.all(x, -1, keepdims=True), True, True),
    "count": _Function(lambda x: x.sum(-1, keepdims=True, dtype=np.float64), True),
    "min": _Function(_over(lambda x, there: x.min(-1, keepdims=True, where=there, initial=math.inf)), False),
    "max": _Function(_over(lambda x, there: x.max(-1, keepdims=True, where=there, initial=-math.inf)), False),
    "mean": _Function(lambda x: np.nansum(x, -1, keepdims=True) / (~np.isnan(x)).sum(-1, keepdims=True), False),
    "sum": _Function(lambda x: np.nansum(x, -1, keepdims=True), False),
}
SAMPLES = {name: "held < .1" if function.of_truth else "held" for name, function in FUNCTIONS.items()}
SIGNS: dict[type[ast.AST], int] = {ast.USub: -1, ast.UAdd: 1}
ARITHMETIC: dict[type[ast.AST], Callable[[Values, Values], Values]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.true_divide,
    ast.FloorDiv: np.floor_divide,
    ast.Mod: np.mod,
    ast.Pow: np.float_power,
}
RELATIONS: dict[type[ast.AST], Callable[[Values, Values], Values]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
NODES: dict[type[ast.AST], Callable[[_Parser, Any, int], Operand]] = {
    ast.Constant: _constant,
    ast.Name: _name,
    ast.UnaryOp: _unary,
    ast.BinOp: _binary,
    ast.BoolOp: _joined,
    ast.Compare: _compared,
    ast.Call: _called,
}
ALLOWED = (
    "an expression has numbers, names, comparisons, + - * / // % **, and or not, and "
    + ", ".join(f"{name}()" for name in FUNCTIONS)
)  # fmt: skip
