"""The debugger's commands on a run, and their replies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, assert_never

from engine import strategies
from engine.debug import messages
from engine.debug.claims import claims_of
from engine.debug.credit import CreditWindow
from engine.debug.monitor import Monitor
from engine.messages import SettingsData, Stepped
from engine.records import SHARED
from engine.strategies import Strategy, describe, values
from engine.strategies.files import StrategyFile
from engine.strategies.validation import StrategyError

if TYPE_CHECKING:
    from engine.records import Frame
    from engine.sampling.session import Session
    from engine.sampling.state import StepConfig

MOVES = (messages.Fork, messages.Switch, messages.Together)
"""Commands that void the credit."""
AT_STEP = (*MOVES, messages.Alter, messages.Look, messages.Draft)
"""Commands that need the run at the step that the terminal assumes."""


class CommandHandler:
    """Handles the debugger's commands of one run.  A command that is refused raises ValueError and changes nothing."""

    def __init__(self, send: Callable[[messages.DebugEvent | Stepped], None]) -> None:
        self._send = send
        self._file: StrategyFile | None = None
        self.monitor = Monitor()
        self.session: Session | None = None
        self.run = 0
        self._together: tuple[int, ...] = ()
        """branches that are stepped in turn; empty: the session's own branch"""
        self.credit = CreditWindow()
        """steps that may still be taken, and how often a run was stopped"""

    @property
    def polls(self) -> bool:
        """Return whether there is a file that may change."""
        return self._file is not None

    def kinds(self) -> Mapping[str, type[Strategy]]:
        """Return all strategies that can be chosen, the file's last."""
        file = {} if self._file is None else {self._file.kind.name: self._file.kind}
        return {**strategies.available(), **file}

    def bound(self, data: SettingsData) -> dict[str, Any]:
        """Return the keywords of Session for these settings, its strategy made; raises ValueError for a bad one."""
        settings = data.settings()
        shared = {name: getattr(settings, name) for name in SHARED}
        return {"strategy": strategies.make(self.kinds(), settings.strategy, settings.knobs), **shared}

    def begin(self, session: Session, first: int) -> None:
        """Begin a run whose first branch has this number."""
        self.session, self._together = session, ()
        self.monitor.begin(session.blocks.edges, first)

    def turn(self) -> int:
        """Return the branch whose step is next: of those that have one left the one that has come least far."""
        session = self._current()
        progress = {branch: session.progress(branch) for branch in self._together or (session.branch,)}
        return min(progress, key=lambda branch: (progress[branch][1], progress[branch][0]))

    @property
    def ended(self) -> bool:
        """Return whether no branch that is stepped has a step left."""
        session = self._current()
        return all(session.progress(branch)[1] for branch in self._together or (session.branch,))

    def handle(self, command: messages.DebugCommand) -> None:
        """Handle one command and send its reply."""
        match command:
            case messages.Break(number, text, sample):
                self.monitor.set(number, text, sample)
            case messages.Clear(number):
                self.monitor.clear(number)
            case messages.UseFile(path):
                self._use(path)
            case messages.Fork():
                self._fork(self._current(), command)
            case messages.Switch(branch):
                self._current().switch(branch)
                self._send_position()
            case messages.Together(branches):
                session = self._current()
                for branch in branches:
                    session.progress(branch)
                if len({*branches}) < len(branches):
                    raise ValueError(f"branches {', '.join(map(str, branches))} are not all different")
                self._together = branches
                self._send_position()
            case messages.Alter(edit):
                session = self._current()
                config = session.config
                self.publish(session.edit(edit), config)
            case messages.Look():
                self._look(self._current(), command)
            case messages.Draft(sample, step):
                self._draft(self._current(), sample, step)
            case _:
                assert_never(command)

    def publish(self, frame: Frame, config: StepConfig) -> None:
        """Send a frame and what was found in it; a breakpoint that it hits stops the run."""
        session = self._current()
        before = session.frames[-2] if len(session.frames) > 1 else None
        self._send(Stepped.of(self.run, frame, session.branch))
        hits, broken = self.monitor.check(session.branch, frame, before, claims_of(config.strategy))
        for violation in broken:
            self._send(messages.Broken(self.run, session.branch, violation))
        if hits:
            self.credit = self.credit.stopped()
            self._send(messages.Stopped(self.run, session.branch, self.credit.stop, tuple(hits)))

    def failed(self, error: StrategyError, step: int | None = None) -> None:
        """Stop the run for a strategy that is wrong, before `step` if it was being stepped."""
        self.credit = self.credit.stopped()
        branch = 0 if self.session is None else self.session.branch
        at = -1 if step is None else step
        self._send(messages.StrategyFailed(self.run, branch, self.credit.stop, at, str(error), error.detail))

    def poll(self) -> None:
        """Load the strategy's file again if it has changed.  Raises StrategyError where it defines none now."""
        if self._file is None:
            return
        old = self._file.kind
        if self._file.poll():
            self._loaded()
            if self.session is not None and type(self.session.config.strategy) is old:
                self.session.set(strategy=_again(self._file.kind, self.session.config.strategy))

    def _current(self) -> Session:
        if self.session is None:
            raise ValueError("there is no run")
        return self.session

    def _send_position(self) -> None:
        session = self._current()
        self._send(messages.Switched(self.run, session.branch, session.index))

    def _use(self, path: str) -> None:
        self._file = None
        if path:
            self._file = StrategyFile(path, strategies.available())
            self._loaded()

    def _loaded(self) -> None:
        assert self._file is not None
        self._send(messages.FileLoaded(str(self._file.path), self._file.digest, describe(self._file.kind)))

    def _fork(self, session: Session, command: messages.Fork) -> None:
        branch, settings = command.branch, command.settings
        if branch.parent is None:
            raise ValueError(f"branch {branch.id} needs a parent")
        if command.at > 0:
            if branch.at or settings is None or not command.past:
                raise ValueError(f"branch {branch.id} is computed again from the start, under settings")
            self.bound(settings)
            settings = command.past[0][1]
        from engine.sampling.validation import check_order

        bound = None if settings is None else self.bound(settings)
        if settings is not None and bound is not None:
            settings.settings().checked()
            check_order(session.model, bound["strategy"], session.blocks)
        was = session.branch
        session.switch(branch.parent)
        try:
            session.fork(branch.at, branch=branch.id)
        except ValueError:
            session.switch(was)
            raise
        self.monitor.fork(branch)
        if bound is not None:
            session.set(**bound)
        self._send_position()

    def _look(self, session: Session, command: messages.Look) -> None:
        from engine.debug.prediction import predict_position

        prediction = predict_position(
            session, command.sample, command.position, kinds=self.kinds(), step=command.step, top=command.top
        )
        self._send(messages.Looked(self.run, session.branch, prediction))

    def _draft(self, session: Session, sample: int, step: int | None) -> None:
        from engine.debug.prediction import predict_drafts

        self._send(messages.Drafted(self.run, session.branch, predict_drafts(session, sample, step)))


def _again(kind: type[Strategy], before: Strategy) -> Strategy:
    """Return the new class under the knobs of the old one, as far as it has them and takes their values."""
    kept: dict[str, Any] = {}
    for info in describe(kind).knobs:
        try:
            kept[info.name] = info.check(values(before)[info.name])
        except (KeyError, ValueError):
            continue
    try:
        return kind(**kept)
    except ValueError:
        return kind()
