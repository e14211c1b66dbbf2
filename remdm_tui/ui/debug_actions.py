"""What the debugger's keys do."""

from __future__ import annotations

from textual.app import App

from engine.records import Change
from engine.sampling.trace import Record
from remdm_tui.screens.breakpoints import BreakpointScreen
from remdm_tui.screens.line import LineScreen
from remdm_tui.settings.watch_options import WatchOptions
from remdm_tui.watch import player as playing
from remdm_tui.watch.debugger import Kind
from remdm_tui.watch.inspector import find, named_parts
from remdm_tui.watch.notices import Notice
from remdm_tui.watch.player import Player
from remdm_tui.watch.run_recording import SUFFIX
from remdm_tui.watch.session import WatchSession
from remdm_tui.watch.token_input import prompt_length, prompt_text, prompt_tokens, spell, token_of
from remdm_tui.widgets.inspector import TOP, named
from remdm_tui.widgets.line_input import ASCII_NEWLINE, NEWLINE
from remdm_tui.widgets.token_grid import TokenGrid

NOWHERE = "no position is looked at: v or a click looks at one"


class DebugApp(App[None]):
    """An application that watches something; who inherits it says what, and draws it."""

    options: WatchOptions
    watching: WatchSession

    @property
    def _grid(self) -> TokenGrid:
        raise NotImplementedError

    def _wake(self) -> None:
        """Have what changed drawn."""
        raise NotImplementedError

    def _play(self, player: Player) -> None:
        self.watching.player = player
        self._wake()

    def _say_so(self, text: str, error: bool = True) -> None:
        self.watching.notice = Notice(text, error=error, passing=True)
        self._wake()

    def action_stops(self) -> None:
        """List the breakpoints, and change them."""
        debug = self.watching.debug
        self.push_screen(
            BreakpointScreen(
                lambda: debug.stops.listed, debug.stop_at, debug.toggle_stop, debug.remove_stop, self.options.ascii
            )
        )

    def action_keep(self) -> None:
        """Name the file that the recording stays in."""
        tape = self.watching.recording
        asks = f"{tape.name} is being written; a copy goes to:" if tape.name else "The file that it goes to:"
        here = f"run-{self.watching.seed}{SUFFIX}"
        self.push_screen(
            LineScreen("keep the recording", asks, here, self.options.ascii, self.watching.keep), lambda _: self._wake()
        )

    # -- the position under the cursor

    def _look_at(self, position: int | None) -> None:
        """Put the cursor there, or take it away."""
        inspector = self.watching.debug.inspector
        # an opinion is asked for each time: it costs a network call
        inspector.asking = inspector.asking and inspector.at == position
        inspector.at = position
        self._grid.use_cursor(position)
        self._wake()

    @property
    def _record(self) -> Record | None:
        return self.watching.trace

    def action_inspect(self) -> None:
        """Show what happened to a position, or no more."""
        record = self._record
        if self.watching.debug.inspector.at is not None:
            self._look_at(None)
        elif record is not None:
            self._look_at(self._grid.first_shown)

    def action_cursor(self, by: int) -> None:
        """To the position so many further."""
        record, at = self._record, self.watching.debug.inspector.at
        if record is None:
            return
        length = record.start.tokens.shape[1]
        self._look_at(self._grid.first_shown if at is None else max(0, min(at + by, length - 1)))

    def action_cursor_row(self, by: int) -> None:
        """To the line above or below."""
        at = self.watching.debug.inspector.at
        if self._record is not None:
            self._look_at(self._grid.first_shown if at is None else self._grid.across(at, by))

    def action_opinion(self) -> None:
        """Ask the network about the position, or show its story again."""
        watching = self.watching
        inspector = watching.debug.inspector
        if inspector.at is None:
            self.action_inspect()
        if inspector.at is None:
            return
        current = (watching.sample, inspector.at, watching.position)
        had = inspector.opinion
        if inspector.asking and had is not None and (had.sample, had.position, had.step) == current:
            inspector.asking = False
        else:
            inspector.asking = inspector.pending = True
            watching.link.look(*current)
        self._wake()

    def action_turning(self, by: int) -> None:
        """To the step at which the position changed next, or before."""
        watching, inspector = self.watching, self.watching.debug.inspector
        if inspector.at is None or watching.trace is None:
            self._say_so(NOWHERE)
            return
        watching.debug.story(wait=1.0)
        step = inspector.turn(watching.position, by)
        if step is None:
            more = "the story of this position is still being read" if not inspector.has_story else ""
            self._say_so(more or f"position {inspector.at} does not change {'after' if by > 0 else 'before'} this step")
        else:
            self._play(playing.seek(watching.player, step))

    def action_search(self) -> None:
        """Find a text among the tokens."""
        inspector = self.watching.debug.inspector
        self.push_screen(
            LineScreen(
                "search", "A text, or a /pattern/ that a token matches; enter goes to the next.", inspector.searched,
                self.options.ascii, self._search,
            ),
        )  # fmt: skip

    def _search(self, text: str) -> None:
        """Raises ValueError where it is not there."""
        watching, inspector = self.watching, self.watching.debug.inspector
        if watching.trace is None or watching.model is None:
            return
        position, sample = watching.position, watching.sample
        tokens, change = watching.trace.tokens(position, sample), watching.trace.change(position, sample)
        after = -1 if inspector.at is None else inspector.at
        found = find(text, tokens, change, watching.model.pieces, after, watching.model.fragments)
        if found is None:
            raise ValueError(f"{text!r} is nowhere in this step")
        inspector.searched = text
        self._look_at(found)

    # -- a hand on the canvas

    def _alter(self, kind: Kind, position: int, tokens: tuple[int, ...] = (), held: float = 1.0) -> None:
        """Raises ValueError where it cannot be done."""
        self.watching.debug.alter(kind, position, tokens, held)
        self._wake()

    def _alter_here(self, kind: Kind) -> None:
        at = self.watching.debug.inspector.at
        try:
            if at is None:
                raise ValueError(NOWHERE)
            self._alter(kind, at)
        except ValueError as error:
            self._say_so(str(error))

    def action_mask(self) -> None:
        """Mask the position again."""
        self._alter_here("mask")

    def action_lock(self) -> None:
        """Keep the position from the sampler, or give it back."""
        watching = self.watching
        at, record = watching.debug.inspector.at, watching.trace
        locked = False
        if at is not None and record is not None:
            locked = bool(record.change(watching.position, watching.sample)[at] == Change.LOCKED)
        self._alter_here("unlock" if locked else "lock")

    def action_force(self) -> None:
        """Put a token: typed, or one of the network's."""
        watching, plain = self.watching, self.options.ascii
        at, model, record = watching.debug.inspector.at, watching.model, watching.trace
        if at is None or model is None or record is None:
            self._say_so(NOWHERE)
            return
        opinion = watching.debug.inspector.opinion
        if opinion is not None and (opinion.sample, opinion.position) != (watching.sample, at):
            opinion = None
        asks = f'The token at position {at}: as text, or in quotes with its spaces: " sea".'
        if opinion is not None:
            top = [ranked.token for ranked in opinion.top[:TOP]]
            parts = named_parts(model, record.tokens(watching.position, watching.sample), at, top)
            names = (f"#{i} {named(token, model.pieces, parts, plain)}" for i, token in enumerate(top, 1))
            asks += f" Or the network's: {'  '.join(names)}"

        def put(text: str) -> None:
            token, held = token_of(text, model.pieces, opinion, model.mask_id, model.fragments)
            self._alter("force", at, (token,), held)

        self.push_screen(LineScreen("put a token", asks, "", plain, put))

    def action_prompt(self) -> None:
        """Begin the canvas with other tokens and masks."""
        watching, record, model = self.watching, self.watching.trace, self.watching.model
        if record is None or model is None:
            return
        position = watching.position
        size = prompt_length(record, position, watching.sample)
        locked = record.change(position, watching.sample)[:size] == Change.LOCKED
        tokens = record.tokens(position, watching.sample)[:size]
        now = prompt_text(tokens.tolist(), locked.tolist(), model.pieces, model.fragments)
        present = tuple(int(token) if stays else model.mask_id for token, stays in zip(tokens, locked, strict=True))
        read = prompt_tokens if self.options.infill else spell

        def begin(text: str) -> None:
            # what was not changed keeps its tokens, even those of a character that is not whole
            kept = text == now and (self.options.infill or bool(locked.all()))
            self._alter("prompt", 0, present if kept else read(text, model.pieces, model.mask_id, model.fragments))

        sign = ASCII_NEWLINE if self.options.ascii else NEWLINE
        asks = (
            f"Prompt: fixed at the start; {{mask}} or {{mask*8}} is filled; {sign} is a line break. "
            "Spelled with the longest tokens that fit."
        )
        self.push_screen(LineScreen("the prompt", asks, now, self.options.ascii, begin, sign))

    # -- branches

    def action_branch(self) -> None:
        """Begin a branch here, with the knobs as they were."""
        watching = self.watching
        if watching.trace is None or not watching.live or not watching.recording.writable:
            self._say_so("there is no engine here to go on with a branch")
        elif watching.debug.branching.off():
            self._wake()

    def action_turn_branch(self, by: int) -> None:
        """To the next branch of the tree, or the one before."""
        if self.watching.trace is None or not self.watching.debug.branching.turn(by):
            self._say_so("there is one branch: go back and turn a knob, and there are two")
        self._wake()

    def action_compare(self) -> None:
        """Mark what differs from another branch, or no more."""
        if self.watching.trace is None or not self.watching.debug.branching.compare():
            self._say_so("there is one branch: go back and turn a knob, and there are two")
        self._wake()

    def action_parting(self) -> None:
        """To the step and the position at which the two branches first differ."""
        watching = self.watching
        branching = watching.debug.branching
        if branching.against is None:
            self.action_compare()
        if branching.against is None:
            return
        found = branching.parting()
        if found is None:
            self._say_so(f"branches {branching.here} and {branching.against} are the same so far", error=False)
            return
        watching.sample = found.sample
        self._play(playing.seek(watching.player, found.step))
        self._look_at(found.position)
        said = f"branches {branching.here} and {branching.against} part at step {found.step}, position {found.position}"
        self._say_so(said, error=False)
