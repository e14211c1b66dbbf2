"""The branches of a run: which there are, how one is begun and gone to, and where two of them differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.debug.branches import Parting, Row, parting, shared, tree
from engine.records import Branch, Settings
from engine.sampling.trace import Record
from remdm_tui.settings.knobs import shown
from remdm_tui.watch.notices import Notice
from remdm_tui.watch.player import Player
from remdm_tui.watch.run_recording import said

if TYPE_CHECKING:
    from remdm_tui.watch.session import WatchSession


class BranchSet:
    """`against` is the branch that the one on screen is compared with."""

    def __init__(self, watching: WatchSession) -> None:
        self._watching = watching
        self.moving = False
        """whether the engine has yet to say that it stands in the branch on screen"""
        self.against: int | None = None
        self._before: int | None = None
        """the branch that was on screen before"""
        self._left: dict[int, Settings] = {}
        """settings of branches as they were left"""
        self._ended: set[int] = set()

    def afresh(self) -> None:
        """A run has begun that does not go on with a record."""
        self.moving, self.against, self._before = False, None, None
        self._left.clear()
        self._ended.clear()

    @property
    def here(self) -> int:
        return self._watching.link.branch

    def ended(self, branch: int) -> None:
        """A branch has no further step."""
        self._ended.add(branch)

    def has_ended(self, branch: int) -> bool:
        return branch in self._ended

    def begun(self, branch: int, settings: Settings) -> None:
        """A branch takes its first own step under these settings."""
        self._left[branch] = settings

    def left(self, branch: int) -> Settings | None:
        """Settings of a branch as it was left."""
        return self._left.get(branch)

    def rows(self) -> list[tuple[Row, str, int]]:
        """The tree: its rows, what is different in each branch, and how many steps it has."""
        found = []
        for row in tree(self._watching.tape.branches):
            record = self._watching.tape.record(row.branch.id)
            pane = self._watching.debug.comparing.letter(row.branch.id)
            found.append((row, " ".join(filter(None, (pane, self._label(row.branch, record)))), len(record)))
        return found

    def _label(self, branch: Branch, record: Record) -> str:
        """What its first own step does otherwise than the step before it."""
        changed = record.settings()
        own = _in_force(changed, branch.at) if len(record) > branch.at else self._left.get(branch.id)
        if branch.id == self.here and len(record) <= branch.at:
            own = self._watching.settings
        before = _in_force(changed, branch.at - 1)
        if not branch.at and branch.parent is not None:
            # of one that shares no step what is different from its parent's first
            before = _in_force(self._watching.tape.record(branch.parent).settings(), 0)
            return otherwise(before, own) or otherwise(None, own)
        return otherwise(before, own)

    # -- going to another

    def off(self, settings: Settings | None = None) -> bool:
        """Begin a branch at the position on screen, or with the settings there; whether there is one now."""
        watching = self._watching
        position = watching.position
        if settings is None and watching.trace is not None:
            settings = _in_force(watching.trace.settings(), position)
        settings = settings or watching.settings
        try:
            branch, record = watching.tape.fork(self.here, position)
        except (ValueError, OSError) as error:
            watching.notice = Notice(f"no branch could be begun: {said(error)}", error=True)
            return False
        self.leave()
        watching.link.fork(branch, record, settings)
        self.begun(branch.id, settings)
        if watching.debug.comparing.panes:
            watching.debug.comparing.put(branch.id, record)
            return True
        watching.settings = settings
        self._arrive(record, position, ended=False, playing=watching.player.playing)
        return True

    def turn(self, by: int) -> bool:
        """Go to the branch so many rows down the tree; whether there are several."""
        comparing = self._watching.debug.comparing
        if comparing.panes:
            if not comparing.next_branch(by):
                comparing.turn(by)
            return True
        order = [row.branch.id for row in tree(self._watching.tape.branches)]
        if len(order) > 1:
            self.to(order[(order.index(self.here) + by) % len(order)])
        return len(order) > 1

    def to(self, branch: int) -> None:
        """Go to a branch and stand there, at the position on screen or its end."""
        watching = self._watching
        record, position = watching.tape.record(branch), watching.player.position
        self.leave()
        if not watching.live:
            watching.link.trace, watching.link.branch = record, branch
        else:
            try:
                watching.link.switch(branch)
            except ValueError:
                # another engine, which knows the branch before alone
                watching.go_on(record, branch)
        settings = self._left.get(branch)
        if settings is None and len(record):
            settings = _in_force(record.settings(), len(record) - 1)
        watching.settings = settings or watching.settings
        self._arrive(record, position, ended=branch in self._ended, playing=False)
        self.moving = watching.live

    def refused(self) -> None:
        """The engine does not know the branch: it is to begin with its record."""
        self.moving = False
        watching = self._watching
        if watching.link.trace is not None:
            watching.go_on(watching.link.trace, self.here)

    def leave(self) -> None:
        """Keep what is to be known of the branch on screen when it is come back to."""
        self._left[self.here], self._before = self._watching.settings, self.here

    def _arrive(self, record: Record, position: int, *, ended: bool, playing: bool) -> None:
        watching = self._watching
        self.moving = True
        watching.player = Player(
            min(position, len(record)), len(record), playing=playing, speed=watching.player.speed, ended=ended
        )
        if self.against == self.here:
            self.against = self._before

    # -- comparing two

    def compare(self) -> bool:
        """Mark what differs from the branch seen before, or from the parent; or no more.  Whether there is another."""
        if self.against is not None:
            self.against = None
            return True
        branches = {branch.id: branch for branch in self._watching.tape.branches}
        others: list[int | None] = [pane.branch for pane in self._watching.debug.comparing.panes]
        others = others or [self._before, branches[self.here].parent, *branches]
        self.against = next((one for one in others if one is not None and one != self.here), None)
        return self.against is not None

    def different(self, position: int) -> NDArray[np.bool_] | None:
        """bool [L]: where the sample on screen differs from the other branch; None where that is not so far."""
        watching = self._watching
        if self.against is None or watching.trace is None:
            return None
        other = watching.tape.record(self.against)
        if position > len(other):
            return None
        tokens: NDArray[np.bool_] = watching.trace.tokens(position, watching.sample) != other.tokens(
            position, watching.sample
        )
        return tokens

    def parting(self) -> Parting | None:
        """Where the two branches part."""
        watching = self._watching
        if self.against is None or watching.trace is None:
            return None
        one, other = watching.trace, watching.tape.record(self.against)
        joint = shared({branch.id: branch for branch in watching.tape.branches}, self.here, self.against)
        return parting(one.frame, other.frame, min(len(one), len(other)), shared=joint)


def otherwise(before: Settings | None, after: Settings | None) -> str:
    """What is different in some settings, in few words."""
    if before is None or after is None or before == after:
        return "" if after is None or before is not None else after.strategy
    parts = [after.strategy] if before.strategy != after.strategy else []
    parts += [f"{name}={shown(value)}" for name, value in after.knobs.items() if before.knobs.get(name) != value]
    for name in ("top_p", "temperature", "nucleus", "draw"):
        if getattr(before, name) != getattr(after, name):
            parts.append(f"{name}={shown(getattr(after, name))}")
    return " ".join(parts)


def _in_force(changed: Sequence[tuple[int, Settings]], step: int) -> Settings | None:
    """The settings that decided a step."""
    return next((settings for at, settings in reversed(changed) if at <= step), None)
