"""The footer: keys along the bottom of the screen."""

from __future__ import annotations

from collections.abc import Collection

from rich.cells import cell_len
from textual import events
from textual.app import ComposeResult
from textual.widgets import Footer
from textual.widgets._footer import FooterKey

PADDING = 3
"""Columns around a key and its description."""


class KeyFooter(Footer):
    """A footer that never cuts a key, and that keeps some in every width."""

    def __init__(self, always: Collection[str]) -> None:
        """kept: actions whose keys are always shown."""
        super().__init__(show_command_palette=False)
        self._always, self._composed_for = always, 0

    def compose(self) -> ComposeResult:
        self._composed_for = self.size.width
        keys = [key for key in super().compose() if isinstance(key, FooterKey)]
        room = self._composed_for - sum(_width(key) for key in keys if key.action in self._always)
        for key in keys:
            if key.action not in self._always and self._composed_for:
                room -= _width(key)
                if room < 0:
                    continue
            yield key

    def on_resize(self, event: events.Resize) -> None:
        if event.size.width != self._composed_for:
            self.call_after_refresh(self.recompose)


def _width(key: FooterKey) -> int:
    """Return the columns of a key, which has no style before it is mounted."""
    return cell_len(key.key_display) + cell_len(key.description) + PADDING
