"""The paint clock: it brings the screen up to what `Watching` holds, as often as terminal and sampler can bear."""

from __future__ import annotations

import asyncio
import math
import select
import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from rich.console import RenderableType
from rich.text import Text
from textual.containers import Vertical
from textual.content import Content
from textual.timer import Timer
from textual.widgets import Label, Static

from engine.records import ModelInfo
from remdm_tui.console.sanitize import sanitize
from remdm_tui.console.signals import ENDING, FAILED, SIGNALLED
from remdm_tui.render.canvas import title
from remdm_tui.render.model_summary import placement
from remdm_tui.render.progress_line import loading_line, steps_line
from remdm_tui.render.text_layout import Pieces
from remdm_tui.ui import panel_data
from remdm_tui.ui.comfort_actions import ComfortApp
from remdm_tui.ui.metered_driver import MOST, MeteredWriter, has_shell
from remdm_tui.ui.play_actions import PlayApp
from remdm_tui.watch.findings import Failure
from remdm_tui.watch.inspector import named_parts
from remdm_tui.watch.notices import Notice, Progress
from remdm_tui.widgets.branch_tree import BranchTree
from remdm_tui.widgets.figures import FiguresPanel
from remdm_tui.widgets.inspector import InspectorPanel, of_opinion, of_story
from remdm_tui.widgets.timeline import Timeline

PAINTS = 60
"""Paints a second at most."""
PANELS = 5
"""Refreshes a second of everything but the grid while playing."""
RUSHED = 2
"""The same while the sampler runs as fast as it can: a refresh of everything costs as much as five of the grid."""
LEAFED = 20
"""The same while somebody moves through the record: the grid alone keeps up with every key."""
BUDGET = 0.05
"""Share of a core that the terminal may take from a sampler that runs as fast as it can."""
STALEST = 0.2
"""Seconds between paints of the grid at most, whatever they cost."""
HEARTBEAT = 0.5
"""Seconds between looks at the engine while nothing moves."""
SMALLEST = (60, 16)
"""Columns and rows below which the text is shown alone."""


def terminal_gone() -> bool:
    """Whether standard input has hung up: a closed window does not always come with a signal."""
    try:
        poll = select.poll()
        poll.register(0, 0)
        return any(event & select.POLLHUP for _, event in poll.poll(0))
    except (AttributeError, OSError):  # no such call on this system, or no such file
        return False


class PaintedApp(PlayApp, ComfortApp):
    """An application whose screen follows what it watches; who inherits it makes the widgets and starts the clock."""

    _status: Label
    _text: Vertical
    _figures: FiguresPanel
    _branches: BranchTree
    _branches_box: Vertical
    _timeline: Timeline
    _inspector: InspectorPanel
    _failure: Static
    _law: Label
    _banner: Label
    _fast: Timer

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock, self._last_tick = clock, clock()
        self._pace, self._steps_per_second = panel_data.Pace(clock), 0.0
        self._resting = self._behind = False
        self._painted, self._panelled = (clock(), time.process_time()), -math.inf
        self._beats = 0
        """of the paint clock, since the panels were drawn"""
        self._side_due = False
        """whether the last beat has left the panels at the side to the next"""
        # what was drawn last, so that only what changed is drawn again
        self._shown: dict[str, object] = {}
        self._signals: tuple[tuple[signal.Signals, Any], ...] = ()

    def _tick(self) -> None:
        now = self._clock()
        seconds, self._last_tick = min(now - self._last_tick, 0.25), now
        self.watching.tick(seconds)
        side, self._side_due = self._side_due, False
        # the panels are drawn together with the grid: Textual composes everything between two things that changed
        panels = not side and self._panels_due(now)
        # a slow line skips frames, not keys, and has no room for both at once
        panels = panels and not self._backed_up
        alone = panels and now - self._panelled >= 1 / PANELS and self._outlet is not None and self._outlet.narrow
        try:
            self._draw(panels, grid=not (alone or side))
            if side:
                self._draw_side()
            if panels:
                self._panelled, self._beats = now, 0
                self._refresh_panels()
                self._rest_or_wake()
        except ValueError:
            # the panels read the record, and that may be a file
            if not self.watching.damaged():
                raise

    def _panels_due(self, now: float) -> bool:
        self._beats += 1
        if self.watching.player.playing:
            return now - self._panelled >= 1 / (RUSHED if self._rushing else PANELS)
        return now - self._panelled >= 1 / LEAFED or self._beats >= PAINTS // LEAFED

    def _draw(self, due: bool, grid: bool) -> None:
        """Bring the screen up to what is being watched; the grid if it is due or the terminal has time for it."""
        watching = self.watching
        if watching.over:
            self.exit()
        if watching.asks is not None:
            reason, watching.asks = watching.asks, None
            self.action_model(reason)
        self._draw_words()
        if grid:
            self._draw_grid(due)
        else:
            self._behind = True

    def _draw_words(self) -> None:
        """What has been said and set: little to write, so it is there at once."""
        watching = self.watching
        if self._is_new("notice", (watching.notice, watching.progress, self.size.width)):
            self._say(watching.notice, watching.progress)
        if self._is_new("laws", tuple(watching.debug.findings.broken)):
            laws = watching.debug.findings.laws(self.options.ascii)
            self._law.update(laws)
            self._law.display = bool(laws)
        if self._is_new("failure", watching.debug.findings.failure):
            self._show_failure(watching.debug.findings.failure)
        if watching.strategies and self._is_new("knobs", (watching.settings, watching.strategies)):
            self._knobs.show(watching.panel())
        if watching.model is not None and self._is_new("model", watching.model):
            self._panes.use_pieces(Pieces.of(watching.model.pieces, self.options.ascii, watching.model.fragments))
            self._name_model(watching.model)

    def _draw_grid(self, due: bool) -> None:
        """The step on screen, as much of it as the line has room for; what plays takes the next when that is whole."""
        watching = self.watching
        trace, room = watching.trace, MOST if self._outlet is None else self._outlet.room
        self._behind = self._backed_up
        if trace is None or self._behind:
            return
        self._arrange()
        ready = (due or not self._saving()) and (self._whole or not watching.player.playing)
        begun = self._clock(), time.process_time()
        if self._draw_grids(trace, ready, room):
            self._painted = begun
        self._behind = not self._whole

    def _is_new(self, what: str, now: object) -> bool:
        """Whether this differs from what was drawn last; from now on it is what was drawn last."""
        if self._shown.get(what) == now:
            return False
        self._shown[what] = now
        return True

    def _say(self, notice: Notice, progress: Progress | None) -> None:
        text = sanitize(notice.text, cells=True)
        if progress is not None:
            hint = "  esc cancels"
            line = steps_line if progress.steps else loading_line
            room = self.size.width - 2 - len(hint)
            text = (
                line(sanitize(progress.stage, cells=True), progress.done, progress.total, room, self.options.ascii)
                + hint
            )
        if not self.watching.begun:
            stage = "loading" if progress is None else sanitize(progress.stage, cells=True)
            self._grid.message(f"{stage} ..." if self.watching.failure is None else "no model is loaded")
        self._banner.update(text)
        self._banner.set_class(notice.error and progress is None, "error")
        self._banner.display = bool(text)

    def _show_inspector(self) -> None:
        """The position under the cursor, below the text."""
        watching, inspector, plain = self.watching, self.watching.debug.inspector, self.options.ascii
        trace, model, at = watching.trace, watching.model, inspector.at
        self._inspector.display = at is not None
        if at is None or trace is None or model is None:
            return
        position = watching.position
        tokens = trace.tokens(position, watching.sample)
        # as much as the style sheet leaves, without its frame
        room = (self._text.size.width - 4, max(4, int(self._text.size.height * 0.6) - 2))
        opinion = inspector.opinion
        if not inspector.asking:
            told = watching.debug.story()
            parts = named_parts(model, tokens, at, () if told is None else {moment.token for moment in told.moments})
            now = of_story(told, model.pieces, position, room, plain, parts)
        elif opinion is None or (opinion.sample, opinion.position) != (watching.sample, at):
            now = Text("asking the network ...")
        else:
            parts = named_parts(model, tokens, at, {ranked.token for ranked in opinion.top})
            now = of_opinion(opinion, model.pieces, room, plain, parts)
        if self._is_new("inspector", (now, at)):
            self._inspector.border_title = (
                f"position {at} - [ ] its changes, o {'its story' if inspector.asking else 'the network'}"
            )
            self._inspector.update(now)

    def _show_failure(self, failure: Failure | None) -> None:
        """The traceback of a strategy, below the text."""
        self._failure.display = failure is not None
        if failure is not None:
            self._failure.border_title = Content(failure.where)
            self._failure.update(f"{failure.detail}\n{failure.reason}".strip())

    def _name_model(self, model: ModelInfo) -> None:
        """Along the top of the text: what runs where."""
        where = f" on {self.options.where}" if self.options.where else ""
        title = sanitize(placement(model), cells=True) + where
        self._text.border_title = Content(title.replace("│", "|") if self.options.ascii else title)

    def _saving(self) -> bool:
        """Whether a paint now would take more from a sampler at full speed than it may."""
        waited, spent = self._clock() - self._painted[0], time.process_time() - self._painted[1]
        return self._rushing and waited < min(spent / BUDGET, STALEST)

    @property
    def _rushing(self) -> bool:
        """Whether the sampler runs as fast as it can, and whatever is drawn slows it down."""
        player = self.watching.player
        return player.playing and player.speed == math.inf and not player.ended

    @property
    def _outlet(self) -> MeteredWriter | None:
        return getattr(self._driver, "outlet", None)

    @property
    def _backed_up(self) -> bool:
        """Whether earlier paints still wait to be written."""
        return self._outlet is not None and self._outlet.waiting

    def _refresh_panels(self) -> None:
        """Everything but the grid."""
        watching = self.watching
        self._show_inspector()
        trace, player, sample = watching.trace, watching.player, watching.sample
        if trace is None:
            return
        self._steps_per_second = self._pace(len(trace))
        state = (
            trace, len(trace), sample, self.size, player, watching.settings, round(self._steps_per_second, 1),
            watching.debug.branching.against, len(watching.recording.marks), self._comparing.panes,
        )  # fmt: skip
        if not self._is_new("panels", state):
            return
        total = self._total(trace)
        self._show_captions()
        self._timeline.use_marks(self._marks)
        self._timeline.show(player.position, watching.recorded, total, trace.curves.column("remasked", sample))
        self._show_status(total)
        # keys need not wait for all of it at once, and eyes do not mind where everything moves
        self._side_due = self._rushing
        if not self._rushing:
            self._draw_side()

    def _draw_side(self) -> None:
        """The panels beside the text."""
        watching = self.watching
        trace, player, position = watching.trace, watching.player, watching.position
        if trace is None:
            return
        branching, several = watching.debug.branching, len(watching.recording.branches) > 1
        self._branches_box.display = several
        if several:
            self._branches.show(branching.rows(), branching.here, branching.against)
        self._figures.show(panel_data.reading(trace, position, watching.sample, self._steps_per_second))
        if self._curves.size.height:
            self._curves.show(self._charts(trace, position), self._total(trace), player.position)

    def _listen(self) -> None:
        """While nothing moves: has the engine said anything, and is somebody there?"""
        if terminal_gone():
            self.on_hung_up()
        if self._resting:
            self._tick()

    # -- how it ends

    def on_load(self) -> None:
        """End as `q` does where a signal would end the process at once; from before the terminal is touched."""
        self._signals = () if threading.current_thread() is not threading.main_thread() else tuple(
            (number, was) for number in ENDING if (was := signal.getsignal(number)) != signal.SIG_IGN
        )  # fmt: skip
        for number, _ in self._signals:
            # once the screen is there: Textual cannot end in the middle of making it
            end = partial(self.call_later, self.exit, return_code=SIGNALLED + number)
            asyncio.get_running_loop().add_signal_handler(number, end)

    def on_mount(self) -> None:
        self.app_resume_signal.subscribe(self, lambda _: self.refresh(layout=True))

    def on_unmount(self) -> None:
        for number, was in self._signals:
            asyncio.get_running_loop().remove_signal_handler(number)
            signal.signal(number, was)

    def on_hung_up(self) -> None:
        """The terminal has gone, which does not always come with a signal."""
        self.exit(return_code=SIGNALLED + signal.SIGHUP)

    def exit(self, result: None = None, return_code: int = 0, message: RenderableType | None = None) -> None:
        # what has failed or was told to end did not end well because something else ends it too
        super().exit(result, self.return_code or return_code, message)

    def panic(self, *renderables: RenderableType) -> None:
        super().exit(return_code=FAILED)
        super().panic(*renderables)

    def action_suspend_process(self) -> None:
        """Stop, and give the shell its terminal back; `fg` goes on."""
        if has_shell() and self._driver is not None and self._driver.can_suspend:
            super().action_suspend_process()
        else:
            self._say_so("there is no shell to go back to: it would stop for good")

    def _rest_or_wake(self) -> None:
        if self._behind or not self.watching.idle:
            self._wake()
        elif not self._resting:
            self._resting = True
            self._fast.pause()

    def _wake(self) -> None:
        """The paint clock runs again; what changed is on screen at its next beat."""
        if self._resting:
            self._resting = False
            self._last_tick = self._clock()
            self._fast.resume()

    def _show_status(self, total: int) -> None:
        watching, plain = self.watching, self.options.ascii
        name = sanitize(watching.choice.name if watching.model is None else watching.model.name, cells=True)
        more = title(watching.settings, watching.seed)
        if self.options.batch > 1:
            more += f" │ sample {watching.sample + 1}/{self.options.batch}"
        if len(watching.recording.branches) > 1:
            pane = self._comparing.letter(watching.debug.branching.here)
            more += f" │ pane {pane}" * bool(pane) + f" │ branch {watching.debug.branching.here}"
        if self.size.width < SMALLEST[0] or self.size.height < SMALLEST[1]:
            more = f"small terminal: text only │ {more}"
        right = panel_data.whereabouts(watching.player, total, plain)
        line = panel_data.status(name, more, right, self.size.width - 2, plain)
        self._status.update(f" {line} ", layout=False)
