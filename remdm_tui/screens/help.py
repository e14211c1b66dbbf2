"""The help dialog: every key by what it is for, with tokens and symbols; what is typed filters it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from rich.text import Text
from textual.events import Key
from textual.widgets import Input, Label

from remdm_tui.render.palette import Palette
from remdm_tui.render.symbols import FIGURE_MEANINGS, SYMBOLS
from remdm_tui.render.typeset_grid import DIFFERS, REPEATED
from remdm_tui.screens.dialog import ListDialog
from remdm_tui.widgets.line_input import LineInput

GROUPS: Mapping[str, str] = {
    "play": "play forward back jump-forward jump-back start end slower faster restart next-seed strategy-next "
    "strategy-previous eta-down eta-up p-down p-up temperature-down temperature-up knob-next knob-previous knob-down "
    "knob-up knob-type",
    "look": "inspect prediction drafts cursor-next cursor-previous cursor-down cursor-up remask-next remask-previous "
    "change-next change-previous solution search page-down page-up colour legend panel-text map panel-step panel-knobs "
    "panel-curves sample-next sample-previous map-up map-down map-select map-in map-out map-whole map-pan-left "
    "map-pan-right map-pan-up map-pan-down map-marks",
    "change": "mask set-token lock prompt branch",
    "debug": "breakpoints bookmark bookmark-next bookmark-previous revive",
    "compare": "compare add-pane table pane-next pane-previous differences first-difference branch-next "
    "branch-previous",
    "files": "runs keep export copy model about",
    "application": "command panel-next panel-previous tour cancel help quit suspend",
}
"""Ids of keys by what they are for, in the order of the help."""


class HelpRow(NamedTuple):
    """One line of the help, or with `title` the line above a group."""

    key: str
    what: str
    more: str = ""
    title: bool = False
    id: str = ""


def key_group(name: str) -> str:
    """Return the group of a key."""
    return next((group for group, names in GROUPS.items() if name in names.split()), "application")


class HelpScreen(ListDialog[str | None]):
    """Lists the keys of the focused panel first; enter returns the id of the highlighted key, escape None."""

    DEFAULT_CSS = """
    HelpScreen > VerticalScroll { width: 84; height: 92%; }
    HelpScreen OptionList { height: 1fr; max-height: 100%; }
    HelpScreen Label.error { color: $note; }
    """

    def __init__(
        self,
        keys: Sequence[tuple[str, str, str, str]],
        colours: Palette,
        ascii_only: bool,
        *,
        panel: str = "",
        own: Collection[str] = (),
    ) -> None:
        """keys: id, keys, what they do in short and at length; panel: what has the focus, `own` the ids of its keys."""
        super().__init__("help - type to filter, enter does it, esc closes", ascii_only=ascii_only)
        self._keys, self._colours, self._panel, self._own = keys, colours, panel, own
        self._shown: list[HelpRow] = []

    def line(self) -> LineInput:
        return LineInput(placeholder="filter: mask, compare, ctrl ...", compact=True)

    def _sections(self) -> list[tuple[str, list[HelpRow]]]:
        by_group: dict[str, list[HelpRow]] = {name: [] for name in (f"Keys of the {self._panel}", *GROUPS)}
        for name, key, what, more in self._keys:
            group = f"Keys of the {self._panel}" if name in self._own else key_group(name)
            by_group[group].append(HelpRow(key, what, more, id=name))
        tokens = [HelpRow(look.fill * 3 or "word", look.name) for look in self._colours.looks.values()]
        tokens += [
            HelpRow(f"{REPEATED}5", "stands twice in a row, column or box of a grid"),
            HelpRow(f"5{DIFFERS[self._ascii]}", "differs from the only solution of a Sudoku"),
        ]
        symbols = [HelpRow(name, what) for name, what in (*SYMBOLS, *FIGURE_MEANINGS)]
        return [*by_group.items(), ("tokens", tokens), ("symbols", symbols)]

    def filtered(self, text: str) -> list[HelpRow]:
        """Return the rows that have every word of a text, below the titles of their groups."""
        words, rows = text.casefold().split(), []
        for title, found in self._sections():
            fits = [
                row for row in found
                if all(word in f"{title} {row.key} {row.what} {row.more} {row.id}".casefold() for word in words)
            ]  # fmt: skip
            if fits:
                rows += [HelpRow("", title, title=True), *fits]
        return rows

    def rows(self) -> Sequence[Text]:
        self._shown = self.filtered(self.query_one(LineInput).value)
        wide = max((len(row.key) for row in self._shown), default=0)
        looks = {look.name: look.style for look in self._colours.looks.values()}
        lines = []
        for row in self._shown:
            if row.title:
                lines.append(Text(row.what, style="bold underline"))
                continue
            line = Text(f"  {row.key:<{wide}}  ", style="bold")
            if row.what in looks:
                line.stylize(looks[row.what], 2, 2 + len(row.key))
            line.append(row.what, style="not bold")
            lines.append(line)
        return lines

    def headings(self) -> Collection[int]:
        return {number for number, row in enumerate(self._shown) if row.title}

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if "?" in event.value:
            # the key that opens the help closes it, and the line would take it for a letter
            self.dismiss(None)
            return
        self.list_rows()
        self.complain("" if self._shown else "No key does that. Delete a letter")

    def moved(self, row: int) -> None:
        self.complain(self._shown[row].more)

    def chosen(self, row: int) -> None:
        self.dismiss(self._shown[row].id or None)

    def accept(self, text: str) -> None:
        """Do the highlighted key; without one, close."""
        if self.at is None:
            self.dismiss(None)
        else:
            self.chosen(self.at)

    def on_key(self, event: Key) -> None:
        """Let the page keys scroll the list."""
        if event.key in ("pageup", "pagedown"):
            event.stop()
            self.options.scroll_relative(
                y=self.options.size.height * (1 if event.key == "pagedown" else -1), animate=False
            )

    def complain(self, sentence: str) -> None:
        # always a line, so that the list keeps its place
        super().complain(sentence)
        self.query_one(".error", Label).display = True
