"""Check every frame of a run, in each of its branches, for breakpoints and laws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from engine.debug import breakpoints, laws
from engine.debug.claims import Claims
from engine.debug.conditions import Condition
from engine.debug.findings import Hit, Violation
from engine.debug.laws import LawState
from engine.records import Branch, Frame
from engine.text.characters import Characters


class Monitor:
    """Breakpoints, which outlive a run and are parsed again for another model, and the laws' state of each branch."""

    def __init__(self) -> None:
        self._conditions: dict[int, tuple[Condition, int | None]] = {}
        self._pieces: Sequence[str] = ()
        self._characters: Characters | None = None
        self._edges: Sequence[int] = (0, 0)
        self._law_states: dict[int, list[LawState]] = {0: []}

    def set(self, number: int, text: str, sample: int | None) -> None:
        """Stop at a condition, in one sample or in any, in place of what had the number.

        Raises ValueError for a text that is not a condition.
        """
        self._conditions[number] = breakpoints.parse_condition(text, self._pieces, self._characters), sample

    def clear(self, number: int | None) -> None:
        """Forget a breakpoint, or all."""
        if number is None:
            self._conditions.clear()
        else:
            self._conditions.pop(number, None)

    def use_pieces(self, pieces: Sequence[str], fragments: Mapping[int, bytes] = MappingProxyType({})) -> list[str]:
        """Parse the breakpoints again for another model's tokens; return why those without meaning were dropped."""
        self._pieces, old = pieces, self._conditions
        self._characters = Characters.of(fragments, len(pieces))
        self._conditions, lost = {}, []
        for number, (condition, sample) in old.items():
            try:
                self.set(number, str(condition), sample)
            except ValueError as error:
                lost.append(str(error))
        return lost

    def begin(self, edges: Sequence[int], branch: int = 0) -> None:
        """Begin a run with these blocks (`engine.sampling.blocks.Blocks.edges`), whose first branch has this number."""
        self._edges, self._law_states = edges, {branch: []}

    def fork(self, branch: Branch) -> None:
        assert branch.parent is not None
        self._law_states[branch.id] = self._law_states[branch.parent][: branch.at]

    def check(
        self, branch: int, frame: Frame, before: Frame | None, claims: Claims
    ) -> tuple[list[Hit], tuple[Violation, ...]]:
        """Return the breakpoints that the newest frame of a branch hits, and the laws that it is the first to break."""
        states = self._law_states[branch]
        state, broken = laws.check_laws(frame, claims, states[-1] if states else LawState(), self._edges)
        states.append(state)
        if frame.edit is not None:
            return [], broken
        found = (
            breakpoints.check_breakpoint(number, condition, frame, before, sample)
            for number, (condition, sample) in self._conditions.items()
        )
        return [hit for hit in found if hit is not None], broken
