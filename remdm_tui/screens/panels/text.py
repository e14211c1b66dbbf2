"""The text with its keys: selecting a token, its history, and edits."""

from __future__ import annotations

import numpy as np
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from engine.records import Change
from engine.text.counts import counted
from remdm_tui.render.canvas import plain_text
from remdm_tui.render.typeset import HIDDEN
from remdm_tui.screens.panels.controls import Controls, needs_run
from remdm_tui.screens.panels.edits import NOWHERE, TokenEditor
from remdm_tui.screens.panels.panes import COSTS, PanesPanel
from remdm_tui.screens.panels.text_keys import EDITING, MATCHING, SCROLLING, SELECTING
from remdm_tui.screens.panels.text_search import TextSearch
from remdm_tui.screens.token_menu import TokenMenu
from remdm_tui.watch.inspector import neighbour
from remdm_tui.watch.notices import Notice
from remdm_tui.watch.phase import Live
from remdm_tui.widgets.inspector import InspectorPanel
from remdm_tui.widgets.map_cells import MapCells
from remdm_tui.widgets.token_grid import TokenGrid


class TextPanel(Vertical):
    """The panes, with the inspector and strategy errors below."""

    BINDINGS = [*MATCHING, *SCROLLING, *SELECTING, *EDITING]
    NAME = "text"

    def __init__(self, controls: Controls) -> None:
        super().__init__(id="text")
        self.controls, self.session = controls, controls.session
        self.panes = PanesPanel(controls)
        self.editor = TokenEditor(self, controls)
        self.finder = TextSearch(self, controls, self.look_at)
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

    def show_box(self, box: Static, shown: bool) -> None:
        """Show or hide a box over the text."""
        if shown:
            box.styles.max_height = self.box_room
        box.display = shown

    def on_resize(self) -> None:
        # in cells, since a part of a height that follows from its content means nothing to the layout; one that is
        # hidden gets it when it is shown, as the whole screen is laid out for it
        for box in self.drawers.children:
            if box.display:
                box.styles.max_height = self.box_room

    def keep_in_sight(self, lines: int) -> None:
        """Put the boxes above the text if an inspector of this height would cover its token; else below."""
        grid, at = self.panes.active, self.session.debug.inspector.at
        if at is None or not grid.size.height or not grid.holds(at):
            return
        others = (box for box in self.drawers.children if box.display and box is not self.inspector)
        rows = min(lines + 2, self.box_room) + sum(box.outer_size.height for box in others)
        below = self.content_region.bottom - grid.row_on_screen(at)
        self.drawers.set_class(below <= rows, "-above")

    @on(TokenGrid.TokenPointed)
    def _pointed(self, event: TokenGrid.TokenPointed) -> None:
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
        keys = self.controls.keys
        self.controls.say(f"Marked {where}. {keys['copy']} copies them, {keys['cancel']} ends it", "note")

    def _open_menu(self, position: int) -> None:
        """Offer what can be done with a token."""
        table = self.controls.table
        keys = table.shown()
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
            self.controls.say("The whole text is visible")
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
            self.controls.say("No further position")
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
            self.session.debug.toggle_drafts()
            self.controls.say("No drafts" if drafts.overlay else f"Drafts: {COSTS}", "note")

    @needs_run
    def action_solution(self) -> None:
        """Toggle the marks of cells that differ from the only solution of the clues."""
        session, marks = self.session, self.session.debug.solution
        record, model = session.trace, session.model
        assert record is not None
        assert model is not None
        if marks.wanted:
            marks.wanted = False
            self.controls.say("Wrong cells are no longer marked", "note")
            self.post_message(PanesPanel.Coloured())
            return
        tokens, problem = marks.at(model, record, session.position, session.sample)
        if tokens is None:
            self.controls.say(problem)
            return
        marks.wanted = True
        self.post_message(PanesPanel.Coloured())
        filled = ~np.isin(record.change(session.position, session.sample), (*HIDDEN, Change.LOCKED))
        wrong = filled & (record.tokens(session.position, session.sample) != tokens)
        self.controls.say(f"{wrong.sum()} of {counted(int(filled.sum()), 'filled cell')} wrong", "note")

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
        self.finder.ask()

    def action_match(self, by: int) -> None:
        """Select the next or previous match of the search."""
        self.finder.match(by)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return action != "match" or bool(self.session.debug.inspector.searching)

    # -- edits

    @needs_run
    def action_mask(self) -> None:
        self.editor.edit_selected("mask")

    @needs_run
    def action_lock(self) -> None:
        """Lock the position, or unlock it."""
        self.editor.toggle_lock()

    @needs_run
    def action_force(self) -> None:
        """Ask for a token to set at the position."""
        self.editor.set_token()

    @needs_run
    def action_prompt(self) -> None:
        """Ask for another prompt."""
        self.editor.set_prompt()
