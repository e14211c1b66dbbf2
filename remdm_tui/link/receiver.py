"""What an engine has sent of the newest run: frames go into records, credit is renewed, and the rest are events."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from engine import wire
from engine.debug.credit import CreditWindow
from engine.records import Change
from engine.sampling.trace import Record, Start, Trace
from remdm_tui.link.base import Diverged, Event, Unwritten


class RunReceiver:
    """`_receive` is called by the thread that reads the engine, everything else by the session's."""

    def __init__(self, send: Callable[[wire.Command], None]) -> None:
        """send: sends a message to the engine."""
        self._send_credit = send
        self._events: deque[Event] = deque()
        self._lock = threading.Lock()
        self._credit, self._run = CreditWindow(), 0
        self._closed = False
        self._vocabulary = 0
        """tokens of the model that is loaded"""
        self._continued: Record | None = None
        """the record that the newest run goes on with"""
        self._records: dict[int, Record] = {}
        """of the newest run, by branch"""
        self.branch = 0
        """the one that is stepped"""
        self._together: tuple[int, ...] = ()
        """those that are stepped instead, if any"""
        self._over: set[int] = set()
        """branches that have no step left"""
        self.trace: Record | None = None
        """the record of the branch that is stepped; appended to by the reading thread"""
        self.make_record: Callable[[Start], Record] = Trace
        """makes the record of a new run, in the reading thread"""

    def take(self) -> list[Event]:
        """Events since the last call, frames excepted: these are in the trace."""
        taken = []
        while self._events:
            taken.append(self._events.popleft())
        if any(isinstance(event, wire.Stopped | wire.StrategyFailed) for event in taken):
            with self._lock:
                self._credit = self._credit.acknowledge()
        return taken

    def record(self, branch: int) -> Record | None:
        """What is recorded of a branch of the newest run."""
        return self._records.get(branch)

    @property
    def outstanding(self) -> int:
        return self._credit.steps

    def _stand(self, branch: int) -> None:
        self.branch, self.trace = branch, self._records[branch]
        self._credit = self._credit.void()

    def _length(self) -> int:
        """Of what steps are appended to."""
        if self._together:
            return sum(len(self._records[branch]) for branch in self._together if branch in self._records)
        return 0 if self.trace is None else len(self.trace)

    def _receive(self, event: wire.Event) -> None:
        match event:
            case wire.Stepped():
                self._stepped(event)
            case wire.Stopped(run=run) | wire.StrategyFailed(run=run):
                with self._lock:
                    self._credit = self._credit.stopped(event.stop, unacknowledged=run == self._run)
                if run == self._run:
                    self._events.append(event)
            case wire.Broken(run=run) | wire.Looked(run=run) | wire.Stands(run=run):
                if run == self._run:
                    self._events.append(event)
            case wire.Ready(model):
                self._vocabulary = len(model.pieces)
                self._events.append(event)
            case wire.Began(run=run):
                if run == self._run:
                    self._began(event)
            case wire.Resumed(run=run):
                if run == self._run:
                    record = self._continued
                    same = record is not None and np.array_equal(event.tokens.array(), _latest(record))
                    self._events.append(event if same else Diverged())
            case wire.Finished(run=run, branch=branch):
                if run == self._run and branch in (self._together or (self.branch,)):
                    self._finished(event)
            case wire.Failed():
                with self._lock:
                    self._credit = self._credit.void()
                self._events.append(event)
            case _:
                self._events.append(event)

    def _stepped(self, event: wire.Stepped) -> None:
        if event.run != self._run:
            return
        frame = event.frame()
        self._check(frame.tokens)
        if frame.change.max(initial=0) >= len(Change):
            raise ValueError("the engine has sent a change that does not exist")
        with self._lock:
            record = self._records.get(event.branch)
            # another link may go on with this record
            if self._closed or record is None:
                return
            try:
                record.append(frame)
            except OSError as error:
                self._records.clear()
                self._credit = self._credit.void()
                self._events.append(Unwritten(error.strerror or str(error)))
                return
            self._over.discard(event.branch)
            # an edit was not asked for by credit, and what a branch that was left still sends is void
            counts = frame.edit is None and event.branch in (self._together or (self.branch,))
            messages: list[wire.Credit] = []
            if counts:
                self._credit, messages = self._credit.stepped()
        for message in messages:
            self._send_credit(message)

    def _finished(self, event: wire.Finished) -> None:
        """A branch has ended: the step that it was asked for is not owed, and none is when all have."""
        with self._lock:
            self._over.add(event.branch)
            if self._over.issuperset(self._together or (self.branch,)):
                self._credit = self._credit.void()
                messages: list[wire.Credit] = []
            else:
                self._credit, messages = self._credit.stepped()
        for message in messages:
            self._send_credit(message)
        self._events.append(event)

    def _began(self, event: wire.Began) -> None:
        start = Start(event.tokens.array(), event.locked.array(), event.steps, event.seed)
        self._check(start.tokens)
        if start.tokens.ndim != 2 or start.locked.shape != start.tokens.shape or start.locked.dtype != np.bool_:
            raise ValueError("the engine has sent a canvas that is none")
        record = self._continued
        if self._closed:
            return
        if record is None:
            self.trace = self.make_record(start)
        elif np.array_equal(start.tokens, record.start.tokens) and np.array_equal(start.locked, record.start.locked):
            self.trace = record
        else:
            self._events.append(Diverged())
            return
        with self._lock:
            self._records = {self.branch: self.trace}
        self._events.append(event)

    def _check(self, tokens: NDArray[np.int32]) -> None:
        """Raises ValueError for a token that the model has not."""
        if tokens.size and not 0 <= tokens.min() <= tokens.max() < self._vocabulary:
            raise ValueError(f"the engine has sent a token outside its vocabulary of {self._vocabulary}")


def _latest(record: Record) -> NDArray[np.int32]:
    """The canvas at the end of what is recorded, [B, L]."""
    frame = record.frame(len(record))
    return record.start.tokens if frame is None else frame.tokens
