"""The base of the screens that open above the watch screen."""

from __future__ import annotations

from typing import TypeVar

from textual.screen import ModalScreen

Result = TypeVar("Result")


class OverlayScreen(ModalScreen[Result]):
    """A modal screen that is set up once its widgets are there.

    Textual mounts no widgets once the application ends, but still tells the screen that it is mounted.
    """

    def on_mount(self) -> None:
        if self.children:
            self.set_up()

    def set_up(self) -> None:
        """Prepare the mounted widgets."""
