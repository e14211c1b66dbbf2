"""One person watching one engine: owns the link and the recording, and feeds all that happens to the reducer.

No Textual: the application draws what stands here and calls what people do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from engine.records import Check, Knob, KnobInfo, ModelChoice, ModelInfo, RunChoice, Settings, StrategyInfo
from engine.sampling.trace import Record
from remdm_tui.console.sanitize import sanitize
from remdm_tui.link.base import Link
from remdm_tui.settings.knobs import notch, panel
from remdm_tui.settings.watch_options import WatchOptions
from remdm_tui.watch import commands as c
from remdm_tui.watch import events as e
from remdm_tui.watch.debugger import Debugger
from remdm_tui.watch.executor import Executor
from remdm_tui.watch.notices import Notice, Progress
from remdm_tui.watch.phase import Phase
from remdm_tui.watch.player import Player
from remdm_tui.watch.run_recording import RunRecording, describe_error
from remdm_tui.watch.state import PaneState, SessionState
from remdm_tui.watch.store import Store


class WatchSession:
    """Everything that changes is in `state`; link and recording are the executor's."""

    def __init__(self, options: WatchOptions, make_link: Callable[[], Link], tape: RunRecording | None = None) -> None:
        self.options = options
        self.asks: str | None = None
        """why the person is to pick a model; the application takes it back when it has asked"""
        state = SessionState(
            options, options.settings, options.model, seed=options.seed, hint=options.hint,
            player=Player(playing=not options.paused), panes=PaneState(wanted=options.compare),
        )  # fmt: skip
        self._executor = Executor(options, make_link, tape or RunRecording(options.record), self._started, self._opened)
        self._store = Store(state, self._executor.observe, self._execute)
        self.debug = Debugger(self._store, lambda: self.link)

    # -- what there is to see

    @property
    def state(self) -> SessionState:
        return self._store.state

    @property
    def link(self) -> Link:
        """The engine that is there now, or the recording in its place."""
        return self._executor.link

    @property
    def tape(self) -> RunRecording:
        """The recording of the run on screen."""
        return self._executor.tape

    @property
    def phase(self) -> Phase:
        return self.state.phase

    @property
    def begun(self) -> bool:
        """Whether a record is on screen."""
        return self.state.running is not None

    @property
    def model(self) -> ModelInfo | None:
        """The model of the record on screen."""
        return None if self.state.running is None else self.state.running.model

    @property
    def run(self) -> RunChoice | None:
        """What the record on screen was begun with."""
        return None if self.state.running is None else self.state.running.run

    @property
    def trace(self) -> Record | None:
        """The record on screen; None before the first run has begun."""
        return self.state.record

    @property
    def live(self) -> bool:
        """Whether the engine stands where the record ends."""
        return self.state.live

    @property
    def over(self) -> bool:
        """Whether there is nothing to stay for."""
        return self.state.over

    @property
    def failure(self) -> str | None:
        """Why there is nothing to watch, or why not all of it is recorded."""
        return self._executor.unwritten or self.state.failure

    @property
    def progress(self) -> Progress | None:
        return self.state.progress

    @property
    def waiting(self) -> bool:
        """Whether something long is under way that can be cancelled."""
        return self.state.waiting

    @property
    def choice(self) -> ModelChoice:
        """The model that was loaded last or is being loaded."""
        return self.state.choice

    @property
    def strategies(self) -> tuple[StrategyInfo, ...]:
        return self.state.strategies

    @property
    def seed(self) -> int:
        return self.state.seed

    @property
    def check(self) -> Check | str | None:
        """How well the model knows a short text, or why that is unknown."""
        return self.state.check

    @property
    def recorded(self) -> int:
        """How many positions the view can go to."""
        return self._store.look().recorded

    @property
    def position(self) -> int:
        """Where the view stands in the record on screen."""
        return min(self.player.position, 0 if self.trace is None else len(self.trace))

    @property
    def past(self) -> bool:
        """Whether steps are recorded after the one on screen."""
        return self._store.look().past

    @property
    def idle(self) -> bool:
        """Whether nothing will change until somebody presses a key."""
        state = self._store.look()
        busy = state.player.playing or state.player.stepping or state.observed.outstanding
        busy = busy or (bool(state.panes.panes) and state.uneven)
        return self.begun and not busy and not self.waiting and not self.debug.waiting

    def panel(self) -> list[tuple[KnobInfo, Knob]]:
        """Return the knobs of the strategy with their values."""
        return panel(self.settings, self.strategies)

    # -- what is seen and set; assigning to these dispatches an event

    @property
    def player(self) -> Player:
        return self.state.player

    @player.setter
    def player(self, player: Player) -> None:
        self._store.dispatch(e.Move(player))

    @property
    def notice(self) -> Notice:
        return self.state.notice

    @notice.setter
    def notice(self, notice: Notice) -> None:
        self._store.dispatch(e.ShowNotice(notice))

    @property
    def sample(self) -> int:
        """Which of the batch is on screen."""
        return self.state.sample

    @sample.setter
    def sample(self, sample: int) -> None:
        self._store.dispatch(e.ShowSample(sample))

    @property
    def settings(self) -> Settings:
        return self.state.settings

    # -- what people do

    def start(self) -> None:
        """Start the engine and load the model; a recording is there at once."""
        self._dispatch(e.Start())
        while self.link.at_once and (events := self.link.take()):
            for event in events:
                self._dispatch(event)

    def tick(self, seconds: float) -> None:
        """Take in what the engine has said, move the view, and ask for steps."""
        for event in self.link.take():
            self._dispatch(event)
        self._dispatch(e.Tick(seconds))

    def load(self, choice: ModelChoice) -> None:
        """Load a model and begin a run of it; the record stays until that has begun."""
        self._dispatch(e.Load(choice))

    def cancel(self) -> None:
        """Stop what is under way, whatever it is doing."""
        self._dispatch(e.Cancel())

    def revive(self) -> None:
        """Start another engine process that continues the record."""
        self._dispatch(e.Revive())

    def restart(self, by: int) -> None:
        """Begin a new run whose seed is `by` further; the old record goes when it has begun."""
        self._dispatch(e.Restart(by))

    def turn(self, name: str, value: Knob) -> None:
        """Turn a knob: it acts on the next step that the engine takes, in the past on a branch that begins there."""
        self._dispatch(e.TurnKnob(name, value))

    def notch(self, name: str, by: int) -> None:
        """Turn a knob by so many notches, if the strategy has it."""
        for info, value in self.panel():
            if info.name == name:
                self.turn(name, notch(info, value, by))
                return
        self.notice = Notice(f"{self.settings.strategy} has no {name}", error=True)

    def configure(self, settings: Settings) -> None:
        """Use these settings from the next step on."""
        self._dispatch(e.Configure(settings))

    def inspect(self) -> None:
        """Have the model's loss on a short text measured; it arrives in `check`."""
        self._dispatch(e.Measure())

    def leaf(self, by: int) -> None:
        """Show another sample of the batch."""
        self.sample = (self.sample + by) % self.options.batch

    def keep(self, path: str) -> None:
        """Keep in a file what is recorded, and what follows.  Raises ValueError with a sentence."""
        try:
            self.notice = Notice(self.tape.keep(Path(path).expanduser()))
        except OSError as error:
            raise ValueError(describe_error(error)) from None

    def damaged(self) -> bool:
        """Return whether the recording is damaged; it ends before the step that could not be read from now on."""
        if self.tape.damage:
            self._dispatch(e.Damaged(sanitize(self.tape.damage, cells=True)))
        return bool(self.tape.damage)

    def close(self) -> None:
        """End the engine and write the recording to the disk."""
        self._dispatch(e.Close())

    # -- events in, commands out

    def _dispatch(self, event: e.Event) -> None:
        before = self.live
        self._store.dispatch(event)
        if self.live and not before:
            self._went_live()

    def _went_live(self) -> None:
        """The engine stands where the record ends, as it did not before."""

    def _started(self, link: Link) -> None:
        """An engine has started: tell it what the last one knew."""
        self.debug.brief(link)

    def _opened(self, choice: ModelChoice) -> None:
        """The engine is told to load a model."""

    def _execute(self, command: c.Command) -> Iterable[e.Event]:
        match command:
            case c.AskForModel(reason):
                self.asks = reason
                return ()
            case command if isinstance(command, c.ToDebugger):
                return self.debug.execute(command)
        return self._executor.execute(command, self.state)
