"""`WatchSession`: one person watching one engine.  It feeds events to the reducer and executes its commands.

No Textual: the application draws its properties and calls its actions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from engine.records import Knob, ModelChoice, ModelInfo, RunChoice, Settings, StrategyInfo
from engine.sampling.trace import Record
from remdm_tui.console.sanitize import sanitize
from remdm_tui.link.base import Link
from remdm_tui.link.replay import READ_ONLY
from remdm_tui.settings.knobs import KnobRow, knob_rows, notch, panel
from remdm_tui.settings.watch_options import WatchOptions
from remdm_tui.watch import commands as c
from remdm_tui.watch import events as e
from remdm_tui.watch.breakpoints import Breakpoints
from remdm_tui.watch.debugger import Debugger
from remdm_tui.watch.executor import Executor
from remdm_tui.watch.notices import THIS_RUN, Notice, Progress
from remdm_tui.watch.phase import Phase
from remdm_tui.watch.player import Player
from remdm_tui.watch.run_lint import RunLint
from remdm_tui.watch.run_recording import RunRecording, describe_error
from remdm_tui.watch.state import PaneState, SessionState
from remdm_tui.watch.store import Store
from remdm_tui.watch.training_log import Losses


class WatchSession:
    """`state` holds everything that changes; the executor owns link and recording."""

    def __init__(
        self, options: WatchOptions, make_link: Callable[[], Link], recording: RunRecording | None = None
    ) -> None:
        self.options = options
        state = SessionState(
            options, options.settings, options.model, seed=options.seed, hint=options.hint,
            player=Player(playing=not options.paused), panes=PaneState(next_settings=options.compare),
            breakpoints=Breakpoints.of(options.breakpoints),
        )  # fmt: skip
        self._executor = Executor(
            options, make_link, recording or RunRecording(options.record), self._started, self._opened
        )
        self._store = Store(state, self._executor.observe, self._execute)
        self.debug = Debugger(self._store, lambda: self.link)
        self._lint = RunLint(lambda: self.recording.recording)

    # -- what the screen shows

    @property
    def state(self) -> SessionState:
        """The state as last reduced."""
        return self._store.state

    @property
    def link(self) -> Link:
        """The present link, to an engine or to a recording."""
        return self._executor.link

    @property
    def recording(self) -> RunRecording:
        """The recording of the run on screen."""
        return self._executor.recording

    @property
    def phase(self) -> Phase:
        """The phase of the session."""
        return self.state.phase

    @property
    def has_record(self) -> bool:
        """Whether a record is on screen."""
        return self.state.running is not None

    @property
    def model(self) -> ModelInfo | None:
        """The model of the record on screen."""
        return None if self.state.running is None else self.state.running.model

    @property
    def run(self) -> RunChoice | None:
        """The run of the record on screen."""
        return None if self.state.running is None else self.state.running.run

    @property
    def trace(self) -> Record | None:
        """The record on screen; None before the first run has begun."""
        return self.state.record

    @property
    def live(self) -> bool:
        """Whether the engine is at the end of the record."""
        return self.state.live

    @property
    def failure(self) -> str | None:
        """Why nothing is on screen, or why the recording is incomplete; None if neither."""
        return self.state.failure

    @property
    def progress(self) -> Progress | None:
        """The progress of loading or recomputing; None otherwise."""
        return self.state.progress

    @property
    def edits(self) -> bool:
        """Whether a strategy that made the step on screen, or will make the next, edits tokens."""
        running = {self.made.strategy, self.upcoming.strategy}
        return any(info.edits for info in self.strategies if info.name in running)

    @property
    def strategies(self) -> tuple[StrategyInfo, ...]:
        """The strategies of the engine."""
        return self.state.strategies

    @property
    def seed(self) -> int:
        """The seed of the next run, or of the one on screen."""
        return self.state.seed

    @property
    def recorded(self) -> int:
        """The last position that the view can show."""
        return self._store.observe().recorded

    @property
    def position(self) -> int:
        """The position on screen, within the record."""
        return min(self.player.position, 0 if self.trace is None else len(self.trace))

    @property
    def idle(self) -> bool:
        """Whether nothing changes until a key is pressed."""
        state = self._store.observe()
        busy = state.player.playing or state.player.stepping or state.observed.outstanding
        busy = busy or (bool(state.panes.panes) and state.uneven)
        return self.has_record and not busy and not state.waiting and not self.debug.waiting

    def panel(self) -> list[KnobRow]:
        """Return the knobs with their values at the step on screen, and with those that the next step changes."""
        return knob_rows(self.made, self.upcoming, self.strategies)

    @property
    def training(self) -> Losses | None:
        """The training run that is followed; None if none is."""
        return None

    @property
    def model_step(self) -> int | None:
        """The step of the training run that the model on screen is of; None for a model that is not followed."""
        return None

    # -- properties that can be set: each assignment dispatches an event

    @property
    def player(self) -> Player:
        """Position, speed and whether the run plays."""
        return self.state.player

    @player.setter
    def player(self, player: Player) -> None:
        self._store.dispatch(e.Move(player))

    @property
    def notice(self) -> Notice:
        """The line on screen."""
        return self.state.notice

    @notice.setter
    def notice(self, notice: Notice) -> None:
        self._store.dispatch(e.ShowNotice(notice))

    @property
    def sample(self) -> int:
        """The row of the batch on screen."""
        return self.state.sample

    @sample.setter
    def sample(self, sample: int) -> None:
        self._store.dispatch(e.ShowSample(sample))

    @property
    def settings(self) -> Settings:
        """The settings of the next step."""
        return self.state.settings

    @property
    def made(self) -> Settings:
        """The settings that made the step on screen."""
        return self._store.observe().made

    @property
    def upcoming(self) -> Settings:
        """The settings of the step after the one on screen, recorded or set."""
        return self._store.observe().upcoming

    # -- actions

    def start(self) -> None:
        """Start the engine and load the model; a recording is on screen at once."""
        self._dispatch(e.Start())
        while self.link.at_once and (events := self.link.take()):
            for event in events:
                self._dispatch(event)

    def tick(self, seconds: float) -> bool:
        """Reduce the engine's events, then move the view and request steps after `seconds` have passed.

        Return whether something came that is shown and is not in `state`.
        """
        events = self.link.take()
        for event in events:
            self._dispatch(event)
        self._dispatch(e.Tick(seconds))
        self.debug.explain(seconds)
        self.debug.request_drafts()
        found = self._lint.tick(self.state, self.recording.name)
        if found:
            self.notice = Notice(found, ends=THIS_RUN)
        return bool(events)

    def load(self, choice: ModelChoice) -> None:
        """Load a model and begin a run of it; the record on screen stays until then."""
        self._dispatch(e.Load(choice))

    def cancel(self) -> None:
        """Stop loading, recomputing or reconnecting."""
        self._dispatch(e.Cancel())

    def revive(self) -> None:
        """Start another engine process that continues the record."""
        self._dispatch(e.Revive())

    def restart(self, by: int) -> None:
        """Begin a new run with `by` added to the seed; the record on screen stays until then."""
        self._dispatch(e.Restart(by))

    def turn(self, name: str, value: Knob) -> None:
        """Set a knob for the engine's next step; in the past, on a new branch that begins there."""
        self._dispatch(e.TurnKnob(name, value))

    def notch(self, name: str, by: int) -> None:
        """Turn a knob by `by` notches; show an error if the strategy does not have it."""
        if self.state.read_only:
            self.notice = Notice(READ_ONLY, "hint")
            return
        upcoming = self.upcoming
        found = next(((info, value) for info, value in panel(upcoming, self.strategies) if info.name == name), None)
        if found is None:
            self.notice = Notice(f"{upcoming.strategy} has no {name}", "hint")
        else:
            self.turn(name, notch(*found, by))

    def select(self, position: int | None) -> None:
        """Select a position of the text; None: none."""
        self._store.dispatch(e.Select(position))

    def dismiss(self) -> None:
        """Close the notice on screen, or what was found at its step."""
        self._store.dispatch(e.Dismiss())

    def configure(self, settings: Settings) -> None:
        """Use these settings from the next step on."""
        self._dispatch(e.ChangeOptions(settings))

    def picker_opened(self) -> None:
        """Ask no more for another model: the person has been asked."""
        self._store.dispatch(e.PickerOpened())

    def check_model(self) -> None:
        """Measure the model's loss on a short text; the result arrives in `check`."""
        self._dispatch(e.StartModelCheck())

    def next_sample(self, by: int) -> None:
        """Show the sample `by` rows further in the batch, round-robin."""
        self.sample = (self.sample + by) % self.options.batch

    def keep(self, path: str) -> None:
        """Save the record, and all that follows, in a file.  Raises ValueError if that is impossible."""
        try:
            self.notice = Notice(self.recording.keep(Path(path).expanduser()))
        except OSError as error:
            raise ValueError(describe_error(error)) from None

    def damaged(self) -> bool:
        """Return whether the recording is damaged; if so, end it before the first unreadable step."""
        if self.recording.damage:
            self._dispatch(e.Damaged(sanitize(self.recording.damage, cells=True)))
        return bool(self.recording.damage)

    def close(self) -> None:
        """End the engine and write the recording to disk."""
        self._dispatch(e.Close())

    # -- events in, commands out

    def _dispatch(self, event: e.SessionEvent) -> None:
        was_live = self.live
        self._store.dispatch(event)
        if self.live and not was_live:
            self._went_live()

    def _went_live(self) -> None:
        """React to the session having become live."""

    def _started(self, link: Link) -> None:
        """Give an engine that has started the strategy file and the breakpoints."""
        self.debug.restore(link)

    def _opened(self, choice: ModelChoice) -> None:
        """React to a model about to be loaded."""

    def _execute(self, command: c.SessionCommand) -> Iterable[e.SessionEvent]:
        if isinstance(command, c.ToDebugger):
            return self.debug.execute(command)
        return self._executor.execute(command, self.state)
