"""What was drawn last, so that only what changed is drawn again."""

from __future__ import annotations


class LastDrawn:
    """The last value under each name."""

    def __init__(self) -> None:
        self._shown: dict[str, object] = {}

    def is_new(self, what: str, now: object) -> bool:
        """Return whether `now` differs from the last value under this name, and remember it."""
        if self._shown.get(what) == now:
            return False
        self._shown[what] = now
        return True

    def forget(self, *names: str) -> None:
        """Make the next values under these names new."""
        for name in names:
            self._shown.pop(name, None)
