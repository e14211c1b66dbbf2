"""Puzzles of Countdown by number and seed, and an exact judge of their solutions."""

from __future__ import annotations

import ast
import operator
import random
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

NUMBERS = (1, 99)
TARGETS = (10, 100)
"""The least and greatest number of a puzzle, and the least and greatest to make."""
LONGEST = 200
"""Characters of a solution."""
OPERATIONS: dict[str, Any] = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}
OF_NODE: dict[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}


@dataclass(frozen=True)
class CountdownPuzzle:
    """Numbers from which a target is made, each used once."""

    numbers: tuple[int, ...]
    target: int
    solution: str
    """one of its solutions"""


def puzzle(number: int, count: int, seed: int) -> CountdownPuzzle:
    """Return a puzzle of `count` numbers, which has a solution; equal arguments give equal puzzles."""
    draw = random.Random(f"countdown {seed} {count} {number}")
    while True:
        numbers = tuple(draw.randint(*NUMBERS) for _ in range(count))
        value, solution = _combined(draw, numbers)
        if value is not None and value.denominator == 1 and TARGETS[0] <= value <= TARGETS[1] and value not in numbers:
            return CountdownPuzzle(numbers, int(value), solution.removeprefix("(").removesuffix(")"))


def _combined(draw: random.Random, numbers: tuple[int, ...]) -> tuple[Fraction | None, str]:
    """Return the value of the numbers put together at random, None where it is none, and how."""
    parts = [(Fraction(number), str(number)) for number in numbers]
    while len(parts) > 1:
        first, second = (parts.pop(draw.randrange(len(parts))) for _ in range(2))
        name = draw.choice(list(OPERATIONS))
        if name == "/" and second[0] == 0:
            return None, ""
        parts.append((OPERATIONS[name](first[0], second[0]), f"({first[1]} {name} {second[1]})"))
    return parts[0]


def is_solution(text: str, numbers: list[int] | tuple[int, ...], target: int) -> bool:
    """Return whether a text is an expression of exactly these numbers, each used once, that is the target."""
    try:
        tree = ast.parse(text.strip()[: LONGEST + 1], mode="eval").body if len(text.strip()) <= LONGEST else None
        return tree is not None and sorted(_used(tree)) == sorted(numbers) and _value(tree) == target
    except (SyntaxError, ValueError, ZeroDivisionError, RecursionError, MemoryError):
        return False


def _used(node: ast.AST) -> Iterator[int]:
    """Yield the numbers of an expression.  Raises ValueError for anything but numbers and the four operations."""
    match node:
        case ast.BinOp(left, operation, right) if type(operation) in OF_NODE:
            yield from _used(left)
            yield from _used(right)
        case ast.Constant(value) if type(value) is int:
            yield value
        case _:
            raise ValueError("not an expression of numbers")


def _value(node: ast.AST) -> Fraction:
    match node:
        case ast.BinOp(left, operation, right):
            found: Fraction = OPERATIONS[OF_NODE[type(operation)]](_value(left), _value(right))
            return found
        case ast.Constant(int(value)):
            return Fraction(value)
    raise ValueError("not an expression of numbers")
