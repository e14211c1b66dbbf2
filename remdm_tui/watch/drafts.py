"""What the network would put at the masked positions of the step on screen: asked for once a step, while wanted."""

from __future__ import annotations

from engine.debug.findings import Drafts
from engine.sampling.trace import Record

Place = tuple[Record, int, int, int]
"""A record, its branch, a sample and a step."""


class DraftRequests:
    """The drafts of one step, and who wants them: nobody at first, since each step costs a network call."""

    def __init__(self) -> None:
        self.overlay = False
        """whether the drafts are shown"""
        self.entropy = False
        """whether the colour shows the entropy of the predictions"""
        self.pending = False
        """whether drafts are on their way"""
        self._requested: Place | None = None
        self._found: Drafts | None = None

    @property
    def wanted(self) -> bool:
        return self.overlay or self.entropy

    def ask(self, place: Place) -> bool:
        """Return whether the drafts of a step have to be requested now; a request waits for the one before."""
        if not self.wanted or self.pending or place == self._requested:
            return False
        self._requested, self._found, self.pending = place, None, True
        return True

    def answer(self, drafts: Drafts, branch: int) -> None:
        """Take the engine's answer; one to an earlier request is dropped."""
        self.pending = False
        if self._requested is not None and self._requested[1:] == (branch, drafts.sample, drafts.step):
            self._found = drafts

    def forget(self) -> None:
        """Expect no answer, and ask again."""
        self.pending, self._requested, self._found = False, None, None

    def end(self) -> None:
        """Want no drafts any more: the engine has refused them."""
        self.overlay = self.entropy = False
        self.forget()

    def at(self, place: Place) -> Drafts | None:
        """Return the drafts of a step; None if nobody wants them or they have not come."""
        return self._found if self.wanted and place == self._requested else None
