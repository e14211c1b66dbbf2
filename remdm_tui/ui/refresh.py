"""The refresh clock: draw the session as often as terminal and sampler can afford."""

from __future__ import annotations

import math
import select
import signal
import time
from collections.abc import Callable

from textual.timer import Timer

from remdm_tui.console.signals import SIGNALLED
from remdm_tui.screens.watch import WatchScreen
from remdm_tui.ui.metered_driver import MOST, MeteredDriver, MeteredWriter
from remdm_tui.ui.presenter import Presenter
from remdm_tui.watch.state import SessionState

PAINTS = 60
"""Paints a second at most."""
PANELS = 5
"""Refreshes a second of what shows the whole run while playing: maps, timeline, curves."""
RUSHED = 2
"""The same while the sampler runs as fast as it can: a refresh of everything costs as much as five of the grid."""
SIDE_EVERY = 2
"""Refreshes of maps and timeline for one of the curves meanwhile: these cost as much as both."""
LEAFED = 20
"""The same while the user moves through the record: only text, header and figures keep up with every key."""
BUDGET = 0.05
"""Share of a core that the terminal may take from a sampler that runs as fast as it can."""
STALEST = 0.2
"""Seconds between paints of the grid at most, whatever they cost."""
HEARTBEAT = 0.5
"""Seconds between looks at the engine while nothing moves."""


def has_hung_up() -> bool:
    """Return whether standard input has hung up: a closed window does not always come with a signal."""
    try:
        poll = select.poll()
        poll.register(0, 0)
        return any(event & select.POLLHUP for _, event in poll.poll(0))
    except (AttributeError, OSError):  # no such call on this system, or no such file
        return False


class RefreshClock:
    """Decides when something is drawn; the presenter decides what."""

    def __init__(self, screen: WatchScreen, clock: Callable[[], float]) -> None:
        self._screen, self.session, self._clock = screen, screen.session, clock
        self.presenter = Presenter(screen, clock)
        self.last_tick = clock()
        self.resting = False
        """whether the clock is stopped until something changes"""
        self._calm = False
        """whether the last refresh of the panels left nothing to draw"""
        self._drawn: SessionState | None = None
        """the state that the panels show"""
        self._behind = False
        self._painted, self._panelled = (clock(), time.process_time()), -math.inf
        self._ticks = 0
        """ticks since the panels were drawn"""
        self._side_due = False
        """whether the last tick has left the curves to the next"""
        self._sides = SIDE_EVERY - 1
        """refreshes of maps and timeline since the curves were drawn"""
        self._fast: Timer | None = None
        self._slow: Timer | None = None

    def start(self) -> None:
        """Start the timers."""
        app = self._screen.app
        self._fast = app.set_interval(1 / PAINTS, self.tick)
        self._slow = app.set_interval(HEARTBEAT, self._listen)
        self._screen.controls.changed = self._changed
        self._screen.controls.resized = self._resized

    def stop(self) -> None:
        """Stop the timers."""
        for timer in (self._fast, self._slow):
            if timer is not None:
                timer.stop()
        self.presenter.answer.close()

    def tick(self) -> None:
        """Handle engine events, move the view, and draw what is due."""
        if not self._screen.panes.is_attached:
            return  # the application is ending: its widgets lose their screen one after the other
        self._advance()
        self._draw_due(self.last_tick)

    def _advance(self) -> bool:
        """Handle engine events and move the view; return what `WatchSession.tick` does."""
        now = self._clock()
        seconds, self.last_tick = min(now - self.last_tick, 0.25), now
        return self.session.tick(seconds)

    def _draw_due(self, now: float) -> None:
        """Draw what is due."""
        side, self._side_due = self._side_due, False
        # the panels are drawn together with the grid: Textual composes everything between two things that changed
        panels = not side and self._panels_due(now)
        # a slow line skips frames, not keys, and has no room for both at once
        panels = panels and not self._backed_up
        alone = panels and self._panels_alone(now)
        try:
            self._draw(panels, grid=not (alone or side))
            if side:
                self.presenter.draw_side()
            if not (panels or self.presenter.texts.maps_whole or self.rushing):
                self.presenter.draw_maps()
            if not (panels or side or self.presenter.curves_whole or self.rushing):
                self.presenter.draw_side()
            if panels:
                self._panelled, self._ticks = now, 0
                # keys need not wait for all of it at once, and eyes do not mind where everything moves
                if self.presenter.draw_panels():
                    self._sides += 1
                    self._side_due = self.rushing and self._sides >= SIDE_EVERY
                    if self._side_due or not self.rushing:
                        self._sides = 0
                    if not self.rushing:
                        self.presenter.draw_side()
                self._drawn = self.session.state
                self._rest_or_wake()
        except ValueError:
            # the panels read the record, and that may be a file
            if not self.session.damaged():
                raise

    def _panels_alone(self, now: float) -> bool:
        """Return whether the grid must wait for the panels; while the clock rests there is nothing to draw."""
        due = not self.resting and now - self._panelled >= 1 / PANELS
        return due and self._writer is not None and self._writer.narrow

    def _panels_due(self, now: float) -> bool:
        self._ticks += 1
        if self.session.player.playing:
            return now - self._panelled >= 1 / (RUSHED if self.rushing else PANELS)
        return now - self._panelled >= 1 / LEAFED or self._ticks >= PAINTS // LEAFED

    def _draw(self, due: bool, grid: bool) -> None:
        """Draw the words and, if wanted, the grid."""
        session = self.session
        if session.state.over:
            self._screen.app.exit()
            return
        if (reason := session.state.needs_model) is not None:
            session.picker_opened()
            self._screen.action_model(reason)
        self.presenter.draw_words()
        if grid:
            self._draw_grid(due)
        else:
            self._behind = True

    def _draw_grid(self, due: bool) -> None:
        """Draw as much of the grid as the line has room for; while playing, finish a step before the next."""
        room = MOST if self._writer is None else self._writer.room
        self._behind = self._backed_up
        if self.session.trace is None or self._behind:
            return
        presenter = self.presenter
        ready = (due or not self._saving()) and (presenter.texts.whole or not self.session.player.playing)
        start = self._clock(), time.process_time()
        if presenter.draw_grids(ready, room):
            # in the same frame, so that text, header and figures are of one step in each
            presenter.draw_step()
            self._painted = start
        self._behind = not (presenter.texts.whole and presenter.texts.colours_whole)

    def _saving(self) -> bool:
        """Return whether a paint now would take too much CPU from a sampler at full speed."""
        waited, spent = self._clock() - self._painted[0], time.process_time() - self._painted[1]
        return self.rushing and waited < min(spent / BUDGET, STALEST)

    @property
    def rushing(self) -> bool:
        """Whether the sampler runs at full speed, so that drawing slows it down."""
        player = self.session.player
        return player.playing and player.speed == math.inf and not player.ended

    @property
    def _writer(self) -> MeteredWriter | None:
        driver = self._screen.app._driver
        return driver.writer if isinstance(driver, MeteredDriver) else None

    @property
    def _backed_up(self) -> bool:
        """Whether earlier paints are still being written."""
        return self._writer is not None and self._writer.waiting

    def _listen(self) -> None:
        """Check the terminal and, while the clock rests, the engine; draw only if something has changed."""
        if has_hung_up():
            self._screen.app.exit(return_code=SIGNALLED + signal.SIGHUP)
        if not (self.resting and self._screen.panes.is_attached):
            return
        heard = self._advance()
        if heard or self.session.state != self._drawn or not self.presenter.settled:
            # all of it now: nothing else may wake the clock to draw what is left out here
            self._panelled = -math.inf
            self._draw_due(self.last_tick)

    def _changed(self, at_once: bool) -> None:
        if at_once:
            self.presenter.draw_words()
        self._wake()

    def _resized(self) -> None:
        """Draw everything at the new size now, however seldom the panels are drawn otherwise."""
        self.presenter.forget_sizes()
        self._panelled = -math.inf
        self._wake()
        self.tick()

    def _rest_or_wake(self) -> None:
        calm, self._calm = self._calm, not self._behind and self.presenter.whole and self.session.idle
        if not self._calm:
            self._wake()
        elif calm and not self.resting and self._fast is not None:
            # what a thread has finished during this refresh was drawn by this one, as the last was calm too
            self.resting = True
            self._fast.pause()

    def _wake(self) -> None:
        """Resume the fast timer."""
        self._calm = False
        if self.resting and self._fast is not None:
            self.resting = False
            self.last_tick = self._clock()
            self._fast.resume()
