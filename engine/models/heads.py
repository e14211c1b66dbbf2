"""Split the vocabulary head from a foreign network if that gives the same logits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import permutations
from typing import Any

import torch
from torch import Tensor, nn

Head = Callable[[Tensor], Tensor]
MOST_PARTS = 4
"""Parts of which a head is put together at most."""
FAULTS = (AttributeError, IndexError, RuntimeError, TypeError, ValueError)
"""What a module raises that is no head."""


def head_of(model: Any, probe: Tensor) -> Head | None:
    """Return the head, [N, D] -> logits [N, V], of a network with a base model; None if it has none.

    It is found by structure and believed only if, on the probe (long [1, L]), it gives some positions alone the
    logits that the whole network gives them.
    """
    base = model.base_model
    if base is model:
        return None
    expected = model(input_ids=probe).logits[0]
    hidden = base(input_ids=probe)[0][0]
    some = torch.arange(len(hidden), device=hidden.device) % 2 == 1
    return next((head for head in _candidates(model, base) if _gives(head, hidden[some], expected[some])), None)


def close(a: Tensor, b: Tensor) -> bool:
    """Return whether logits are the same but for rounding in their type."""
    scale = float(b.float().abs().max()) + 1e-3
    rounding = 2e-2 if b.dtype in (torch.bfloat16, torch.float16) else 1e-4
    return a.shape == b.shape and bool((a.float() - b.float()).abs().max() <= rounding * scale)


def _candidates(model: Any, base: nn.Module) -> Iterator[Head]:
    """Yield the output embedding, each part outside the base model, and these parts one after the other."""
    parts = [part for part in model.children() if part is not base and not isinstance(part, nn.modules.loss._Loss)]
    output = model.get_output_embeddings()
    if output is not None:
        yield output
    for count in range(1, min(len(parts), MOST_PARTS) + 1):
        for chosen in permutations(parts, count):
            yield nn.Sequential(*chosen)


def _gives(head: Head, hidden: Tensor, expected: Tensor) -> bool:
    try:
        got = head(hidden)
    except FAULTS:
        return False
    return isinstance(got, Tensor) and got.shape == expected.shape and close(got, expected)
