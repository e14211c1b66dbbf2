"""Compare a resumed run's configuration and data with those that it began with."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator, Mapping

import msgspec
import numpy as np
import torch

from engine.training.config import TrainConfig
from engine.training.precision import resolve_precision
from engine.training.rows import TrainingData

CHANGEABLE = frozenset(
    f"run.{name}"
    for name in (
        "steps", "rows_together", "spike", "checkpoint_every", "keep", "validate_every", "validation_windows",
        "sample_every", "compile", "recompute", "strategy",
    )
)  # fmt: skip
"""Settings that may change between starts: they decide length, reports and devices, not the result."""
MARKED_BYTES = 1 << 20
"""Bytes at either end of a stream that the marks of earlier versions cover."""
EARLIER_DIGITS = 8
"""The number of digits of the marks of earlier versions."""


def config_differences(before: TrainConfig, now: TrainConfig, device: torch.device) -> list[str]:
    """Return a clause for each changed key of a configuration that decides the result of a run."""
    was, is_ = dict(_flat(msgspec.to_builtins(before))), dict(_flat(msgspec.to_builtins(now)))
    same = {"run.precision"} if _precision(before, device) == _precision(now, device) else set()
    return [
        f"{key} was {was.get(key)!r} and is {value!r}"
        for key, value in is_.items()
        if key not in CHANGEABLE | same and was.get(key) != value
    ]


def _precision(config: TrainConfig, device: torch.device) -> str:
    return resolve_precision(config.run.precision, device)


def _flat(values: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def corpus_mark(corpus: TrainingData) -> str:
    """Return a digest that identifies a corpus: of its tokenizer and of every split's whole content."""
    found = hashlib.sha256(corpus.tokenizer.to_str().encode())
    for name, stream in sorted(corpus.splits.items()):
        found.update(f" {name} {stream.dtype} {len(stream)} ".encode())
        found.update(np.ascontiguousarray(stream).data)
    return found.hexdigest()


def matches_mark(corpus: TrainingData, kept: object, now: str) -> bool:
    """Return whether a checkpoint's mark is that of a corpus, `now`; marks of earlier versions cover only the ends."""
    return kept == now or (isinstance(kept, str) and len(kept) == EARLIER_DIGITS and kept == _mark_of_ends(corpus))


def _mark_of_ends(corpus: TrainingData) -> str:
    """Return the mark of earlier versions: the tokenizer, and each split's size and ends."""
    found = zlib.crc32(corpus.tokenizer.to_str().encode())
    for name, stream in sorted(corpus.splits.items()):
        count = MARKED_BYTES // stream.dtype.itemsize
        for part in (np.array([len(stream)]), stream[:count], stream[-count:]):
            found = zlib.crc32(np.ascontiguousarray(part).tobytes(), zlib.crc32(name.encode(), found))
    return f"{found:08x}"
