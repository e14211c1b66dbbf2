"""The keys of the text: scrolling, selecting and editing its tokens, and those of a search."""

from __future__ import annotations

from textual.binding import Binding

SCROLLING = (
    Binding(
        "pagedown", "page(1)", "Scroll the grid down", id="page-down", show=False, tooltip="Show the text further down"
    ),
    Binding("pageup", "page(-1)", "Scroll the grid up", id="page-up", show=False, tooltip="Show the text further up"),
    Binding("y", "copy", "Copy the text", id="copy", tooltip="Copy the text of this step"),
)
SELECTING = (
    Binding("v", "inspect", "Inspect token", id="inspect", tooltip="Show what happened to a position, and why"),
    Binding(
        "right_parenthesis,ctrl+right",
        "cursor(1)",
        "Next position",
        id="cursor-next",
        show=False,
        tooltip="Select the next position",
    ),
    Binding(
        "left_parenthesis,ctrl+left",
        "cursor(-1)",
        "Previous position",
        id="cursor-previous",
        show=False,
        tooltip="Select the position before",
    ),
    Binding(
        "ctrl+down",
        "cursor_row(1)",
        "Position below",
        id="cursor-down",
        show=False,
        tooltip="Select the position below",
    ),
    Binding(
        "ctrl+up", "cursor_row(-1)", "Position above", id="cursor-up", show=False, tooltip="Select the position above"
    ),
    Binding("N,asterisk", "remasked(1)", "Next remask", id="remask-next", tooltip="Select the next remasked position"),
    Binding(
        "number_sign",
        "remasked(-1)",
        "Previous remask",
        id="remask-previous",
        show=False,
        tooltip="Select the remasked position before",
    ),
    Binding("slash", "search", "Search", id="search", key_display="/", tooltip="Find a text or a /pattern/"),
    Binding(
        "right_square_bracket",
        "turning(1)",
        "Next change of the position",
        id="change-next",
        show=False,
        tooltip="Go to the next step that changed the position",
    ),
    Binding(
        "left_square_bracket",
        "turning(-1)",
        "Previous change of it",
        id="change-previous",
        show=False,
        tooltip="Go to the step before that changed it",
    ),
    Binding("O", "drafts", "Drafts", id="drafts", show=False, tooltip="Show what the model would put at the masks"),
    Binding(
        "X",
        "solution",
        "Mark wrong cells",
        id="solution",
        show=False,
        tooltip="Mark the cells of a Sudoku that differ from its only solution",
    ),
    Binding("o", "prediction", "Model prediction", id="prediction", tooltip="Show what the model would put there"),
)
EDITING = (
    Binding("u", "mask", "Mask token", id="mask", tooltip="Mask the selected position again"),
    Binding("F", "force", "Set token", id="set-token", tooltip="Put a token at the selected position"),
    Binding(
        "K",
        "lock",
        "Lock or unlock token",
        id="lock",
        show=False,
        tooltip="Keep the selected token from any change, or free it",
    ),
    Binding("a", "prompt", "Edit the prompt", id="prompt", tooltip="Begin the sequence with other tokens"),
)
MATCHING = (
    Binding("n", "match(1)", "Next match", tooltip="Select the next match of the search"),
    Binding("N", "match(-1)", "Previous match", tooltip="Select the previous match of the search"),
)
"""Keys that mean this while a search is on, and something else otherwise."""
