"""One person watching one engine: what is set, where the view stands, and what the engine has said.

No Textual: the application draws what stands here and calls what people do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from engine import wire
from engine.records import Check, Knob, KnobInfo, ModelChoice, ModelInfo, RunChoice, Settings, StrategyInfo
from engine.sampling.trace import Record
from remdm_tui.console.sanitize import sanitize
from remdm_tui.link.base import Died, Diverged, Event, Link, Unwritten
from remdm_tui.settings.knobs import notch, panel, turned
from remdm_tui.settings.watch_options import WatchOptions, fitted
from remdm_tui.watch import player as playing
from remdm_tui.watch.debugger import Debugger
from remdm_tui.watch.notices import Notice, Progress
from remdm_tui.watch.player import Player
from remdm_tui.watch.reconnect import Retries
from remdm_tui.watch.run_recording import RunRecording, said


@dataclass(frozen=True)
class Running:
    """What the record on screen was made with."""

    choice: ModelChoice
    model: ModelInfo
    run: RunChoice


class WatchSession:
    """`failure` says why there is nothing to watch yet; `over` that there is nothing to stay for."""

    def __init__(self, options: WatchOptions, make_link: Callable[[], Link], tape: RunRecording | None = None) -> None:
        self.options = options
        self.tape = tape or RunRecording(options.record)
        self.settings: Settings = options.settings
        self.seed = options.seed
        self.player = Player(playing=not options.paused)
        self.sample = 0
        self.begun = False
        self.notice = Notice()
        self.progress: Progress | None = None
        self.failure: str | None = None
        self.over = False
        self.asks: str | None = None
        """why the person is to pick a model; the application takes it back when it has asked"""
        self.strategies: tuple[StrategyInfo, ...] = ()
        self.choice = options.model
        """the model loaded last or being loaded"""
        self.check: Check | str | None = None
        """how well the model knows a short text, or why that cannot be told"""
        self._running: Running | None = None
        self._arrived: Running | None = None
        """the run that the engine was told to begin"""
        self._live = False
        """whether the engine stands where the record ends"""
        self._loaded = False
        """whether it has a model"""
        self._dead = False
        self._continuing = False
        """whether the next run goes on with the record"""
        self._causal = False
        self._retries = Retries()
        self._moving = False
        """whether the view moved by itself at the last beat"""
        self._hint = options.hint
        self.debug = Debugger(self)
        self._problems: tuple[str, ...] = ()
        """strategies of packages that cannot be had"""
        self._make_link = make_link
        self.link = self._linked()

    @property
    def model(self) -> ModelInfo | None:
        """The model of the record on screen."""
        return self._running.model if self._running is not None else None

    @property
    def run(self) -> RunChoice | None:
        """What the record on screen was begun with."""
        return self._running.run if self._running is not None else None

    @property
    def live(self) -> bool:
        """Whether the engine stands where the record ends."""
        return self._live

    @property
    def trace(self) -> Record | None:
        """The record on screen; None before the first run has begun."""
        return self.link.trace if self.begun else None

    @property
    def _versions(self) -> dict[str, str]:
        """Of what decides what is computed, as far as it is on this machine."""
        if self.options.where or self.options.command:
            return {}
        from importlib.metadata import PackageNotFoundError, version

        try:
            return {"torch": version("torch")}
        except PackageNotFoundError:
            return {}

    @property
    def recorded(self) -> int:
        """Positions that the view can go to."""
        if self.debug.comparing.panes:
            return self.debug.comparing.recorded
        return len(self.trace) if self.trace is not None else 0

    @property
    def position(self) -> int:
        """Where the view stands in the record on screen."""
        return min(self.player.position, 0 if self.trace is None else len(self.trace))

    @property
    def past(self) -> bool:
        """Whether steps are recorded after the one on screen."""
        return self.debug.comparing.past if self.debug.comparing.panes else not self.player.live

    @property
    def waiting(self) -> bool:
        """Whether something long is under way that can be cancelled."""
        return self.progress is not None or self._retries.lost is not None

    @property
    def idle(self) -> bool:
        """Whether nothing will change until somebody presses a key."""
        busy = self.player.playing or self.player.stepping or self.link.outstanding
        busy = busy or (bool(self.debug.comparing.panes) and self.debug.comparing.uneven)
        return self.begun and not busy and not self.waiting and not self.debug.waiting

    def catch_up(self, ended: bool | None = None) -> None:
        """Take in what was recorded since the last beat, and whether the run has ended."""
        now = self.player.ended if ended is None else ended
        if self.debug.comparing.panes:
            now = self.debug.comparing.ended
        self.player = playing.arrived(self.player, self.recorded, now)

    def go_on(self, record: Record, branch: int) -> None:
        """Have the engine begin with a record that it does not know."""
        if self._running is not None:
            self._arrived, self._live, self._continuing = self._running, False, True
            self.link.begin(self.settings, self._running.run, record, branch)

    def tick(self, seconds: float) -> None:
        """Time has passed: hear the engine, move the view, ask for steps."""
        for event in self.link.take():
            self._hear(event)
        self._count_down(seconds)
        self.catch_up()
        moving = self.player.playing or self.player.stepping > 0
        if self.notice.passing and moving and not self._moving:
            self.notice = Notice()
        self._moving = moving
        self.debug.follow()
        before, known = self.player.position, self.player.recorded
        self.player, demand = playing.tick(self.player, seconds)
        self.debug.passed(before)
        there = self._live and not self.debug.branching.moving
        if there and self.link.demand(*self.debug.comparing.demand(demand, known)):
            self.player = playing.served(self.player)

    # -- what people do

    def start(self) -> None:
        """Start the engine and have it load the model; a recording is there at once."""
        if self._launch():
            self._open()
        while self.link.at_once and (events := self.link.take()):
            for event in events:
                self._hear(event)

    def load(self, choice: ModelChoice) -> None:
        """Another model, and a run of it from the start; the record stays until that has begun."""
        there = self._relaunch() if self._dead or self._retries.lost is not None else True
        self.choice, self.failure, self._continuing = choice, None, False
        if self._running is None:
            self.player = Player(playing=not self.options.paused)
        else:
            self.player = playing.seek(self.player, self.player.position)
        if there:
            self._open()

    def cancel(self) -> None:
        """Stop what is under way, whatever it is doing."""
        if not self.waiting:
            return
        if self._continuing or self._retries.lost is not None:
            self.link.close(patience=0)
            self._dead, self._live, self._retries.lost, self.progress = True, False, None, None
            self._stop("cancelled: what is recorded stays; R goes on with it")
        elif self._relaunch(patience=0):
            self._ask(f"loading {self.choice.name} was cancelled")

    def revive(self) -> None:
        """A new engine process, which goes on with what is recorded."""
        self._retries.afresh()
        self._resume()

    def turn(self, name: str, value: Knob) -> None:
        """Turn a knob: it acts on the next step that the engine takes, in the past on a branch that begins there."""
        try:
            new = turned(self.settings, name, value, self.strategies)
        except ValueError as error:
            self.notice = Notice(str(error), error=True)
            return
        self.notice = Notice()
        past = self._live and self.tape.writable and self.past
        if past and not self.debug.branching.off(new):
            return
        if not past:
            self.settings = new
            self.link.configure(new)

    def notch(self, name: str, by: int) -> None:
        """Turn a knob by so many notches, if the strategy has it."""
        for info, value in self.panel():
            if info.name == name:
                self.turn(name, notch(info, value, by))
                return
        self.notice = Notice(f"{self.settings.strategy} has no {name}", error=True)

    def panel(self) -> list[tuple[KnobInfo, Knob]]:
        return panel(self.settings, self.strategies)

    def restart(self, by: int) -> None:
        """A new run whose seed is `by` further; the old record goes when it has begun."""
        if self._running is None or self.progress is not None:
            return
        self.seed += by
        if self._dead or self._retries.lost is not None or not self._loaded or self.choice != self._running.choice:
            self.revive()
            self._continuing = False
            return
        self._begin(self._running, playing=not self.options.paused)

    def inspect(self) -> None:
        """Have the model's loss on a short text measured; it arrives in `check`."""
        self.check = None
        if self._live:
            self.link.inspect()
        else:
            self.check = "the engine is not there to measure it"

    def leaf(self, by: int) -> None:
        """Another sample of the batch."""
        self.sample = (self.sample + by) % self.options.batch

    def keep(self, path: str) -> None:
        """Keep what is recorded in a file, and what follows.  Raises ValueError with a sentence."""
        try:
            self.notice = Notice(self.tape.keep(Path(path).expanduser()))
        except OSError as error:
            raise ValueError(said(error)) from None

    def damaged(self) -> bool:
        """Whether a step could not be read because the recording is damaged; it ends before that step from now on."""
        if self.tape.damage:
            self.player = replace(self.player, recorded=self.recorded, stepping=0)
            self._stop(sanitize(self.tape.damage, cells=True))
        return bool(self.tape.damage)

    def close(self) -> None:
        """End the engine and see the recording to the disk."""
        self.link.close()
        try:
            self.tape.close()
        except OSError as error:
            self.failure = f"the recording is not whole: {said(error)}"

    # -- the engine process

    def _linked(self) -> Link:
        link = self._make_link()
        link.make_record = self.tape.make
        return link

    def _launch(self) -> bool:
        self._dead = self._live = self._loaded = False
        try:
            self.link.start()
        except OSError as error:
            self._dead = True
            self.give_up(f"the engine cannot be started: {error}")
            return False
        self.debug.brief(self.link)
        return True

    def _relaunch(self, patience: float = 0.5) -> bool:
        """A new process in place of the old one; the record stays."""
        self.link.close(patience)
        trace, branch = self.link.trace, self.link.branch
        self.link = self._linked()
        self.link.trace, self.link.branch = trace, branch
        self._retries.lost = self.progress = None
        self.debug.void()
        return self._launch()

    def _open(self) -> None:
        self._live = self._loaded = False
        where = self.options.where
        self.notice = Notice()
        self.progress = Progress(f"reaching {where}" if where else f"loading {self.choice.name}")
        self.link.open(self.choice)

    def _resume(self) -> None:
        if self._running is not None:
            self.choice, self._continuing = self._running.choice, True
        if self._relaunch():
            self._open()

    def _count_down(self, seconds: float) -> None:
        """While the connection is lost: wait, then try."""
        if self._retries.due(seconds):
            self._resume()
        elif self._retries.lost is not None:
            self.notice = Notice(self._retries.said, error=True)

    # -- what the engine says

    def _begin(self, running: Running, playing: bool) -> None:
        self.debug.comparing.keep()
        self.player = Player(playing=playing, speed=self.player.speed)
        self._arrived = replace(running, run=replace(running.run, seed=self.seed))
        self._live = False
        self.tape.expect(running.choice, running.model, self._arrived.run, self._versions)
        self.link.begin(self.settings, self._arrived.run)

    def _ready(self, model: ModelInfo) -> None:
        self.progress, self._loaded = None, True
        if self._continuing and self._running is not None:
            if self._running.model.differs(model):
                self._refuse(model)
                return
            record = self.link.trace
            self._arrived = replace(self._running, model=model)
            self.link.begin(self.settings, self._arrived.run, record, self.link.branch)
            return
        if self.tape.resume:
            self._take_up(model)
            return
        settings, run = fitted(self.options, model, self.strategies)
        untouched = self._running is None and self.settings == self.options.settings
        if untouched or self._causal != model.causal:
            self.settings = settings
        self._causal = model.causal
        plays = self.player.playing if self._running is None else not self.options.paused
        self._begin(Running(self.choice, model, run), plays)

    def _refuse(self, model: ModelInfo) -> None:
        """Leave the record as it is: the model that was loaded to continue it is another one."""
        # a new run loads it again and is recorded as its own
        self._loaded = self._continuing = False
        self._stop(
            f"{model.name} has changed since this run began, so nothing can continue it: "
            "r starts a new run, m picks a model"
        )

    def _take_up(self, model: ModelInfo) -> None:
        """Go on with the recording that was opened."""
        options = self.options
        assert options.run is not None
        assert options.record is not None
        try:
            self.tape.go_on(options.record, model)
        except (OSError, ValueError) as error:
            self.give_up(said(error))
            return
        self._running = self._arrived = Running(self.choice, model, options.run)
        self._continuing, self.player = True, Player(playing=False)
        self.link.begin(self.settings, options.run, self.tape.record(options.branch), options.branch)

    def _hear(self, event: Event) -> None:
        if self.debug.hear(event):
            return
        match event:
            case wire.Hello(strategies, problems):
                self.strategies, self._problems = strategies, problems
            case wire.Loading(stage, done, total):
                self.progress = Progress(stage, done, total)
            case wire.Ready(model):
                self._ready(model)
            case wire.Began():
                self._began()
            case wire.Replaying(_, done, total):
                self.progress = Progress("computing the recorded steps again", done, total, steps=True)
            case wire.Resumed():
                self._resumed()
            case wire.Finished(branch=branch):
                self.debug.branching.ended(branch)
                # every step that was still owed is answered so, and a run that has been asked for since has not ended
                if self._live:
                    self.catch_up(ended=True)
            case wire.Checked(check):
                self.check = check
            case wire.Rejected(reason):
                self.notice = Notice(sanitize(reason, cells=True), error=True)
            case wire.Failed(stage, reason, _):
                self._failed(stage, sanitize(reason, cells=True))
            case Diverged():
                self._live, self.progress = False, None
                self._stop(
                    "the steps computed again differ from those recorded (another device or version?): r restarts"
                )
            case Unwritten(reason):
                self._live = False
                self._stop(f"the step could not be recorded: {reason} - what is recorded stays; R goes on with it")
            case Died():
                self._died(event)

    def _began(self) -> None:
        self._running, self.begun, self.failure = self._arrived, True, None
        model = None if self._running is None else self._running.model
        self.debug.afresh(*(((), {}) if model is None else (model.pieces, model.fragments)))
        self.tape.tidy()
        if self._continuing and self.trace is not None and len(self.trace):
            self.hold(len(self.trace))
            return
        fresh, comparing = not self._continuing, self.debug.comparing
        self.debug.branching.afresh()
        if fresh:
            comparing.afresh()
        self.player = Player(playing=self.player.playing, speed=self.player.speed)
        self.check = None
        self._resumed()
        if fresh:
            comparing.begin()

    def hold(self, steps: int) -> None:
        """The engine computes so many recorded steps again before it goes on."""
        self._live, self._continuing = False, True
        self.progress = Progress("computing the recorded steps again", 0, steps, steps=True)

    def _resumed(self) -> None:
        """The engine stands where the record ends, or that of one pane."""
        if self.debug.comparing.assemble(resumed=True):
            return
        self._live, self._continuing = True, False
        said = "; ".join(filter(None, (self.tape.problem, *self._problems, *self.options.problems)))
        hint, self._hint = self._hint, ""
        self.progress, self.notice = (
            None,
            Notice(sanitize(said or hint, cells=True), error=bool(said), passing=not said),
        )
        # a hint stays while the run that it comes with plays
        self._moving = bool(hint) or self._moving

    def _failed(self, stage: str, reason: str) -> None:
        self.progress = None
        self.debug.void()
        match stage:
            case "load":
                self._live = self._loaded = False
                self._ask(reason)
            case "check":
                self.check = reason
            case "begin" if self._continuing:
                self._live = False
                self._stop(reason)
            case "begin" if not self.begun and self.choice == self.options.model:
                # what the command line asked for cannot be: there it is to be put right
                self.give_up(reason)
            case "begin":
                self._live = False
                self._ask(reason)
            case _:
                self._stop(reason)

    def _died(self, event: Died) -> None:
        how = f"was killed by signal {-event.code}" if event.code < 0 else f"exited with {event.code}"
        reason = f"the engine {how}" + (f": {event.last}" if event.last else "")
        loading, self.progress = self.progress is not None, None
        self.debug.void()
        self._dead, self._live = True, False
        if event.hopeless:
            self.give_up(event.last)
        elif self.begun and self.options.where:
            self._lose(event.last or reason)
        elif self.begun:
            self._stop(f"{reason} - what is recorded stays; R starts it again")
        elif self.strategies and loading:
            self._ask(reason)
        else:
            self.give_up(reason)

    def _lose(self, reason: str) -> None:
        if not self._retries.lose(reason, self.recorded):
            self._stop(f"the connection is lost ({reason}): what is recorded stays; R tries again")

    def _ask(self, reason: str) -> None:
        """Have the person pick another model."""
        if self._running is None:
            self.failure = reason
            more = "m picks a model"
        else:
            more = f"m picks a model, R goes on with {self._running.choice.name}"
        self.asks = reason
        self._stop(f"{reason} - {more}")

    def give_up(self, reason: str) -> None:
        """Before anything was on screen there is nothing to stay for."""
        if self.begun:
            self._stop(reason)
        else:
            self.failure, self.over = reason, True

    def _stop(self, reason: str) -> None:
        self.player = playing.seek(self.player, self.player.position)
        self.notice = Notice(reason, error=True)
