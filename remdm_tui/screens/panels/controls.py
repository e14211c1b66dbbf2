"""What the panels of the watch screen share: the session, and how a change of it gets on the screen."""

from __future__ import annotations

from collections.abc import Callable

from remdm_tui.preferences.keymap import KeyTable
from remdm_tui.settings.watch_options import WatchOptions
from remdm_tui.watch import player as playing
from remdm_tui.watch.notices import Notice
from remdm_tui.watch.player import Player
from remdm_tui.watch.session import WatchSession


class Controls:
    """Changes the session, and has the change drawn."""

    def __init__(self, session: WatchSession, options: WatchOptions, table: KeyTable) -> None:
        self.session, self.options, self.table = session, options, table
        self.changed: Callable[[bool], None] = lambda at_once: None
        """has what changed drawn at the next beat of the refresh clock; with True, words and knobs at once"""

    @property
    def keys(self) -> dict[str, str]:
        """The keys of each id, as a person calls them."""
        return self.table.shown()

    def wake(self, at_once: bool = False) -> None:
        """Have what changed drawn."""
        self.changed(at_once)

    def say(self, text: str, error: bool = True) -> None:
        """Show a sentence below the timeline."""
        self.session.notice = Notice(text, error=error, passing=True)
        self.wake()

    def play(self, player: Player) -> None:
        """Move the view."""
        self.session.player = player
        self.wake()

    def seek(self, position: int) -> None:
        """Pause at a position."""
        self.play(playing.seek(self.session.player, position))
