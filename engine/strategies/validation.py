"""Check strategies of other packages and files, when they are found and at every step."""

from __future__ import annotations

import dataclasses
import re
import traceback
from collections.abc import Callable, Collection, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from engine.strategies.base import OwnMemory, Plan, Prediction, Strategy, View, knobs
from engine.strategies.words import OLDER_READS, QUOTAS, READS
from engine.system.foreign import Interrupted, distinguish_interrupts

if TYPE_CHECKING:
    from torch import Tensor

MOST_UNIFORMS = 4096
"""At one position in one step."""
NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")


class StrategyError(Exception):
    """A strategy of a file or a package is wrong or has failed; `detail` is its own part of the traceback."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.detail = detail or reason


def strategy_error(error: BaseException, path: str) -> StrategyError:
    """Return an error of other people's code with only the file's part of its traceback."""
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    last = traceback.format_exception_only(error)
    lines = ["Traceback (most recent call last):\n", *traceback.format_list(own), *last] if own else last
    where = f"line {own[-1].lineno}: " if own else ""
    message = str(error).partition("\n")[0]
    return StrategyError(f"{where}{type(error).__name__}{': ' if message else ''}{message}", "".join(lines))


def validate_class(kind: type[Strategy], name: str, path: str, taken: Collection[str]) -> type[Strategy]:
    """Validate a strategy class and return it; its methods check their results from now on.

    name: its name where it gives itself none; path: the file whose part of a traceback is shown; taken: names of
    others.  Raises StrategyError with what would be valid.
    """
    title = kind.__name__
    if "__dataclass_params__" not in vars(kind) or not vars(kind)["__dataclass_params__"].frozen:
        raise StrategyError(f"{title} is not a frozen dataclass: write @dataclass(frozen=True) above it")
    if kind.plan is Strategy.plan:
        raise StrategyError(f"{title} has no plan: write plan(self, view) that returns Plan(unmask, remask)")
    for field in dataclasses.fields(kind):
        if not isinstance(field.default, float | int | str | bool):
            raise StrategyError(f"the knob {field.name} of {title} needs a number, a word or a truth as its default")
    named = {"name": name, "summary": _first_line(kind), "source": path}
    for attribute, otherwise in named.items():
        if attribute not in vars(kind):
            setattr(kind, attribute, otherwise)
    if not isinstance(kind.name, str) or not NAME.fullmatch(kind.name):
        raise StrategyError(f"{kind.name!r} is not a valid name for a strategy: take small letters, digits and hyphens")
    if kind.name in taken:
        raise StrategyError(f"there is a strategy {kind.name} already: give {title} another name")
    _validate_reads(kind)
    for method in CHECKS:
        # whether one of these is a strategy's own decides what the engine does
        if method in PLAIN or getattr(kind, method) is not getattr(Strategy, method):
            setattr(kind, method, _guarded(getattr(kind, method), CHECKS[method], path))
    try:
        with distinguish_interrupts():
            knobs(kind)
            made = kind()
            _validate_words(kind, made.reading())
        # these check their answers at every call, and here for the first time
        made.uniforms()
        made.keeps_quota()
        made.most_remasks(1.0, 0.5, 1)
    except (StrategyError, Interrupted):
        raise
    except BaseException as error:
        raise strategy_error(error, path) from error
    return kind


def _first_line(kind: type[Strategy]) -> str:
    own = vars(kind).get("__doc__") or ""
    # a dataclass without a docstring is given its signature
    return kind.__name__ if not own or own.startswith(f"{kind.__name__}(") else own.strip().partition("\n")[0]


def _guarded(method: Callable[..., Any], check: Callable[..., Any], path: str) -> Callable[..., Any]:
    """Return the method, whose errors become StrategyError and whose answers are checked."""

    @wraps(method)
    def checked(self: Strategy, *given: Any) -> Any:
        try:
            with distinguish_interrupts():
                return check(method(self, *map(_own, given)), *given)
        except (StrategyError, Interrupted):
            raise
        except BaseException as error:
            raise strategy_error(error, path) from error

    return checked


def _own(given: Any) -> Any:
    """Return a view whose tensors may be written to: the session's are its memory."""
    if not isinstance(given, View):
        return given
    predictions = (given.prediction, given.previous, given.planned)
    seen, past, planned = (p and Prediction(*(column.clone() for column in p)) for p in predictions)
    memory = {name: value.clone() for name, value in given.memory.items()}
    parts = (given.noise, given.ahead, given.tokens)
    noise, ahead, tokens = (None if part is None else part.clone() for part in parts)
    return dataclasses.replace(
        given,
        held=given.held.clone(),
        prediction=seen,
        previous=past,
        planned=planned,
        memory=memory,
        noise=noise,
        ahead=ahead,
        tokens=tokens,
    )


def _plan(plan: Any, view: View) -> Plan:
    if not isinstance(plan, tuple) or not 2 <= len(plan) <= 4:
        raise StrategyError(f"plan must return Plan(unmask, remask), not {_kind(plan)}")
    plan = Plan(*plan)
    for name in ("unmask", "remask", "edit"):
        if (values := getattr(plan, name)) is not None or name != "edit":
            _tensor(f"the plan's {name}", values, view.masked)
    if plan.edit is not None and view.prediction is None:
        raise StrategyError("the plan edits, but reads no prediction to edit to: reads = frozenset({'committed'})")
    if plan.memory is not None:
        _memory(plan.memory, view.memory)
    return plan


def _memory(memory: Any, before: OwnMemory) -> None:
    """Raise StrategyError unless the memory has the names, shapes and types of the one before it."""
    import torch

    if not isinstance(memory, Mapping) or set(memory) != set(before):
        names = ", ".join(before) or "nothing"
        raise StrategyError(f"the plan's memory must hold {names}, which initial_memory(like) returns")
    for name, value in memory.items():
        like = before[name]
        if not isinstance(value, torch.Tensor) or (value.shape, value.dtype) != (like.shape, like.dtype):
            raise StrategyError(f"the plan's memory {name} must be a {like.dtype} tensor of shape {tuple(like.shape)}")


def _initial_memory(memory: Any, like: Tensor) -> OwnMemory:
    import torch

    if not isinstance(memory, Mapping):
        raise StrategyError(f"initial_memory must return a dict of tensors, not {_kind(memory)}")
    for name, value in memory.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor) or len(value) != len(like):
            raise StrategyError(f"the memory {name!r} must be a tensor whose first dimension is the batch, {len(like)}")
    return memory


def _positions(where: Any, view: View) -> Tensor:
    return _where("positions", where, view)


def _candidates(where: Any, view: View) -> Tensor:
    return _where("candidates", where, view)


def _where(method: str, where: Any, view: View) -> Tensor:
    import torch

    good = isinstance(where, torch.Tensor) and where.dtype == torch.bool and where.shape == view.masked.shape
    if not good:
        raise StrategyError(f"{method} must return a bool tensor of shape {tuple(view.masked.shape)}")
    return cast("Tensor", where)


def _sees(ends: Any, view: View) -> Tensor | None:
    import torch

    if ends is None:
        return None
    good = isinstance(ends, torch.Tensor) and ends.dtype == torch.long and ends.shape == view.masked.shape[:1]
    if not good or bool(((ends < 1) | (ends > view.masked.shape[1])).any()):
        raise StrategyError(f"sees must return None, or a long tensor [B] of numbers in 1 to {view.masked.shape[1]}")
    return cast("Tensor", ends)


def _tilt(tilt: Any, memory: OwnMemory, top: Tensor, top_p: Tensor) -> tuple[Tensor, Tensor]:
    import torch

    good = isinstance(tilt, tuple) and len(tilt) == 2 and all(isinstance(part, torch.Tensor) for part in tilt)
    if not good or tilt[0].shape != tilt[1].shape or tilt[0].shape[:1] != top.shape or tilt[0].dtype != torch.long:
        raise StrategyError(f"tilt must return (long ids, numbers), each of shape ({len(top)}, K)")
    return cast("tuple[Tensor, Tensor]", tilt)


def _validate_reads(kind: type[Strategy]) -> None:
    """Raise StrategyError unless `reads` names what there is to read."""
    reads: Any = kind.reads
    words = [reads] if isinstance(reads, str) else reads
    known = OLDER_READS if isinstance(reads, str) else READS
    _validate_words(kind, words, known, reads)


def _validate_words(
    kind: type[Strategy], words: Any, known: Collection[str] = tuple(READS), declared: Any = None
) -> None:
    """Raise StrategyError unless these name what there is to read, and the class has what they need."""
    several = isinstance(words, list | tuple | set | frozenset)
    if not several or not all(isinstance(word, str) and word in known for word in words):
        raise StrategyError(f"reads of {kind.__name__} must be a set of {', '.join(READS)}, not {declared or words!r}")
    if "tilted" in words and kind.tilt is Strategy.tilt:
        raise StrategyError(f"{kind.__name__} reads tilted: write tilt(self, memory, top, top_p)")


def _tensor(name: str, values: Any, like: Tensor) -> None:
    """Raise StrategyError unless values are finite, of floating point and broadcast to `like`."""
    import torch

    shape = tuple(like.shape)
    if not isinstance(values, torch.Tensor):
        raise StrategyError(f"{name} must be a tensor that broadcasts to {shape}, not {_kind(values)}")
    if not values.is_floating_point():
        raise StrategyError(f"{name} has type {values.dtype}: make it .double()")
    if values.dim() > len(shape) or any(a not in (1, b) for a, b in zip(values.shape[::-1], shape[::-1])):
        raise StrategyError(f"{name} has shape {tuple(values.shape)}, which does not broadcast to {shape}")
    if values.device != like.device:
        raise StrategyError(
            f"{name} is on {values.device}, the model on {like.device}: make it out of the view's tensors"
        )
    bad = (~torch.isfinite(values)).expand(shape).nonzero()
    if len(bad):
        sample, position = bad[0].tolist()
        value = float(values.expand(shape)[sample, position])
        raise StrategyError(
            f"{name} is {value} at position {position} of sample {sample}: give 0 where it means nothing"
        )


def _alpha(alpha: Any, t: Tensor) -> Tensor:
    _tensor("alpha", alpha, t)
    if bool(((alpha < -1e-9) | (alpha > 1 + 1e-9)).any()):
        raise StrategyError(f"alpha must lie in 0 to 1, not at {float(alpha.flatten()[0]):g}")
    return alpha.expand(t.shape)


def _grid(grid: Any, steps: int) -> Any:
    good = isinstance(grid, np.ndarray) and grid.ndim == 1 and len(grid) > 1 and grid.dtype == np.float64
    if not good or grid[0] != 1 or grid[-1] < 0 or not (np.diff(grid) < 0).all():
        raise StrategyError("grid must return a float64 array of times that descend from 1 and do not pass 0")
    return grid


def _uniforms(count: Any) -> int:
    if not isinstance(count, int) or not 1 <= count <= MOST_UNIFORMS:
        raise StrategyError(f"uniforms must return a whole number in 1 to {MOST_UNIFORMS}, not {count!r}")
    return count


def _keeps_quota(name: Any) -> str:
    if name not in ("", *QUOTAS):
        raise StrategyError(f"keeps_quota must return one of {', '.join(QUOTAS)}, or an empty text, not {name!r}")
    return str(name)


def _most_remasks(most: Any, t: float, s: float, revealed: int) -> int | None:
    if most is not None and (not isinstance(most, int) or most < 0):
        raise StrategyError(f"most_remasks must return a whole number from 0 on, or None, not {most!r}")
    return most


def _kind(value: Any) -> str:
    return f"a {type(value).__name__}"


CHECKS: dict[str, Callable[..., Any]] = {
    "plan": _plan, "alpha": _alpha, "grid": _grid, "initial_memory": _initial_memory, "positions": _positions,
    "candidates": _candidates, "sees": _sees, "tilt": _tilt, "uniforms": _uniforms, "keeps_quota": _keeps_quota,
    "most_remasks": _most_remasks,
}  # fmt: skip
PLAIN = ("plan", "alpha", "grid", "initial_memory", "positions", "most_remasks")
"""Methods that are checked wherever they come from."""
