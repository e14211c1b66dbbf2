"""How fast a judge scores texts beside the loop that one would write with transformers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import torch
import torch.nn.functional as F

from engine.bench.options import Comparison
from engine.metrics.judge import LanguageModel

PLAIN_BATCHES = (1, 8)
"""Texts that the plain loop puts through the network at a time."""
TOLERANCE = 1e-3
"""How far apart the two sides' nats may be, relatively, before they are not the same work."""


def measure_scoring(judge: LanguageModel, texts: Sequence[str], repeats: int = 3) -> Iterator[Comparison]:
    """Seconds for the texts, ours against the plain loop at each of its batch sizes; the fastest of some repeats.

    Both are given tokens, and both sides' work is checked to be the same.
    """
    rows = [row[: judge.context] for row in judge.tokens(texts) if len(row) > 1]
    tokens = sum(map(len, rows))
    for batch in PLAIN_BATCHES:
        ours, plain = [], []
        for _ in range(repeats):  # side by side, so that other work on the machine falls on both
            seconds, expected = _timed(lambda: sum(float(found.sum()) for found in judge.nll(rows)))
            ours.append(seconds)
            seconds, found = _timed(lambda size=batch: plain_nats(judge, rows, size))  # type: ignore[misc]
            plain.append(seconds)
            if abs(found - expected) > TOLERANCE * abs(expected):
                raise AssertionError(f"the plain loop finds {found} nats, the judge {expected}")
        note = f"{len(rows)} texts, {tokens:,} tokens"
        yield Comparison("judge", f"{judge.name}, plain batches of {batch}", "s", min(plain), min(ours), 1.0, note)


@torch.inference_mode()
def plain_nats(judge: LanguageModel, rows: Sequence[Sequence[int]], batch: int) -> float:
    """All tokens' nats by padded batches in the given order and logits at every place."""
    total, device = 0.0, judge.model.device
    for first in range(0, len(rows), batch):
        some = rows[first : first + batch]
        longest = max(map(len, some))
        ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in some], device=device)
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in some], device=device)
        logits = judge.model(input_ids=ids, attention_mask=mask).logits
        losses = F.cross_entropy(logits[:, :-1].transpose(1, 2).float(), ids[:, 1:], reduction="none")
        total += float((losses * mask[:, 1:]).sum())
    return total


def _timed(work: Callable[[], float]) -> tuple[float, float]:
    """(seconds, what came of it)."""
    begun = time.perf_counter()
    found = work()
    return time.perf_counter() - begun, found
