"""The commands of the command palette."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.screen import Screen

from remdm_tui.exports import EXPORT_KINDS
from remdm_tui.exports.screen import SCREEN_KINDS
from remdm_tui.screens.watch import WatchScreen
from remdm_tui.settings.knobs import STRATEGY


class PaletteLine(NamedTuple):
    """One line of the palette."""

    name: str
    help: str
    run: Callable[[], object]


def of_application(screen: Screen[object]) -> Iterator[PaletteLine]:
    """Yield Textual's own commands."""
    for name, help_, run, _ in screen.app.get_system_commands(screen):
        yield PaletteLine(name, help_, run)


def of_keys(screen: WatchScreen) -> Iterator[PaletteLine]:
    """Yield one command per key."""
    for binding in screen.controls.table.bound():
        run = partial(screen.app.call_later, screen.app.run_action, binding.action, screen)
        key = f"key {screen.controls.table.readable(binding)}"
        yield PaletteLine(binding.description, f"{binding.tooltip or binding.description} ({key})", run)


def of_strategies(screen: WatchScreen) -> Iterator[PaletteLine]:
    """Yield the strategies of the engine."""
    for info in screen.session.strategies:
        yield PaletteLine(f"Strategy: {info.name}", info.summary, partial(screen.knobs.set_knob, STRATEGY, info.name))


def of_exports(screen: WatchScreen) -> Iterator[PaletteLine]:
    """Yield the exports of the recording and of the screen."""
    for kind in EXPORT_KINDS.values():
        yield PaletteLine(f"Export: {kind.name}", kind.summary, partial(screen.action_export, kind.name))
    for name in SCREEN_KINDS:
        run = partial(screen.action_export_screen, name)
        yield PaletteLine(f"Export the screen: {name}", "the screen as it is", run)


def of_bookmarks(screen: WatchScreen) -> Iterator[PaletteLine]:
    """Yield the bookmarks of the branch on screen."""
    for position in screen.timeline.bookmarks:
        yield PaletteLine(f"Bookmark: step {position}", "go there", partial(screen.controls.seek, position))


SOURCES: tuple[Callable[[WatchScreen], Iterator[PaletteLine]], ...] = (of_keys, of_strategies, of_exports, of_bookmarks)


class WatchCommands(Provider):
    """Offers all commands sorted by name; above a dialog only Textual's own."""

    def _commands(self) -> list[PaletteLine]:
        found = list(of_application(self.screen))
        if isinstance(self.screen, WatchScreen):
            found += [command for source in SOURCES for command in source(self.screen)]
        return sorted(found, key=lambda command: command.name)

    async def discover(self) -> Hits:
        for name, help_, run in self._commands():
            yield DiscoveryHit(name, run, help=help_)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for name, help_, run in self._commands():
            if (score := matcher.match(name)) > 0:
                yield Hit(score, matcher.highlight(name), run, help=help_)
