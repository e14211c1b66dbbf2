"""Find the fields of a trace in what a file holds, whichever tool wrote it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.recording.layout import LARGEST_CANVAS, LARGEST_VOCABULARY
from engine.records import Knob

IDS = ("ids", "histories", "history", "output_history", "states")
"""Names of the states: ours, those of dllm, and those of Dream."""
FINAL = ("ids", "output_ids", "token_ids", "tokens")
"""Names of the finished text beside a step map."""
MAPS = ("step_map", "step_maps")
"""Names of a step map: LMDeploy's and SGLang's."""
PROBABILITIES = ("probabilities", "confidences", "probs")
META = "meta_info"
"""Where SGLang's answers have what describes the text."""
ABSENT = -1
"""Stands where a state is shorter than later ones."""
LARGEST_KNOB = 1 << 53
"""What every format of a recording and every page can hold."""
MOST_STATES = 1 << 17
MOST_NUMBERS = 1 << 26
"""States times samples times positions."""


@dataclass(frozen=True, eq=False)
class TraceFields:
    """What a file says; what it does not say is None or empty."""

    ids: NDArray[np.int64]
    """[T, B, L]: the states, ABSENT where there is no position yet; of a step map the finished text, T = 1"""
    step_map: NDArray[np.int64] | None = None
    """[B, L]: the step of each position's reveal; below 0 for the prompt"""
    probabilities: NDArray[np.float64] | None = None
    """[T, B, L] or [T - 1, B, L]: of the committed token, NaN where unknown"""
    mask_id: int | None = None
    prompt_length: int | None = None
    vocab_size: int | None = None
    pieces: Mapping[int, str] = field(default_factory=dict)
    """texts of tokens"""
    strategy: str = ""
    knobs: Mapping[str, Knob] = field(default_factory=dict)
    model: str = ""


def fields_of(structure: Any) -> TraceFields:
    """Return the fields of a trace.  Raises ValueError with what is missing or impossible."""
    given = dict(structure) if isinstance(structure, dict) else {"ids": structure}
    if isinstance(given.get(META), dict):
        given = {**given[META], **{key: value for key, value in given.items() if key != META}}
    about: dict[str, Any] = {
        name: _whole(given[name], name) for name in ("mask_id", "prompt_length", "vocab_size") if _has(given, name)
    }
    about |= {name: _word(given[name], name) for name in ("strategy", "model") if _has(given, name)}
    about["pieces"], about["knobs"] = _pieces(given.get("pieces")), _knobs(given.get("knobs"))
    where = _named(given, MAPS)
    if where is not None:
        return _mapped(given, where, about)
    name = _named(given, IDS)
    if name is None:
        raise ValueError(
            f"there are no states: give ids, a list of token ids for each step, or {MAPS[0]} with the final ids"
        )
    ids = _states(given[name], name)
    probabilities = _named(given, PROBABILITIES)
    return TraceFields(
        ids, probabilities=None if probabilities is None else _probabilities(given[probabilities], ids), **about
    )


def _has(given: Mapping[str, Any], name: str) -> bool:
    value = given.get(name)
    return value is not None and not (isinstance(value, list | tuple | str) and not len(value))


def _named(given: Mapping[str, Any], names: Sequence[str]) -> str | None:
    return next((name for name in names if _has(given, name)), None)


def _mapped(given: Mapping[str, Any], name: str, about: Mapping[str, Any]) -> TraceFields:
    final = _named(given, FINAL)
    if final is None:
        raise ValueError(f"there is a {name} without the text that it is of: give the final ids beside it")
    steps, ids = (_numbers(given[each], each, np.int64) for each in (name, final))
    steps, ids = np.atleast_2d(steps), np.atleast_2d(ids)
    if steps.ndim > 2 or steps.shape != ids.shape:
        raise ValueError(f"{name} has the shape {list(steps.shape)}, and {final} {list(ids.shape)}: they must be equal")
    _check(ids[None], final)
    return TraceFields(ids[None], steps, **about)


def _states(value: Any, name: str) -> NDArray[np.int64]:
    """Return states [T, B, L]; those that are shorter than others are filled with ABSENT."""
    try:
        array = _numbers(value, name, np.int64)
    except ValueError:
        if not isinstance(value, list | tuple):
            raise
        rows = [np.atleast_2d(_numbers(one, f"state {i} of {name}", np.int64)) for i, one in enumerate(value)]
        batch, longest = rows[0].shape[0], max(row.shape[-1] for row in rows)
        if any(row.ndim != 2 or row.shape[0] != batch for row in rows):
            raise ValueError(f"the states of {name} hold different numbers of samples") from None
        _fits(len(rows), batch, longest)
        array = np.full((len(rows), batch, longest), ABSENT, np.int64)
        for filled, row in zip(array, rows, strict=True):
            filled[:, : row.shape[1]] = row
        if (np.diff([row.shape[1] for row in rows]) < 0).any():
            raise ValueError(f"a state of {name} is shorter than the one before it") from None
        _check(np.where(array == ABSENT, 0, array), name)
        return array
    if array.ndim not in (2, 3):
        raise ValueError(f"{name} must be [T, L] or [T, samples, L], not of {array.ndim} dimensions")
    if array.ndim == 2:
        array = array[:, None]
    _check(array, name)
    return array


def _check(ids: NDArray[np.int64], name: str) -> None:
    _fits(*ids.shape)
    if ids.min() < 0 or ids.max() >= LARGEST_VOCABULARY:
        bad = int(ids.min()) if ids.min() < 0 else int(ids.max())
        raise ValueError(f"{name} has the token {bad}; token ids are 0 to {LARGEST_VOCABULARY - 1:,}")


def _fits(states: int, batch: int, length: int) -> None:
    if not (batch and length and states):
        raise ValueError("the trace holds no position")
    if states > MOST_STATES or batch * length > LARGEST_CANVAS or states * batch * length > MOST_NUMBERS:
        raise ValueError(
            f"{states:,} states of {batch:,} times {length:,} positions are too many: at most {MOST_STATES:,} states "
            f"and {MOST_NUMBERS:,} ids"
        )


def _numbers(value: Any, name: str, kind: type[np.generic]) -> NDArray[Any]:
    """Return numbers as an array; ids must be whole, and lists of equal lengths."""
    try:
        array = np.asarray(value)
    except (ValueError, OverflowError):
        raise ValueError(
            f"{name} is not an array of numbers: its lists differ in length or hold something else"
        ) from None
    if array.dtype == object and kind is np.float64:
        try:
            array = array.astype(np.float64)
        except (TypeError, ValueError):
            raise ValueError(f"{name} holds something that is not a number") from None
    if array.dtype.kind not in ("iu" if kind is np.int64 else "iuf"):
        what = "whole numbers" if kind is np.int64 else "numbers"
        raise ValueError(f"{name} must hold {what}, not {array.dtype}")
    return array.astype(kind)


def _probabilities(value: Any, ids: NDArray[np.int64]) -> NDArray[np.float64]:
    array = _numbers(value, "probabilities", np.float64)
    if array.ndim == 2:
        array = array[:, None]
    count = len(ids)
    if array.shape not in (ids.shape, (count - 1, *ids.shape[1:])):
        raise ValueError(
            f"probabilities have the shape {list(array.shape)}, and ids {list(ids.shape)}: they must be equal, "
            "or without a row for the first state"
        )
    known = array[~np.isnan(array)]
    if len(known) and not (known.min() >= 0 and known.max() <= 1 + 1e-6):
        bad = known.min() if known.min() < 0 else known.max()
        raise ValueError(f"probabilities must lie in 0 to 1, not {bad:g}; null or NaN where there is none")
    return np.minimum(array, 1.0)


def _whole(value: Any, name: str) -> int:
    if isinstance(value, list | tuple | dict):
        raise ValueError(f"{name} must be a whole number, not {value!r:.80}")
    array = np.asarray(value)
    if array.size != 1 or array.dtype.kind not in "iu":
        raise ValueError(f"{name} must be a whole number, not {value!r:.80}")
    return int(array.reshape(-1)[0])


def _word(value: Any, name: str) -> str:
    text = str(value)
    if not (isinstance(value, str | np.ndarray) and text.isprintable() and len(text) <= 100):
        raise ValueError(f"{name} must be a name of at most 100 characters")
    return text


def _pieces(value: Any) -> dict[int, str]:
    if value is None:
        return {}
    if isinstance(value, np.ndarray):
        value = value.tolist()
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else None
    try:
        assert pairs is not None
        found = {int(token): text for token, text in pairs}
    except (AssertionError, TypeError, ValueError):
        raise ValueError("pieces must be a list of texts, or an object from token ids to texts") from None
    if not all(isinstance(text, str) for text in found.values()):
        raise ValueError("pieces must hold texts")
    return found


def _knobs(value: Any) -> dict[str, Knob]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError("knobs must be an object of names and values")
    for name, one in value.items():
        plain = isinstance(one, float | int | str | bool) and str(one).isprintable() and len(str(one)) <= 100
        if isinstance(one, float | int) and not -LARGEST_KNOB < one < LARGEST_KNOB:
            raise ValueError(f"the knob {name!r:.80} is {one}: it must lie within 2^53 to either side of 0")
        if not (isinstance(name, str) and name.isprintable() and len(name) <= 100 and plain):
            raise ValueError(f"the knob {name!r:.80} must be a number, a word, true or false")
    return value
