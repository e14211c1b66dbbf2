"""The text with its keys: selecting a token, its history, and edits."""

from __future__ import annotations

import numpy as np
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import Static

from engine.records import Change
from engine.text.counts import counted
from remdm_tui.render.canvas import plain_text
from remdm_tui.screens.bottom_line import BottomLine, LineHistory
from remdm_tui.screens.panels.controls import Controls, needs_run
from remdm_tui.screens.panels.panes import COSTS, PanesPanel
from remdm_tui.screens.token_menu import TokenMenu
from remdm_tui.watch.debugger import EditKind
from remdm_tui.watch.inspector import matches, named_parts, neighbour
from remdm_tui.watch.notices import Notice
from remdm_tui.watch.phase import Live
from remdm_tui.watch.token_input import prompt_length, prompt_text, prompt_tokens, spell, token_of
from remdm_tui.widgets.inspector import TOP, InspectorPanel, named
from remdm_tui.widgets.line_input import newline_sign
from remdm_tui.widgets.map_cells import MapCells
from remdm_tui.widgets.token_grid import TokenGrid

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
NOWHERE = "No token selected. Press v or click one"


class TextPanel(Vertical):
    """The panes, with the inspector and strategy errors below."""

    BINDINGS = [*MATCHING, *SCROLLING, *SELECTING, *EDITING]
    NAME = "text"

    def __init__(self, controls: Controls) -> None:
        super().__init__(id="text")
        self.controls, self.session = controls, controls.session
        self.panes = PanesPanel(controls)
        self._history, self._tokens, self._prompts = LineHistory(), LineHistory(), LineHistory()
        self.inspector = InspectorPanel(id="inspector", classes="box", markup=False)
        self.failure = Static("", id="failure", classes="box", markup=False)

        self.drawers = Vertical(self.inspector, self.failure, id="drawers")
        """lies over the text or the map, so that what opens in it moves nothing"""

    def compose(self) -> ComposeResult:
        yield self.panes
        yield self.drawers

    @property
    def box_room(self) -> int:
        """Rows that a box over the text has, its frame included."""
        return max(4, self.size.height * 6 // 10)

    def open_box(self, box: Static) -> None:
        """Open another box over the text."""
        box.styles.max_height = self.box_room
        self.drawers.mount(box)

    def on_resize(self) -> None:
        # in cells, since a part of a height that follows from its content means nothing to the layout
        for box in self.drawers.children:
            box.styles.max_height = self.box_room

    def keep_in_sight(self, lines: int) -> None:
        """Put the boxes above the text if the inspector, with so many lines, would cover its token; else below."""
        grid, at = self.panes.active, self.session.debug.inspector.at
        if at is None or not grid.size.height:
            return
        others = (box for box in self.drawers.children if box.display and box is not self.inspector)
        rows = min(lines + 2, self.box_room) + sum(box.outer_size.height for box in others)
        below = self.content_region.bottom - grid.row_on_screen(at)
        self.drawers.set_class(below <= rows, "-above")

    @on(TokenGrid.Pointed)
    def _pointed(self, event: TokenGrid.Pointed) -> None:
        self.panes.activate(next((i for i, grid in enumerate(self.panes.grids) if grid is event.grid), 0))
        self.panes.active.focus(scroll_visible=False)
        self.look_at(event.position)
        if event.menu:
            self._open_menu(event.position)

    @on(TokenGrid.Dragged)
    def _dragged(self, event: TokenGrid.Dragged) -> None:
        """Say what was marked; only the text of one pane is."""
        self.panes.activate(next((i for i, grid in enumerate(self.panes.grids) if grid is event.grid), 0))
        marked = event.grid.marked
        where = f"positions {marked.start} to {marked.stop - 1}"
        self.controls.say(f"Marked {where}. {self.controls.keys['copy']} copies them, esc ends it", "note")

    def _open_menu(self, position: int) -> None:
        """Offer what can be done with a token."""
        table, keys = self.controls.table, self.controls.keys
        known = {binding.id: binding for binding in table.bound()}
        names = ("prediction", "change-next", "mask", "set-token", "lock", "bookmark", "search")
        lines = [(f"Break when position {position} changes", "")]
        lines += [(known[name].description, keys[name]) for name in names]

        async def do(number: int | None) -> None:
            if number:
                await self.app.run_action(known[names[number - 1]].action, self.screen)
            elif number == 0:
                self.session.debug.add_breakpoint(f"at {position}")
                self.controls.say(f"Stops at: {self.session.debug.breakpoints.listed[-1].text}", "note")

        self.app.push_screen(TokenMenu(f"position {position}", lines, self.controls.options.ascii), do)

    @on(MapCells.CellPointed)
    def _pointed_on_map(self, event: MapCells.CellPointed) -> None:
        """Go to the step and select the token."""
        number = next((i for i, one in enumerate(self.panes.maps) if one.cells is event.cells), 0)
        self.panes.activate(number)
        event.cells.focus(scroll_visible=False)
        if event.step != self.session.player.position:
            self.controls.seek(event.step)
        self.look_at(event.position)

    @needs_run
    def action_page(self, by: int) -> None:
        grid = self.panes.active
        if not grid.max_scroll_y:
            self.controls.say("All of it shows")
        elif grid.scroll_offset.y == (grid.max_scroll_y if by > 0 else 0):
            self.controls.say("No further down" if by > 0 else "No further up")
        else:
            grid.turn_page(by)

    @needs_run
    def action_copy(self) -> None:
        session = self.session
        if session.trace is not None and session.model is not None:
            words = session.model.pieces, session.model.fragments
            marked = self.panes.active.marked
            part = slice(marked.start, marked.stop) if marked else slice(None)
            text = plain_text(session.trace, session.position, session.sample, *words, part)
            self.app.copy_to_clipboard(text)
            session.notice = Notice(f"Copied {counted(len(text), 'character')}")
            self.controls.wake(at_once=True)

    # -- the selected position

    def look_at(self, position: int | None) -> None:
        """Select a position; None clears the selection."""
        self.session.select(position)
        self.panes.active.use_cursor(position)
        self.controls.wake()

    @needs_run
    def action_inspect(self) -> None:
        """Toggle the inspector."""
        if self.session.debug.inspector.at is not None:
            self.look_at(None)
        else:
            self.look_at(self.panes.active.first_shown)

    @needs_run
    def action_cursor(self, by: int) -> None:
        record, at = self.session.trace, self.session.debug.inspector.at
        assert record is not None
        length = record.start.tokens.shape[1]
        self._move_to(self.panes.active.first_shown if at is None else max(0, min(at + by, length - 1)))

    @needs_run
    def action_cursor_row(self, by: int) -> None:
        grid, at = self.panes.active, self.session.debug.inspector.at
        self._move_to(grid.first_shown if at is None else grid.across(at, by))

    def _move_to(self, position: int) -> None:
        """Select a position, unless it is selected: then there is none further."""
        if position == self.session.debug.inspector.at:
            self.controls.say("No position further")
        else:
            self.look_at(position)

    @needs_run
    def action_remasked(self, by: int) -> None:
        """Pause, and select the next or previous position that the step on screen remasks."""
        session = self.session
        record, position, sample = session.trace, session.position, session.sample
        assert record is not None
        found = np.flatnonzero(record.change(position, sample) == Change.REMASKED).tolist()
        at = neighbour(found, session.debug.inspector.at, by)
        if at is not None:
            self.controls.seek(position)
            self.look_at(at)
            return
        counts = record.curves.column("remasked", sample)
        steps = [step for step in (np.flatnonzero(counts) + 1).tolist() if (step - position) * by > 0]
        where = f". Step {steps[0 if by > 0 else -1]} remasks" if steps else ""
        self.controls.say(f"No token is remasked in this step{where}", "note")

    @needs_run
    def action_prediction(self) -> None:
        """Toggle between the model's prediction and the history of the position."""
        if self.session.debug.inspector.at is None:
            self.action_inspect()
        if not (isinstance(self.session.phase, Live) or self.session.debug.shows_prediction_of_step):
            self.controls.say(self.controls.obstacle)
        else:
            self.session.debug.toggle_prediction()
        self.controls.wake()

    @needs_run
    def action_drafts(self) -> None:
        """Toggle the model's drafts at the masked positions."""
        drafts = self.session.debug.drafts
        if not drafts.overlay and (obstacle := self.controls.obstacle):
            self.controls.say(obstacle)
        elif not drafts.overlay and self.session.debug.place is None:
            self.controls.say("No drafts in a comparison")
        else:
            drafts.overlay = not drafts.overlay
            self.controls.say(f"Drafts: {COSTS}" if drafts.overlay else "No drafts", "note")

    @needs_run
    def action_turning(self, by: int) -> None:
        """Seek the next or previous step that changed the position."""
        session, inspector = self.session, self.session.debug.inspector
        if inspector.at is None or session.trace is None:
            self.controls.say(NOWHERE)
            return
        session.debug.story(wait=1.0)
        step = session.debug.next_change(by)
        if step is not None:
            self.controls.seek(step)
        elif not session.debug.has_story:
            self.controls.say("Still reading the history of this position")
        else:
            where = "after" if by > 0 else "before"
            self.controls.say(f"Position {inspector.at} does not change {where} this step")

    @needs_run
    def action_search(self) -> None:
        """Ask for a text to search."""
        question = "a text, or a /pattern/ that a token must match; matches stay marked until escape"
        plain = self.controls.options.ascii
        self.app.push_screen(
            BottomLine("search ", self.search, self._history, describe=lambda _: question, ascii_only=plain)
        )

    def search(self, text: str) -> None:
        """Mark the occurrences of a text and select the next.  Raises ValueError if it does not occur."""
        if self.session.trace is None:
            return
        if not self._matches(text):
            raise ValueError(f"{text!r} does not occur in this step")
        self.session.debug.search(text)
        self.action_match(1)
        self.refresh_bindings()

    def action_match(self, by: int) -> None:
        """Select the next or previous match of the search."""
        inspector = self.session.debug.inspector
        starts = self._matches(inspector.searching)
        at = neighbour(starts, inspector.at, by)
        if at is None:
            self.controls.say(f"{inspector.searching!r} does not occur in this step", "note")
            return
        self.look_at(at)
        number = f"match {starts.index(at) + 1} of {len(starts)}"
        self.controls.say(f"{number}: n next, N previous, esc ends the search", "note")

    def end_search(self) -> None:
        """Remove the marks; the selection stays."""
        self.session.debug.search("")
        self.session.notice = Notice()
        self.refresh_bindings()
        self.controls.wake()

    def _matches(self, text: str) -> tuple[int, ...]:
        """Return where a text occurs in the step on screen.  Raises ValueError for a bad pattern."""
        session = self.session
        if session.trace is None or session.model is None:
            return ()
        position, sample = session.position, session.sample
        canvas = session.trace.tokens(position, sample), session.trace.change(position, sample)
        return matches(text, *canvas, session.model.pieces, session.model.fragments).starts

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return action != "match" or bool(self.session.debug.inspector.searching)

    # -- edits

    def _edit(self, kind: EditKind, position: int, tokens: tuple[int, ...] = (), held: float = 1.0) -> None:
        """Edit the sequence.  Raises ValueError if it cannot be edited now."""
        if obstacle := self.controls.obstacle:
            raise ValueError(obstacle)
        self.session.debug.alter(kind, position, tokens, held)
        self.controls.wake()

    def _edit_here(self, kind: EditKind) -> None:
        at = self.session.debug.inspector.at
        try:
            if at is None:
                raise ValueError(NOWHERE)
            self._edit(kind, at)
        except ValueError as error:
            self.controls.say(str(error))

    @needs_run
    def action_mask(self) -> None:
        self._edit_here("mask")

    @needs_run
    def action_lock(self) -> None:
        """Lock the position, or unlock it."""
        session = self.session
        at, record = session.debug.inspector.at, session.trace
        locked = False
        if at is not None and record is not None:
            locked = bool(record.change(session.position, session.sample)[at] == Change.LOCKED)
        self._edit_here("unlock" if locked else "lock")

    @needs_run
    def action_force(self) -> None:
        """Ask for a token to set at the position."""
        session, plain = self.session, self.controls.options.ascii
        at, model, record = session.debug.inspector.at, session.model, session.trace
        if at is None or model is None or record is None:
            self.controls.say(NOWHERE)
            return
        prediction = session.debug.inspector.prediction
        if prediction is not None and (prediction.sample, prediction.position) != (session.sample, at):
            prediction = None
        question = f'position {at}: a text, in quotes to keep spaces: " sea"'
        if prediction is not None:
            top = [ranked.token for ranked in prediction.top[:TOP]]
            parts = named_parts(model, record.tokens(session.position, session.sample), at, top)
            names = (f"#{i} {named(token, model.pieces, parts, plain)}" for i, token in enumerate(top, 1))
            question = f"position {at}: a text, or the model's: {'  '.join(names)}"

        def put(text: str) -> None:
            token, held = token_of(text, model.pieces, prediction, model.mask_id, model.fragments)
            self._edit("force", at, (token,), held)

        self.app.push_screen(BottomLine("token ", put, self._tokens, describe=lambda _: question, ascii_only=plain))

    @needs_run
    def action_prompt(self) -> None:
        """Ask for another prompt."""
        session, plain, infill = self.session, self.controls.options.ascii, self.controls.options.infill
        record, model = session.trace, session.model
        if record is None or model is None:
            return
        position = session.position
        size = prompt_length(record, position, session.sample)
        locked = record.change(position, session.sample)[:size] == Change.LOCKED
        tokens = record.tokens(position, session.sample)[:size]
        now = prompt_text(tokens.tolist(), locked.tolist(), model.pieces, model.fragments)
        present = tuple(int(token) if stays else model.mask_id for token, stays in zip(tokens, locked, strict=True))
        read = prompt_tokens if infill else spell

        def begin(text: str) -> None:
            # what was not changed keeps its tokens, even those of a character that is not whole
            kept = text == now and (infill or bool(locked.all()))
            self._edit("prompt", 0, present if kept else read(text, model.pieces, model.mask_id, model.fragments))

        sign = newline_sign(now, plain)
        question = f"fixed at the start; {{mask}} or {{mask*8}} is filled; {sign} is a line break"
        self.app.push_screen(
            BottomLine(
                "prompt ", begin, self._prompts, value=now, describe=lambda _: question, newline=sign,
                may_be_empty=True, ascii_only=plain,
            )
        )  # fmt: skip
