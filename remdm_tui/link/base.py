"""`Link`: one Protocol for a live engine and for a recording, and the events that it returns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from engine import wire
from engine.records import Branch, Edit, ModelChoice, RunChoice, Settings
from engine.sampling.trace import Record, RunStart


@dataclass(frozen=True)
class Died:
    """The engine process has ended; `last` is the last line that it or its launcher wrote."""

    code: int
    last: str
    permanent: bool = False
    """whether another try would fail in the same way"""


@dataclass(frozen=True)
class Diverged:
    """The recomputed steps differ from the record."""


@dataclass(frozen=True)
class Unwritten:
    """A frame could not be recorded; later ones of the run are ignored."""

    error: OSError


LinkEvent = wire.Event | Died | Diverged | Unwritten


class Link(Protocol):
    """Commands are sent at once and answered by events; frames go straight into the record of their branch."""

    at_once: bool
    """whether every command is answered before the next `take`"""
    branch: int
    """the branch that is stepped"""
    trace: Record | None
    """the record of that branch; appended to by another thread"""
    make_record: Callable[[RunStart], Record]
    """makes the record of a new run; may be called by another thread"""

    @property
    def outstanding(self) -> int:
        """Number of steps that were demanded and have not arrived."""
        ...

    def start(self) -> None:
        """Start the engine.  Raises OSError if it cannot be started."""
        ...

    def take(self) -> list[LinkEvent]:
        """Return the events since the last call; frames are in the record instead."""
        ...

    def close(self, patience: float = 0.5) -> None:
        """End the engine, after `patience` seconds by force; nothing is recorded any more."""
        ...

    def open(self, choice: ModelChoice) -> None:
        """Load a model; answered by `Ready` or `Failed`.  The present run takes no more steps."""
        ...

    def begin(self, settings: Settings, choice: RunChoice, record: Record | None = None, branch: int = 0) -> None:
        """Start a new run, or continue one after the record of its `branch`; answered by `Began`.

        To continue, the engine recomputes the recorded steps without sending their frames, answers with `Resumed` at
        the end of the record, and knows no other branch.
        """
        ...

    def fork(self, branch: Branch, record: Record, settings: Settings | None = None) -> None:
        """Branch off and continue there, appending to `record`, which holds the shared frames; answered by `Switched`.

        Without settings the branch replays what its parent has recorded.  Refused by `Rejected` with the command
        "Fork" if the engine does not know the parent: then `begin` continues the record.
        """
        ...

    def recall(self, branch: Branch, record: Record, settings: Settings) -> None:
        """Recompute the record of a branch that the engine does not know, and switch to it.

        `branch` must be a child of a known branch, at step 0.  Answered by `Switched`, and by `Resumed` at the end of
        the record; then call `switch` or `together` to continue.
        """
        ...

    def switch(self, branch: int) -> None:
        """Continue in another branch, where it was left; answered as `fork`.  Raises ValueError if it is unknown."""
        ...

    def together(self, branches: Sequence[int]) -> None:
        """Step these branches round-robin; an empty sequence means the current branch.

        A step of any counts as one that was demanded.  Each appends to its own `record`; answered as `fork`.
        """
        ...

    def record(self, branch: int) -> Record | None:
        """Return the record of a branch that `switch` can go to, or None."""
        ...

    def demand(self, steps: int, renew: bool, recorded: int | None = None) -> bool:
        """Let `steps` steps be outstanding, renewed as frames arrive if `renew`; return whether any were requested.

        recorded: length of the record, or of all those stepped together, when the steps were demanded; frames that
        have arrived since count towards them.
        The first demand without renewal revokes a renewed one, so that a pause takes hold at the step being computed.
        """
        ...

    def configure(self, settings: Settings) -> None:
        """Use these settings from the next step on."""
        ...

    def alter(self, edit: Edit) -> None:
        """Change the canvas by hand at the end of the record; the edit's frame is appended."""
        ...

    def look(self, sample: int, position: int, step: int | None = None, top: int = 20) -> None:
        """Request the model's prediction at a position after `step` steps (None: now); answered by `Looked`."""
        ...

    def draft(self, sample: int, step: int) -> None:
        """Request the model's first choice at every masked position after `step` steps; answered by `Drafted`."""
        ...

    def check_model(self) -> None:
        """Measure the model's loss on a short text; answered by `Checked`."""
        ...

    def stop_at(self, number: int, text: str, sample: int | None = None) -> None:
        """Set breakpoint `number` to a condition, in one sample or in any."""
        ...

    def clear(self, number: int | None = None) -> None:
        """Remove a breakpoint, or all."""
        ...

    def use_file(self, path: str) -> None:
        """Load a strategy from a file of the engine's machine and reload it on changes; "" stops that.

        Call it before `begin`.
        """
        ...
