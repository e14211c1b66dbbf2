"""The header: what made the step on screen, and what is set for the next one."""

from __future__ import annotations

from engine.records import RunChoice
from engine.sampling.trace import Record
from remdm_tui.console.sanitize import sanitize
from remdm_tui.render.canvas import sampling
from remdm_tui.screens.watch import WatchScreen
from remdm_tui.ui import panel_data
from remdm_tui.watch.branches import describe_changes
from remdm_tui.widgets.text_rows import PLAIN

NARROW = 100
"""Columns below which the header has less of the playing."""
SMALLEST = (60, 16)
"""Columns and rows below which the text is shown alone."""


class HeaderPresenter:
    """Draws the header of a session's screen."""

    def __init__(self, screen: WatchScreen) -> None:
        self.screen, self.session, self.options = screen, screen.session, screen.options

    def draw_waiting(self, failed: bool) -> None:
        """Draw it as long as no run is on screen."""
        session, plain = self.session, self.options.ascii
        name = sanitize(session.state.choice.name, cells=True)
        right = panel_data.waiting_status(failed, plain)
        more = [*panel_data.training_step(session.training), f"seed {session.seed}"]
        line = panel_data.status(name, more, right, self.screen.app.size.width - 2, plain)
        self._write(line)

    def draw(self, trace: Record) -> None:
        """Draw it for the step on screen."""
        session, plain, size = self.session, self.options.ascii, self.screen.app.size
        name = sanitize(session.state.choice.name if session.model is None else session.model.name, cells=True)
        parts = self._parts()
        if size.width < SMALLEST[0] or size.height < SMALLEST[1]:
            parts.insert(0, "small terminal: text only")
        at = panel_data.progress(trace, session.position)
        right = panel_data.play_status(session.player, at, plain, size.width < NARROW, session.phase)
        self._write(panel_data.status(name, parts, right, size.width - 2, plain))

    def _write(self, line: str) -> None:
        self.screen.status.write([((f" {line} ", PLAIN),)])

    def _parts(self) -> list[str]:
        """Return the parts behind the model's name, the most important first."""
        session, made, upcoming = self.session, self.session.made, self.session.upcoming
        effective = {row.info.name for row in session.panel()}
        # without a list of strategies nothing is known of their knobs
        hidden = set(made.knobs) - effective if session.strategies else ()
        strategy, *others = sampling(made, hidden, describe_changes(made, upcoming) if made != upcoming else "")
        run = session.run
        others.append(f"seed {session.seed if run is None else run.seed}")
        # what is left out first stands last
        return [
            strategy, *self._kind(), *panel_data.training_step(session.training), *self._which(run), *others,
            *panel_data.active_breakpoints(session.debug.breakpoints.listed, self.options.ascii),
        ]  # fmt: skip

    def _which(self, run: RunChoice | None) -> list[str]:
        """Return which of several samples and branches is on screen."""
        session, parts = self.session, list[str]()
        if run is not None and run.batch > 1:
            parts.append(f"sample {session.sample + 1}/{run.batch}")
        elif self.options.item is not None:
            parts.append(sanitize(f"item {self.options.item.name}", cells=True, ascii_only=self.options.ascii))
        elif run is not None and run.first:
            parts.append(f"sample {run.first}")
        if len(session.recording.branches) > 1:
            current = session.debug.branches.current
            panes = self.screen.panes
            pane = panes.group.letter(current)
            # what does not fit is on no part of the screen
            several = f" of {len(panes.group.panes)}" if panes.hidden else ""
            parts += [f"pane {pane}{several}"] * bool(pane) + [f"branch {current}"]
        return parts

    def _kind(self) -> list[str]:
        """Return that a recording is on screen which does not change, and whether it is damaged."""
        if not self.session.state.read_only:
            return []
        if not self.session.recording.damage:
            return ["recording"]
        return ["damaged" if self.screen.app.size.width < NARROW else "damaged recording"]
