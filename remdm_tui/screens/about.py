"""The dialog about the model on screen."""

from __future__ import annotations

from collections.abc import Callable

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.widgets import Static

from engine.records import ModelCheck, ModelInfo
from remdm_tui.console.sanitize import sanitize
from remdm_tui.render.model_summary import rows
from remdm_tui.screens.overlay import OverlayScreen

LOOKS = 0.1
"""Seconds between looks at whether the measurement is there."""


class AboutScreen(OverlayScreen[None]):
    """Lists the model's properties; enter measures its loss on a short text."""

    BINDINGS = [Binding("escape,q,i", "dismiss", "Close"), Binding("enter", "measure", "Measure")]
    DEFAULT_CSS = """
    AboutScreen { align: center middle; }
    AboutScreen > VerticalScroll {
        width: 76; max-width: 96%; height: auto; max-height: 92%;
        border: round $line-text; background: $surface; padding: 0 2;
    }
    AboutScreen.ascii > VerticalScroll { border: ascii $line-text; }
    """

    def __init__(
        self,
        info: ModelInfo,
        measure: Callable[[], None],
        check: Callable[[], ModelCheck | str | None],
        ascii_only: bool,
    ) -> None:
        super().__init__(classes="ascii" if ascii_only else "")
        self._info, self._measure, self._check, self._ascii = info, measure, check, ascii_only
        self._measuring = False

    def compose(self) -> ComposeResult:
        with VerticalScroll() as scroll:
            scroll.border_title = "about the model - esc closes"
            yield Static(self._text())

    def set_up(self) -> None:
        self.query_one(VerticalScroll).focus()
        self.set_interval(LOOKS, self._look)

    def action_measure(self) -> None:
        self._measuring = True
        self._measure()
        self._look()

    def _look(self) -> None:
        if self._measuring:
            self.query_one(Static).update(self._text())
            self._measuring = self._check() is None

    def _text(self) -> Text:
        text = Text()
        for name, value in rows(self._info):
            text.append(f"{name:<12}", style="bold")
            text.append(f"{sanitize(value, cells=True, ascii_only=self._ascii)}\n")
        check = self._check()
        text.append(f"{'self-check':<12}", style="bold")
        text.append(
            ("measuring ..." if self._measuring else "press enter to measure the loss on a short text")
            if check is None
            else str(check)
        )
        return text
