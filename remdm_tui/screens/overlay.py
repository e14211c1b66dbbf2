"""The base of the screens that open above the watch screen."""

from __future__ import annotations

from typing import TypeVar

from textual.css.query import NoMatches
from textual.screen import ModalScreen

Result = TypeVar("Result")


class OverlayScreen(ModalScreen[Result]):
    """A modal screen that may be closed before all of it is there.

    Textual mounts no more widgets once a screen is dismissed or the application ends, but still reports the mount.
    """

    def on_mount(self) -> None:
        try:
            self.set_up()
        except NoMatches:
            ends = self.app.return_code is not None or not self.app.is_running
            if not ends and self in self.app.screen_stack:
                raise

    def set_up(self) -> None:
        """Prepare the mounted widgets."""
