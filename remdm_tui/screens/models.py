"""Pick a model: type a name, or take one of those known here."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label, OptionList
from textual.widgets.option_list import Option

from engine.records import ModelChoice
from remdm_tui.settings.watch_options import typed
from remdm_tui.watch.available_models import AvailableModel
from remdm_tui.widgets.line_input import LineInput, PasteWarning


class ModelScreen(PasteWarning, ModalScreen[ModelChoice | None]):
    """Returns what to load, or None when it is left by escape."""

    BINDINGS = [
        Binding("escape", "dismiss", "Cancel"),
        Binding("down", "move(1)", "Next", priority=True),
        Binding("up", "move(-1)", "Previous", priority=True),
    ]
    DEFAULT_CSS = """
    ModelScreen { align: center middle; }
    ModelScreen > Vertical {
        width: 90; max-width: 96%; height: auto; max-height: 92%;
        border: round $primary; padding: 0 1; background: $surface;
    }
    ModelScreen.ascii > Vertical { border: ascii $primary; }
    ModelScreen Label { height: auto; width: 1fr; }
    ModelScreen .error { color: $text-error; }
    ModelScreen Input { border: none; height: 1; margin: 1 0; padding: 0; }
    ModelScreen OptionList { border: none; height: auto; max-height: 16; padding: 0; background: $surface; }
    ModelScreen OptionList { text-wrap: nowrap; text-overflow: ellipsis; }
    ModelScreen.ascii OptionList { text-overflow: clip; }
    """

    def __init__(
        self,
        base: ModelChoice,
        known: Sequence[AvailableModel],
        reason: str,
        ascii_only: bool,
        may_consent: bool = True,
    ) -> None:
        super().__init__(classes="ascii" if ascii_only else "")
        self._may_consent = may_consent
        self._base, self._known, self._reason = base, known, reason
        self._at: int | None = None

    def compose(self) -> ComposeResult:
        widest = max((len(one.name) for one in self._known), default=0)
        with Vertical() as box:
            box.border_title = "model - enter loads, esc leaves"
            reason = Label(self._reason, classes="error", markup=False)
            reason.display = bool(self._reason)
            yield reason
            yield Label("A directory, a file, or a Hugging Face id; options may follow: org/name --mask-id 5")
            yield LineInput(placeholder="type here, or choose below", compact=True)
            rows = [Text.assemble(f"{one.name:<{widest}}  ", (one.summary, "dim")) for one in self._known]
            options = OptionList(*(Option(row) for row in rows), compact=True)
            options.can_focus = False
            options.highlighted = None
            yield options

    def on_mount(self) -> None:
        self.query_one(Input).focus()

    def action_move(self, by: int) -> None:
        """Along the list; what is highlighted is what is typed."""
        if self._known:
            self._at = (self._at + by) % len(self._known) if self._at is not None else min(0, by)
            self.query_one(OptionList).highlighted = self._at % len(self._known)
            self._type(self._known[self._at].name)

    @on(OptionList.OptionSelected)
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        self._load(self._known[event.option_index].name)

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        self._load(event.value)

    def _type(self, text: str) -> None:
        line = self.query_one(Input)
        line.value = text
        line.cursor_position = len(text)

    def _load(self, text: str) -> None:
        try:
            self.dismiss(typed(text, self._base, self._may_consent))
        except ValueError as error:
            label = self.query_one(".error", Label)
            label.update(str(error))
            label.display = True
