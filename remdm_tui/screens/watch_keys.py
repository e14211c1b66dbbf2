"""The keys of the watch screen: its own, and those of its panels, which work wherever the focus is."""

from __future__ import annotations

from dataclasses import replace

from textual.binding import Binding

from remdm_tui.preferences.keymap import PanelBinding
from remdm_tui.screens.panels.branches import BRANCHES, BranchesPanel
from remdm_tui.screens.panels.knobs import KNOBS, KnobsPanel
from remdm_tui.screens.panels.panel_zoom import DIGITS, MAP
from remdm_tui.screens.panels.panes import PANES, PanesPanel
from remdm_tui.screens.panels.text import TextPanel
from remdm_tui.screens.panels.text_keys import EDITING, MATCHING, SCROLLING, SELECTING
from remdm_tui.screens.panels.timeline import BOOKMARKS, SEEKING, TimelinePanel
from remdm_tui.widgets.map_cells import MAP_KEYS

PLAYING = (Binding("space", "play_pause", "Play/pause", id="play", tooltip="Play, or pause; nothing is lost"),)
RUNS = (
    Binding("r", "restart(0)", "Restart", id="restart", tooltip="Start the run again with the same seed"),
    Binding("n", "restart(1)", "Next seed", id="next-seed", tooltip="Start a run with the next seed"),
    Binding(
        "b",
        "sample(1)",
        "Next sample of the batch",
        id="sample-next",
        show=False,
        tooltip="Show the next sample of the batch",
    ),
    Binding("B", "sample(-1)", "Previous sample", id="sample-previous", show=False, tooltip="Show the sample before"),
    Binding("J", "overview", "Table ...", id="table", show=False, tooltip="List samples, or panes, with their figures"),
    Binding("U", "app.runs", "Runs of the session ...", id="runs", show=False, tooltip="Open, compare, record, delete"),
)
STOPPING = (
    Binding(
        "x", "breakpoints", "Breakpoints", id="breakpoints", show=False, tooltip="Stop the run when something happens"
    ),
)
SESSION = (
    Binding("colon", "command", "Command", id="command", key_display=":", tooltip="Type a step, a knob or a command"),
    Binding(
        "I",
        "legend",
        "Pin the legend",
        id="legend",
        show=False,
        tooltip="Keep what glyphs, colours and symbols mean below the text",
    ),
    Binding("V", "app.tour", "First steps", id="tour", show=False, tooltip="Show the six keys that everybody needs"),
    Binding(
        "W", "export", "Export ...", id="export", show=False, tooltip="Write the run as a page, a picture, a table"
    ),
    Binding(
        "w", "keep", "Keep the recording", id="keep", show=False, tooltip="Write the run to a file that replay opens"
    ),
    Binding(
        "R",
        "revive",
        "Restart the engine",
        id="revive",
        show=False,
        tooltip="Start another engine, which continues the run",
    ),
    Binding("m", "model", "Model ...", id="model", show=False, tooltip="Load another model"),
    Binding(
        "i",
        "about",
        "About the model",
        id="about",
        show=False,
        tooltip="Show the model's properties, and measure its loss",
    ),
    Binding("f6", "focus_panel(1)", "Next panel", id="panel-next", show=False, tooltip="Focus the next panel"),
    Binding(
        "shift+f6",
        "focus_panel(-1)",
        "Previous panel",
        id="panel-previous",
        show=False,
        tooltip="Focus the panel before",
    ),
    Binding(
        "escape",
        "cancel",
        "Cancel, close",
        id="cancel",
        show=False,
        tooltip="Stop loading, close what is open, or clear the focus",
    ),
    Binding("question_mark", "help", "Help", id="help", key_display="?", tooltip="List every key"),
    Binding("q", "app.quit", "Quit", id="quit", tooltip="End the session"),
)

DECLARED: tuple[tuple[str, Binding], ...] = tuple(
    (panel, binding)
    for panel, bindings in (
        ("", PLAYING), (TimelinePanel.NAME, SEEKING), (KnobsPanel.NAME, KNOBS), (PanesPanel.NAME, PANES),
        ("", DIGITS), ("", RUNS),
        (TextPanel.NAME, SCROLLING), ("", STOPPING), (TextPanel.NAME, SELECTING), (TextPanel.NAME, EDITING),
        (BranchesPanel.NAME, BRANCHES), (TimelinePanel.NAME, BOOKMARKS), ("", SESSION),
    )
    for binding in bindings
)  # fmt: skip
"""Every key of the screen in the order in which they are listed, with the panel that it belongs to."""
FOOTER = {"play", "forward", "back", "strategy-next", "compare", "restart", "next-seed", "command", "help", "quit"}
"""Ids that the footer shows wherever the focus is; a panel that has the focus adds its own."""

LIVE = {"strategy-next", "restart", "next-seed"}
"""Ids of the footer's keys that a recording refuses."""


def everywhere(panel: str, binding: Binding) -> Binding:
    """Return a panel's binding for the screen, where it works whatever has the focus."""
    action = f"panel({panel!r}, {binding.action!r})" if panel else binding.action
    return replace(binding, action=action, show=binding.id in FOOTER)


SCREEN_KEYS = tuple(everywhere(panel, binding) for panel, binding in DECLARED)
REFUSED = frozenset(binding.action for binding in SCREEN_KEYS if binding.id in LIVE)
"""The actions of `LIVE`."""
COMPARE = next(binding.action for binding in SCREEN_KEYS if binding.id == "compare")
"""The action that a recording of one branch refuses too."""
LOCAL = tuple(PanelBinding.of(binding, MAP, f"panel({MAP!r}, {binding.action!r})") for binding in MAP_KEYS)
"""Keys that mean something else while a panel has the focus; with the panel's name."""
SEARCHING = (
    *(replace(everywhere(TextPanel.NAME, binding), show=True) for binding in MATCHING),
    Binding("escape", "end_search", "End search"),
)
"""Keys that come before the others while a search is on."""
