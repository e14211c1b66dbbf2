"""Read the texts of an evaluation for the checks of texts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.evaluation.plan import EvalPlan
from engine.evaluation.results import RESULTS, SAMPLES, check_has_samples, read_results
from engine.files.json_lines import decode_line
from engine.files.jsonl import DAMAGED
from engine.files.regular import regular_file
from engine.lint.drawn import DrawnTexts, sampler_line

SAMPLER = ("strategy", "knobs", "strategy_digest", "files_digest")
"""Entries of `sampling` that say which sampler it was."""
NO_TERMS = ("count",)
"""Entries that decide no text."""


class _Terms(msgspec.Struct, frozen=True):
    """The parts of the settings that decide a text."""

    model: dict[str, Any] = {}
    sampling: dict[str, Any] = {}


class _Sampler(msgspec.Struct, frozen=True):
    """The entries of `sampling` that are linted."""

    strategy: str = "unknown"
    knobs: dict[str, Any] | None = None


class _Ids(msgspec.Struct, frozen=True):
    """The fields of a line of samples.jsonl that are linted."""

    number: int
    ids: list[int]


def drawn_by(home: Path) -> DrawnTexts:
    """Return the texts of a finished evaluation.  Raises ValueError if they are missing or damaged."""
    check_has_samples(home)
    if not (home / SAMPLES).exists():
        raise ValueError(f"{home} has no {SAMPLES} yet; the same `eval` command continues it")
    try:
        settings = msgspec.convert(_settings(home), _Terms)
        named = msgspec.convert(settings.sampling, _Sampler)
    except msgspec.ValidationError as error:
        raise ValueError(f"{home} has settings that no evaluation writes: {error}") from error
    model = {name: value for name, value in settings.model.items() if name != "device"}
    terms = {name: value for name, value in settings.sampling.items() if name not in (*SAMPLER, *NO_TERMS)}
    sampler = sampler_line([(named.strategy, named.knobs or {})])
    listed = tuple(f"{name}={value}" for part in (model, terms) for name, value in sorted(part.items()))
    return DrawnTexts.of(str(home), sampler, listed, _ids(home / SAMPLES))


def _settings(home: Path) -> dict[str, Any]:
    if (home / RESULTS).exists():
        return read_results(home).settings
    from engine.evaluation.settings_file import read_plan

    plan = read_plan(home, EvalPlan)
    if plan is None:
        raise ValueError(f"{home} has samples of unknown settings")
    settings: dict[str, Any] = msgspec.to_builtins(plan)
    return settings


def _ids(path: Path) -> Iterator[tuple[int, NDArray[np.integer]]]:
    """Yield number and ids of each sample."""
    seen: set[int] = set()
    try:
        with regular_file(path).open("rb") as file:
            for number, row in enumerate(file, 1):
                line = decode_line(row, _Ids)
                if line.number in seen:
                    raise ValueError(f"{path}, line {number}: sample {line.number} appears twice")
                seen.add(line.number)
                yield line.number, np.array(line.ids, np.int64)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    except (*DAMAGED, OverflowError) as error:
        raise ValueError(f"{path}, line {number}: {error}") from error
