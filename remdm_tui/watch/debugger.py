"""The debugger of one session: where the run stops, what was found, what is looked at, and its branches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from engine import wire
from engine.debug.findings import Hit, Story
from engine.records import Edit, StrategyInfo
from remdm_tui.console.sanitize import sanitize
from remdm_tui.link.base import Event, Link
from remdm_tui.settings.knobs import STRATEGY, turned
from remdm_tui.watch import player as playing
from remdm_tui.watch.branches import BranchSet
from remdm_tui.watch.breakpoints import Breakpoints, Stop, sentence
from remdm_tui.watch.findings import Failure, Findings
from remdm_tui.watch.inspector import Inspector
from remdm_tui.watch.notices import Notice
from remdm_tui.watch.panes import PaneGroup

if TYPE_CHECKING:
    from remdm_tui.watch.session import WatchSession

Kind = Literal["mask", "force", "lock", "unlock", "prompt"]


class Debugger:
    """Hears the debugger's part of what the engine says; outlives runs, models and engines."""

    def __init__(self, watching: WatchSession) -> None:
        self._watching = watching
        self.stops = Breakpoints(watching.options.stops)
        self.findings = Findings()
        self.inspector = Inspector()
        self.branching = BranchSet(watching)
        self.comparing = PaneGroup(watching)
        self._leads = 0
        """the position that the view goes to when it is there; 0: none"""
        self._file = ""
        """the name of the strategy that was loaded from a file"""

    @property
    def waiting(self) -> bool:
        """Whether something will come by itself."""
        return self.inspector.waiting or self.branching.moving or bool(self._leads)

    def brief(self, link: Link) -> None:
        """Tell a new engine what the last one knew."""
        if self._watching.options.strategy_file:
            link.use_file(self._watching.options.strategy_file)
        for stop in self.stops.listed:
            self._tell(stop)

    def afresh(self, pieces: Sequence[str], fragments: Mapping[int, bytes]) -> None:
        """A run has begun."""
        self.findings.forget()
        self.inspector.forget()
        self.stops.use_pieces(pieces, fragments)

    def void(self) -> None:
        """The engine has failed or is gone: what was asked of it does not come."""
        self.inspector.pending = self.branching.moving = False
        self._leads = 0

    # -- what people do

    def stop_at(self, text: str) -> None:
        """Another breakpoint.  Raises ValueError for a text that is no condition."""
        self._tell(self.stops.add(text))

    def toggle_stop(self, number: int) -> None:
        self._tell(self.stops.toggle(number))

    def remove_stop(self, number: int) -> None:
        self.stops.remove(number)
        self._watching.link.clear(number)

    def _tell(self, stop: Stop) -> None:
        if stop.on:
            self._watching.link.stop_at(stop.number, stop.text)
        else:
            self._watching.link.clear(stop.number)

    def alter(self, kind: Kind, position: int, tokens: tuple[int, ...] = (), held: float = 1.0) -> None:
        """Change the sample on screen by hand, at the position in time on screen: in the past on a branch.

        Raises ValueError while the run plays or where there is nobody to do it.
        """
        watching = self._watching
        if watching.trace is None or not watching.live:
            raise ValueError("there is no engine here to change anything: R starts one")
        if watching.player.playing:
            raise ValueError("a run that plays is not changed by hand: space pauses it")
        watching.catch_up()
        if watching.tape.writable:
            if watching.past and not self.branching.off():
                return
            assert watching.trace is not None
            self.lead(len(watching.trace) + 1)
            self.comparing.loosen()
        watching.link.alter(Edit(kind, watching.sample, position, tokens, held))

    def lead(self, position: int) -> None:
        """Have the view go to a position that is about to be recorded."""
        self._leads = position

    def follow(self) -> None:
        """Stand where an edit, or the last pane's step, leads to when it is there."""
        watching = self._watching
        if self._leads and watching.recorded >= self._leads:
            watching.player = playing.seek(watching.player, self._leads)
            self._leads = 0

    def story(self, wait: float = 0.0) -> Story | None:
        """What happened to the position that is looked at, as far as it is read."""
        watching = self._watching
        if watching.trace is None or watching.run is None:
            return None
        return self.inspector.story(
            watching.trace, watching.sample, first=watching.run.first, playing=watching.player.playing, wait=wait
        )

    def passed(self, before: int) -> None:
        """The view has moved on from a position through what is recorded; the engine looks at new steps alone."""
        watching = self._watching
        if watching.player.position > before and self.stops.listed and watching.trace is not None:
            if self.comparing.panes:
                self._stopped(*self.comparing.hit(before))
            else:
                self._stopped(self.stops.hit(watching.trace, before, watching.player.position), self.branching.here)

    # -- what the engine says

    def hear(self, event: Event) -> bool:
        """Whether it was the debugger's."""
        if self.comparing.hear(event):
            return True
        match event:
            case wire.FileLoaded(path, _, strategy):
                self._file_loaded(path, strategy)
            case wire.StrategyFailed():
                self._strategy_failed(event)
            case wire.Stopped(branch=branch, hits=hits):
                self._watching.catch_up()
                self._stopped(hits, branch)
            case wire.Broken(violation=violation):
                self.findings.broken.setdefault(violation.law, violation)
            case wire.Looked(opinion=opinion):
                self.inspector.opinion, self.inspector.pending = opinion, False
            case wire.Stands():
                self.branching.moving = False
            case wire.Rejected(_, "Fork" | "Switch") if self._watching.tape.writable:
                self.branching.refused()
            case wire.Rejected(reason, "Look" | "Alter" as command):
                self._leads = 0
                if command == "Look":
                    self.inspector.asking = self.inspector.pending = False
                self._watching.notice = Notice(sanitize(reason, cells=True), error=True, passing=True)
            case _:
                return False
        return True

    def _stopped(self, hits: Sequence[Hit], branch: int) -> None:
        """Stand at the very frame of a branch that breakpoints were hit by."""
        watching = self._watching
        if hits:
            watching.player, self._leads = playing.seek(watching.player, hits[0].step), 0
            self.comparing.loosen()
            plain, pane = watching.options.ascii, self.comparing.letter(branch)
            said = sentence(hits, watching.options.batch, plain) + (f", in pane {pane}" if pane else "")
            watching.notice = Notice(sanitize(said, cells=True, ascii_only=plain), passing=True)

    def _file_loaded(self, path: str, strategy: StrategyInfo) -> None:
        watching = self._watching
        first, self._file = not self._file, strategy.name
        there = [info for info in watching.strategies if info.name != strategy.name]
        watching.strategies = (*there, strategy)
        self.findings.failure = None
        try:
            if first and "strategy" not in watching.options.said:
                defaults = {knob.name: knob.default for knob in strategy.knobs}
                watching.settings = replace(watching.settings, strategy=strategy.name, knobs=defaults)
                for name, value in watching.options.file_knobs:
                    watching.settings = turned(watching.settings, name, value, watching.strategies)
            elif watching.settings.strategy == strategy.name:
                watching.settings = turned(watching.settings, STRATEGY, strategy.name, watching.strategies)
        except ValueError as error:
            watching.give_up(str(error))
            return
        if watching.begun:
            said = f"{Path(path).name} is loaded again: the next step is the new one's"
            watching.notice = Notice(sanitize(said, cells=True), passing=True)

    def _strategy_failed(self, event: wire.StrategyFailed) -> None:
        watching, failure = self._watching, Failure.of(event)
        if not watching.begun:
            watching.give_up(f"{failure.reason}\n{failure.detail}".rstrip())
            return
        self.findings.failure, self._leads = failure, 0
        if event.step >= 0:
            watching.catch_up()
            watching.player = playing.seek(watching.player, event.step)
