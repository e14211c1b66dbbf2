"""Receive the messages of the newest run: append frames to records, renew credit, queue the rest as events."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from engine import wire
from engine.debug.credit import CreditWindow
from engine.records import Change
from engine.sampling.trace import Record, RunStart, Trace
from remdm_tui.link.base import Diverged, LinkEvent, Unwritten


class RunReceiver:
    """The reading thread calls `_receive`; the session's thread calls everything else."""

    def __init__(self, send: Callable[[wire.Command], None]) -> None:
        """send: sends a message to the engine."""
        self._send_credit = send
        self._events: deque[LinkEvent] = deque()
        self._lock = threading.Lock()
        self._credit, self._run = CreditWindow(), 0
        self._closed = False
        self._vocabulary = 0
        """vocabulary size of the loaded model"""
        self._continued: Record | None = None
        """the record that the newest run continues; None for a new one"""
        self._records: dict[int, Record] = {}
        """records of the newest run, by branch"""
        self.branch = 0
        """the branch that is stepped"""
        self._together: tuple[int, ...] = ()
        """the branches that are stepped round-robin; empty: only `branch`"""
        self._ended: set[int] = set()
        """branches without a next step"""
        self.trace: Record | None = None
        """the record of the branch that is stepped; appended to by the reading thread"""
        self.make_record: Callable[[RunStart], Record] = Trace
        """makes the record of a new run; the reading thread calls it"""

    def take(self) -> list[LinkEvent]:
        """Return the events since the last call; frames are in the trace instead."""
        events = []
        while self._events:
            events.append(self._events.popleft())
        if any(isinstance(event, wire.Stopped | wire.StrategyFailed) for event in events):
            with self._lock:
                self._credit = self._credit.acknowledge()
        return events

    def record(self, branch: int) -> Record | None:
        """Return the record of a branch of the newest run; None if it is unknown."""
        return self._records.get(branch)

    @property
    def outstanding(self) -> int:
        """Number of steps that were demanded and have not arrived."""
        return self._credit.steps

    def _select(self, branch: int) -> None:
        """Make a branch the one that is stepped."""
        self.branch, self.trace = branch, self._records[branch]
        self._credit = self._credit.void()

    def _length(self) -> int:
        """Return the length of the record, or of all those stepped together."""
        if self._together:
            return sum(len(self._records[branch]) for branch in self._together if branch in self._records)
        return 0 if self.trace is None else len(self.trace)

    def _receive(self, event: wire.Event) -> None:
        """Handle one message of the engine.  Raises ValueError for an invalid one."""
        match event:
            case wire.Stepped():
                self._stepped(event)
            case wire.Stopped(run=run) | wire.StrategyFailed(run=run):
                with self._lock:
                    self._credit = self._credit.stopped(event.stop, unacknowledged=run == self._run)
                if run == self._run:
                    self._events.append(event)
            case wire.Broken(run=run) | wire.Looked(run=run) | wire.Drafted(run=run) | wire.Switched(run=run):
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
        """Append a frame to the record of its branch, and renew credit."""
        if event.run != self._run:
            return
        frame = event.frame()
        self._check(frame.tokens)
        if frame.change.max(initial=0) >= len(Change):
            raise ValueError("the engine sent an unknown change")
        with self._lock:
            record = self._records.get(event.branch)
            # another link may append to this record by now
            if self._closed or record is None:
                return
            try:
                record.append(frame)
            except OSError as error:
                self._records.clear()
                self._credit = self._credit.void()
                self._events.append(Unwritten(error))
                return
            self._ended.discard(event.branch)
            # edits take no credit, nor do late frames of a branch that is not stepped any more
            counts = frame.edit is None and event.branch in (self._together or (self.branch,))
            messages: list[wire.Credit] = []
            if counts:
                self._credit, messages = self._credit.stepped()
        for message in messages:
            self._send_credit(message)

    def _finished(self, event: wire.Finished) -> None:
        """Note that a branch has ended, which settles the step it owed; when all have ended, drop all credit."""
        with self._lock:
            self._ended.add(event.branch)
            if self._ended.issuperset(self._together or (self.branch,)):
                self._credit = self._credit.void()
                messages: list[wire.Credit] = []
            else:
                self._credit, messages = self._credit.stepped()
        for message in messages:
            self._send_credit(message)
        self._events.append(event)

    def _began(self, event: wire.Began) -> None:
        """Start the record of a new run, or check that the engine starts from the record to continue."""
        start = RunStart(event.tokens.array(), event.locked.array(), event.steps, event.seed)
        self._check(start.tokens)
        if start.tokens.ndim != 2 or start.locked.shape != start.tokens.shape or start.locked.dtype != np.bool_:
            raise ValueError("the engine sent an invalid canvas")
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
        """Raise ValueError for a token outside the vocabulary."""
        if tokens.size and not 0 <= tokens.min() <= tokens.max() < self._vocabulary:
            raise ValueError(f"the engine sent a token outside its vocabulary of {self._vocabulary}")


def _latest(record: Record) -> NDArray[np.int32]:
    """Return the canvas at the end of a record, [B, L]."""
    frame = record.frame(len(record))
    return record.start.tokens if frame is None else frame.tokens
