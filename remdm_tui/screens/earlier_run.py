"""The screen of a run that was left: the watch screen on its recording, which does not change."""

from __future__ import annotations

from collections.abc import Callable

from textual.app import ComposeResult
from textual.binding import Binding
from textual.widgets import Label

from remdm_tui.screens.panels.controls import Controls
from remdm_tui.screens.watch import WatchScreen


class EarlierRunScreen(WatchScreen):
    """Offers what `replay` offers; one key goes back to the live run, which waits meanwhile."""

    BINDINGS = [
        Binding("U", "leave", "Live run", id="runs", tooltip="Go back to the live run"),
        Binding("q", "leave", "Back to the live run", id="quit", show=False),
    ]
    DEFAULT_CSS = "EarlierRunScreen > #earlier { width: 100%; height: 1; padding: 0 1; background: $primary-muted; }"
    ALWAYS_SHOWN = {"help", "leave"}

    def __init__(self, controls: Controls, title: str, leave: Callable[[], None]) -> None:
        """title: what is on screen; leave: goes back to the live run."""
        super().__init__(controls, id="earlier-run")
        self._title, self._leave = title, leave

    def compose(self) -> ComposeResult:
        yield Label(f"{self._title} - {self.controls.keys['runs']}: back to the live run", id="earlier", markup=False)
        yield from super().compose()

    def action_leave(self) -> None:
        """Go back to the live run."""
        self._leave()

    def action_cancel(self) -> None:
        """Close the box below the text; else clear the focus; else go back to the live run."""
        if self.escape.pending or self.focused is not None:
            super().action_cancel()
        else:
            self.action_leave()

    # -- what only the live run can do

    def _refuse(self) -> None:
        self.controls.say(f"An earlier run does not change. {self.controls.keys['runs']}: live run", "note")

    def action_restart(self, by: int) -> None:
        self._refuse()

    def action_revive(self) -> None:
        self._refuse()

    def action_model(self, reason: str = "") -> None:
        self._refuse()

    def action_keep(self) -> None:
        self._refuse()
