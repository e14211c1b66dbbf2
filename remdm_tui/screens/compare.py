"""The dialog that picks the strategy of another pane."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engine.records import StrategyInfo
from remdm_tui.screens.dialog import ChoiceDialog


class CompareScreen(ChoiceDialog[None]):
    """Passes the choice to `add`."""

    def __init__(self, strategies: Sequence[StrategyInfo], add: Callable[[str], None], ascii_only: bool) -> None:
        """add: raises ValueError with the sentence to show."""
        super().__init__(
            "compare with ... - enter adds a pane, esc cancels",
            "Runs a strategy from the start with the same random numbers. Knobs may follow: remdm-cap:eta=.04,top_p=.8",
            [(info.name, info.summary) for info in strategies],
            ascii_only,
        )
        self._add = add

    def accept(self, text: str) -> None:
        self._add(text)
        self.dismiss()
