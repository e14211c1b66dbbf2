"""The timeline with its keys: steps, speed and bookmarks."""

from __future__ import annotations

from textual import on
from textual.binding import Binding

from remdm_tui.screens.panels.controls import Controls, needs_run
from remdm_tui.watch import player as playing
from remdm_tui.watch.bookmarks import bookmarked_positions, next_bookmark
from remdm_tui.watch.run_recording import describe_error
from remdm_tui.widgets.timeline import Timeline

SEEKING = (
    Binding("right,l", "forward", "Step", id="forward", key_display="→", tooltip="Take one step, and pause"),
    Binding("left,h", "step_back", "Back", id="back", key_display="←", tooltip="Go one step back, and pause"),
    Binding(
        "shift+right,L", "jump(10)", "Ten steps on", id="jump-forward", show=False, tooltip="Go ten recorded steps on"
    ),
    Binding("shift+left,H", "jump(-10)", "Ten steps back", id="jump-back", show=False, tooltip="Go ten steps back"),
    Binding("home,g", "start", "First step", id="start", tooltip="Go to the start of the run"),
    Binding("end,G", "end", "Last recorded step", id="end", tooltip="Go to the last step that is recorded"),
    Binding("less_than_sign,comma", "speed(-1)", "Slower", id="slower", tooltip="Play fewer steps a second"),
    Binding("greater_than_sign,full_stop", "speed(1)", "Faster", id="faster", tooltip="Play more steps a second"),
)
BOOKMARKS = (
    Binding("M", "mark", "Bookmark this step", id="bookmark", tooltip="Keep this step, to find it again"),
    Binding(
        "right_curly_bracket",
        "to_mark(1)",
        "Next bookmark",
        id="bookmark-next",
        show=False,
        tooltip="Go to the next bookmarked step",
    ),
    Binding(
        "left_curly_bracket",
        "to_mark(-1)",
        "Previous bookmark",
        id="bookmark-previous",
        show=False,
        tooltip="Go to the bookmarked step before",
    ),
)

AT_START = "Already at the start"
AT_END = "Already the last recorded step"


class TimelinePanel(Timeline, can_focus=True):
    """Seeks, sets the speed, and sets bookmarks."""

    BINDINGS = [*SEEKING, *BOOKMARKS]
    NAME = "timeline"

    def __init__(self, controls: Controls) -> None:
        super().__init__(ascii_only=controls.options.ascii, id="timeline")
        self.controls, self.session = controls, controls.session

    @on(Timeline.Moved)
    def _moved(self, event: Timeline.Moved) -> None:
        self.controls.seek(event.position)

    @needs_run
    def action_forward(self) -> None:
        if self.session.player.done:
            self._say_end("The run ended")
        elif self.session.player.live and (obstacle := self.controls.obstacle):
            self.controls.say(obstacle)
        else:
            self.controls.play(playing.forward(self.session.player))

    @needs_run
    def action_step_back(self) -> None:
        if self._at(0):
            self.controls.say(AT_START)
            return
        self.controls.play(playing.back(self.session.player))

    @needs_run
    def action_jump(self, by: int) -> None:
        end = self.session.recorded if by > 0 else 0
        if self._at(end):
            self._say_end(AT_END) if by > 0 else self.controls.say(AT_START)
        else:
            self.controls.seek(self.session.player.position + by)

    @needs_run
    def action_start(self) -> None:
        if self._at(0):
            self.controls.say(AT_START)
        else:
            self.controls.seek(0)

    @needs_run
    def action_end(self) -> None:
        if self._at(self.session.recorded):
            self._say_end(AT_END)
        else:
            self.controls.seek(self.session.recorded)

    def _say_end(self, sentence: str) -> None:
        """Say why the view cannot go on: the damage of the file that ends the record, else `sentence`."""
        if self.session.damaged():
            self.controls.wake()
        else:
            self.controls.say(sentence)

    def _at(self, position: int) -> bool:
        """Return whether the view is paused at a position."""
        player = self.session.player
        return player.position == position and not player.playing and not player.stepping

    def action_speed(self, by: int) -> None:
        player = playing.faster(self.session.player, by)
        if player.speed == self.session.player.speed:
            self.controls.say("Already the fastest" if by > 0 else "Already the slowest")
        else:
            self.controls.play(player)
            if self.session.trace is None:
                self.controls.say(f"Speed {playing.speed_text(player)}", "note")

    @property
    def bookmarks(self) -> tuple[int, ...]:
        """Bookmarked positions of the branch on screen."""
        session = self.session
        if not session.has_record:
            return ()
        return bookmarked_positions(session.recording.marks, session.recording.branches, session.debug.branches.current)

    @needs_run
    def action_mark(self) -> None:
        """Bookmark the step on screen."""
        session, say = self.session, self.controls.say
        assert session.trace is not None
        position = min(session.player.position, len(session.trace))
        if position in self.bookmarks:
            say(f"Step {position} is already bookmarked", "note")
            return
        try:
            kept = session.recording.mark(session.debug.branches.current, position)
        except (OSError, ValueError) as error:
            say(f"Cannot bookmark step {position}: {describe_error(error)}", "failure")
            return
        keys = self.controls.keys
        more = "" if kept else " for this session only: the run is not recorded"
        moves = f"{keys['bookmark-previous']} {keys['bookmark-next']}: go to bookmarks"
        say(f"Bookmarked step {position}{more} ({moves})", "note")

    @needs_run
    def action_to_mark(self, by: int) -> None:
        """Seek the next or previous bookmark."""
        found = next_bookmark(self.bookmarks, self.session.player.position, by)
        if found is None:
            where = "after" if by > 0 else "before"
            self.controls.say(f"No bookmark {where} this step ({self.controls.keys['bookmark']}: set one)")
        else:
            self.controls.seek(found)
