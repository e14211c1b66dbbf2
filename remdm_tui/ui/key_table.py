"""Every key of the application, collected from the bindings of its screen for help, palette and `list keys`."""

from __future__ import annotations

from textual.binding import Binding

from remdm_tui.screens.watch_keys import LOCAL, SCREEN_KEYS

APP_KEYS = (
    Binding(
        "ctrl+z",
        "suspend_process",
        "Back to the shell; fg returns",
        id="suspend",
        show=False,
        priority=True,
        tooltip="Leave the terminal to the shell; the session waits",
    ),
)
"""Keys that work above dialogs too."""
KEYS: tuple[Binding, ...] = (*SCREEN_KEYS, *LOCAL, *APP_KEYS)
