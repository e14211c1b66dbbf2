"""Own the link and the recording of a watch session: observe both and execute the reducer's commands."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

from engine.records import ModelChoice
from engine.sampling.trace import Record, RunStart
from remdm_tui.link.base import Link
from remdm_tui.settings.watch_options import WatchOptions
from remdm_tui.watch import commands as c
from remdm_tui.watch import events as e
from remdm_tui.watch.run_recording import RunRecording, describe_error
from remdm_tui.watch.state import Observed, SessionState


class Executor:
    """`on_start` is called when an engine has started, `on_open` before it loads a model."""

    def __init__(
        self,
        options: WatchOptions,
        make_link: Callable[[], Link],
        recording: RunRecording,
        on_start: Callable[[Link], None],
        on_open: Callable[[ModelChoice], None],
    ) -> None:
        self.make_link, self.recording = make_link, recording
        self._options, self._on_start, self._on_open = options, on_start, on_open
        self._records: dict[int, Record] = {}
        """records of branches, read from the recording on screen"""
        self._made: Record | None = None
        """the record of a run that the link has begun and the state does not show yet"""
        self.link = self._make_link()

    def _make_link(self) -> Link:
        """Return a new link that records into the recording."""
        link = self.make_link()
        link.make_record = self._make
        return link

    def _make(self, start: RunStart) -> Record:
        """Make the record of a new run; called by the link's thread."""
        self._made = self.recording.make(start)
        return self._made

    def observe(self, state: SessionState) -> Observed:
        """Return a snapshot of link and recording."""
        link, recording, tree = self.link, self.recording, self.recording.branches
        records = {pane.branch: pane.record for pane in state.panes.panes}
        if state.record is not None:
            records.setdefault(state.branch, state.record)
            for branch in tree:
                # the link's thread may have begun another run with other branches since
                with suppress(ValueError):
                    records.setdefault(branch.id, self._record(branch.id))
        return Observed(
            link.trace, link.branch, link.outstanding,
            frozenset(branch for branch in records if link.record(branch) is not None),
            tree, records, {branch: len(record) for branch, record in records.items()},
            recording.writable, recording.resume, recording.problem, recording.replaceable,
        )  # fmt: skip

    def _record(self, branch: int) -> Record:
        """Return the record of a branch: the link's, or the recording's.  Raises ValueError for an unknown branch."""
        if branch not in self._records:
            linked = self.link.record(branch)
            self._records[branch] = self.recording.record(branch) if linked is None else linked
        return self._records[branch]

    def execute(self, command: c.SessionCommand, state: SessionState) -> Iterable[e.SessionEvent]:
        """Execute a command; return its outcomes."""
        link = self.link
        match command:
            case c.Launch():
                return self._launch()
            case c.Relaunch(patience):
                return [*self._end(patience), *self._relaunch(state)]
            case c.CloseEngine(patience):
                return self._end(patience)
            case c.OpenModel(choice):
                self._on_open(choice)
                link.open(choice)
            case c.BeginRun(settings, run, record, branch):
                link.begin(settings, run, record, branch)
            case c.SendSettings(settings):
                link.configure(settings)
            case c.ForkEngine(forked, record, settings):
                link.fork(forked, record, settings)
            case c.RecallBranch(recalled, record, settings):
                link.recall(recalled, record, settings)
            case c.SwitchEngine(branch):
                link.switch(branch)
            case c.StepTogether(branches):
                link.together(branches)
            case c.SendEdit(edit):
                link.alter(edit)
            case c.Request(demand, known):
                return [e.RequestSent()] if link.demand(demand.steps, demand.renew, known) else []
            case c.RequestModelCheck():
                link.check_model()
            case c.RequestPrediction(sample, position, step):
                link.look(sample, position, step)
            case c.RequestDrafts(sample, step):
                link.draft(sample, step)
            case c.PointLink(branch, shown):
                link.trace, link.branch = shown, branch
            case _:
                return self._record_command(command, state)
        return ()

    def _record_command(self, command: c.SessionCommand, state: SessionState) -> list[e.SessionEvent]:
        """Execute a command to the recording."""
        match command:
            case c.ExpectRun(choice, model, run):
                self.recording.expect(choice, model, run, self._versions())
            case c.TidyRecording():
                self._records.clear()
                if self._made is state.record:
                    self._made = None
                sentence = self.recording.tidy()
                return [e.RunLeft(sentence)] if sentence else []
            case c.ResumeRecording(model):
                assert self._options.record is not None
                try:
                    self.recording.append_to(self._options.record, model)
                except (OSError, ValueError) as error:
                    return [e.ResumeFailed(describe_error(error))]
                self._records.clear()
                return [e.RecordingResumed(model, self.recording.record(self._options.branch))]
            case c.ForkRecording(parent, at):
                try:
                    return [e.Forked(command, *self.recording.fork(parent, at))]
                except (OSError, ValueError) as error:
                    return [e.ForkFailed(command, describe_error(error))]
            case c.CloseRecording():
                try:
                    self.recording.close()
                except OSError as error:
                    return [e.CloseFailed(describe_error(error))]
        return []

    def _launch(self) -> list[e.SessionEvent]:
        """Start the engine process."""
        try:
            self.link.start()
        except OSError as error:
            return [e.LaunchFailed(str(error))]
        self._on_start(self.link)
        return []

    def _end(self, patience: float) -> list[e.SessionEvent]:
        """End the engine; return a run that it has begun meanwhile and that the recording now holds."""
        self.link.close(patience)
        return [] if self._made is None else [e.Adopted(self._made)]

    def _relaunch(self, state: SessionState) -> list[e.SessionEvent]:
        """Start another engine after the last one has ended."""
        self.link = self._make_link()
        self.link.trace, self.link.branch = state.record, state.branch
        return self._launch()

    def _versions(self) -> dict[str, str]:
        """Return the versions of the libraries that compute the run; empty if the engine is on another machine."""
        if self._options.where or self._options.command:
            return {}
        try:
            return {"torch": version("torch")}
        except PackageNotFoundError:
            return {}
