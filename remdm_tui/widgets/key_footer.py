"""The footer: keys along the bottom of the screen."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from rich.cells import cell_len
from textual import events
from textual.app import ComposeResult
from textual.widgets import Footer
from textual.widgets._footer import FooterKey

PADDING = 3
"""Columns around a key and its description."""


class KeyFooter(Footer):
    """A footer that never cuts a key, keeps some in every width, and shows the keys of the focused panel first."""

    def __init__(
        self, always: Collection[str], order: Sequence[str], refused: Callable[[], Collection[str]] = frozenset
    ) -> None:
        """always: actions whose keys are always shown; order: that of the actions which work everywhere.

        refused: actions that are left out, as they can do nothing at present.
        """
        super().__init__(show_command_palette=False)
        # Textual leaves it empty until the screen has been drawn once, and lays the screen out again for its keys
        self.set_reactive(Footer._bindings_ready, True)
        self._always, self._refused, self._composed_for = always, refused, 0
        self._shown: list[tuple[str | bool | None, ...]] | None = None
        """what tells the keys apart that are on screen; None before the first"""
        self._places = {action: place for place, action in enumerate(order)}

    def compose(self) -> ComposeResult:
        keys = self._fitting()
        self._shown = [_looks(key) for key in keys]
        yield from keys

    async def recompose(self) -> None:
        # Textual asks for it whenever the focus moves, though the same keys may work there
        if self._shown != [_looks(key) for key in self._fitting()]:
            await super().recompose()

    def _fitting(self) -> list[FooterKey]:
        """Return the keys that are shown at this width."""
        # it is as wide as the screen, and Textual reads its width before the layout
        self._composed_for = self.size.width or self.app.size.width
        refused = self._refused()
        keys = [key for key in super().compose() if isinstance(key, FooterKey) and key.action not in refused]
        keys.sort(key=lambda key: self._places.get(key.action, -1))
        room = self._composed_for - sum(_width(key) for key in keys if key.action in self._always)
        fitting = []
        for key in keys:
            if key.action not in self._always and self._composed_for:
                room -= _width(key)
                if room < 0:
                    continue
            # as the footer is: otherwise every key is styled as compact first, and then as what it is
            key.set_reactive(FooterKey.compact, self.compact)
            fitting.append(key)
        return fitting

    def on_resize(self, event: events.Resize) -> None:
        if event.size.width != self._composed_for:
            self.call_after_refresh(self.recompose)


def _width(key: FooterKey) -> int:
    """Return the columns of a key, which has no style before it is mounted."""
    return cell_len(key.key_display) + cell_len(key.description) + PADDING


def _looks(key: FooterKey) -> tuple[str | bool | None, ...]:
    """Return what of a key is on screen, and what a click on it does."""
    return key.key, key.key_display, key.description, key.action, key.has_class("-disabled"), str(key.tooltip or "")
