"""Report how far the loading of a model is."""

from __future__ import annotations

from collections.abc import Callable

LoadProgress = Callable[[str, int, int], None]
"""(stage, bytes done, bytes in all; 0 where unknown); called often; raising from it cancels the load."""
