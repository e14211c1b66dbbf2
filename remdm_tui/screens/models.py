"""The dialog that picks a model."""

from __future__ import annotations

from collections.abc import Sequence

from engine.records import ModelChoice
from remdm_tui.screens.dialog import ChoiceDialog
from remdm_tui.settings.watch_options import parse_model
from remdm_tui.watch.available_models import AvailableModel


class ModelScreen(ChoiceDialog[ModelChoice | None]):
    """Returns the model to load, or None on escape."""

    completes = False
    DEFAULT_CSS = """
    ModelScreen > VerticalScroll { width: 90; }
    ModelScreen OptionList { max-height: 16; }
    """

    def __init__(
        self,
        base: ModelChoice,
        known: Sequence[AvailableModel],
        reason: str,
        ascii_only: bool,
        may_consent: bool = True,
    ) -> None:
        """reason: why another model is needed; empty if the user opens the dialog."""
        super().__init__(
            "model - enter loads, esc cancels",
            "A directory, a file, or a Hugging Face id; options may follow: org/name --mask-id 5",
            [(one.name, one.summary) for one in known],
            ascii_only,
            reason,
        )
        self._base, self._may_consent = base, may_consent

    def accept(self, text: str) -> None:
        self.dismiss(parse_model(text, self._base, self._may_consent))
