"""How much is worked on at once: on a processor what stays in its cache, on other devices enough to keep them busy."""

from __future__ import annotations

import torch

WIDER = 64
"""So many times as much anywhere but on a processor."""


def portion(cached: int, device: torch.device | str) -> int:
    """Return `cached`, rows or cells that a processor's cache has room for, or what another device is given in their
    place.
    """
    return cached if str(device).startswith("cpu") else cached * WIDER
