"""After which steps an answer was right, found while it is drawn."""

from __future__ import annotations

from collections.abc import Callable


class RightSteps:
    """Judges the text after every step; equal texts in a row are judged once."""

    def __init__(self, judge: Callable[[str], bool | None]) -> None:
        """judge: returns whether an answer is right; None if that is unknown."""
        self._judge = judge
        self._text: str | None = None
        self._is_right: bool | None = False
        self._began: int | None = None
        self._spans: list[tuple[int, int]] = []
        self.steps = 0

    def add(self, text: str) -> None:
        """Take the text after the next step."""
        if text != self._text:
            self._text, self._is_right = text, self._judge(text)
        if self._is_right and self._began is None:
            self._began = self.steps
        elif not self._is_right and self._began is not None:
            self._spans.append((self._began, self.steps))
            self._began = None
        self.steps += 1

    @property
    def spans(self) -> tuple[tuple[int, int], ...] | None:
        """Return the steps after which it was right, each span without its end; None if that is unknown."""
        if self._is_right is None:
            return None
        last = [] if self._began is None else [(self._began, self.steps)]
        return (*self._spans, *last)
