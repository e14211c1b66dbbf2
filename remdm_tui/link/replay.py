"""`ReplayLink`: a link to a recording, without a process or a model."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from engine import wire
from engine.recording import Recording
from engine.records import Branch, Edit, ModelChoice, RunChoice, Settings, StrategyInfo
from engine.sampling.trace import Record, RunStart, Trace
from engine.text import infill
from remdm_tui.console.sanitize import sanitize
from remdm_tui.link.base import LinkEvent
from remdm_tui.link.law_checker import LawChecker
from remdm_tui.settings.watch_options import WatchOptions

READ_ONLY = "Replay only. Start with --model to continue the run"
NO_NETWORK = "Replay only: a recording has no model"


class ReplayLink:
    """A link to a recording: all steps are present from the start, and none is added."""

    at_once = True
    outstanding = 0

    def __init__(self, recording: Recording, branch: int = 0, strategies: tuple[StrategyInfo, ...] = ()) -> None:
        """strategies: those to show knobs for."""
        self.branch, self._first = branch, branch
        self.trace: Record | None = None
        self.make_record: Callable[[RunStart], Record] = Trace
        self._recording, self._strategies = recording, strategies
        self._events: deque[LinkEvent] = deque()
        self._laws = LawChecker(self._events.append)

    def start(self) -> None:
        self._events.append(wire.Hello(self._strategies))

    def take(self) -> list[LinkEvent]:
        # the law checker appends from a thread of its own
        return [self._events.popleft() for _ in range(len(self._events))]

    def close(self, patience: float = 0.5) -> None:
        self._laws.stop()
        self._events.clear()

    def open(self, choice: ModelChoice) -> None:
        self._events.append(wire.Ready(self._recording.model))

    def begin(self, settings: Settings, choice: RunChoice, record: Record | None = None, branch: int = 0) -> None:
        self.branch = self._first if record is None else branch
        trace = self.trace = self._recording.trace(self.branch)
        start = trace.start
        tokens, locked = wire.Array.of(start.tokens), wire.Array.of(start.locked)
        self._events += [wire.Began(1, tokens, locked, start.steps, start.seed), wire.Finished(1, self.branch)]
        if record is not None:
            self._events.append(wire.Resumed(1, tokens))
        if self._recording.damage:
            self._events.append(wire.Rejected(sanitize(self._recording.damage, cells=True)))
        self._laws.check(trace, self._recording.header, self.branch, self._strategies)

    def switch(self, branch: int) -> None:
        self.trace, self.branch = self._recording.trace(branch), branch
        self._events += [wire.Switched(1, branch, len(self.trace)), wire.Finished(1, branch)]
        self._laws.check(self.trace, self._recording.header, branch, self._strategies)

    def record(self, branch: int) -> Record | None:
        known = any(one.id == branch for one in self._recording.branches)
        return self._recording.trace(branch) if known else None

    # -- what a recording cannot do

    def fork(self, branch: Branch, record: Record, settings: Settings | None = None) -> None:
        self._events.append(wire.Rejected(READ_ONLY, "Fork"))

    def recall(self, branch: Branch, record: Record, settings: Settings) -> None:
        self._events.append(wire.Rejected(READ_ONLY, "Fork"))

    def together(self, branches: Sequence[int]) -> None:
        self._events.append(wire.Rejected(READ_ONLY, "Together"))

    def demand(self, steps: int, renew: bool, recorded: int | None = None) -> bool:
        return False

    def configure(self, settings: Settings) -> None:
        self._events.append(wire.Rejected(READ_ONLY, "Configure"))

    def alter(self, edit: Edit) -> None:
        self._events.append(wire.Rejected(READ_ONLY, "Alter"))

    def look(self, sample: int, position: int, step: int | None = None, top: int = 20) -> None:
        self._events.append(wire.Rejected(NO_NETWORK, "Look"))

    def draft(self, sample: int, step: int) -> None:
        self._events.append(wire.Rejected(NO_NETWORK, "Draft"))

    def check_model(self) -> None:
        self._events.append(wire.Failed("check", NO_NETWORK, ""))

    # -- what the session does itself for a recording

    def stop_at(self, number: int, text: str, sample: int | None = None) -> None:
        """Do nothing: the session checks its breakpoints in recorded steps itself."""

    def clear(self, number: int | None = None) -> None:
        """Do nothing; see `stop_at`."""

    def use_file(self, path: str) -> None:
        """Do nothing: no strategy runs."""


def replay_options(
    recording: Recording, branch: int = 0, *, ascii_only: bool = False, mouse: bool = True
) -> WatchOptions:
    """Return the options that watch a recording: those of its run, paused at the start."""
    header, settings = recording.header, recording.trace(branch).settings()
    run = header.run
    return WatchOptions(
        settings[0][1] if settings else Settings("nothing recorded"), header.choice, max(header.steps, 1),
        header.length, header.batch, header.seed, run.prompt, run.chat, run.block_length,
        infill=run.infill or not infill.has_masks(run.prompt),
        explicit=frozenset(("strategy", "steps", "length")), paused=True, ascii=ascii_only, mouse=mouse,
    )  # fmt: skip
