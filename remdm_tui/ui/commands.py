"""What the command palette offers besides Textual's own commands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from textual.command import DiscoveryHit, Hit, Hits, Provider

from remdm_tui.exports import KINDS
from remdm_tui.exports.screen import KINDS as SCREEN_KINDS
from remdm_tui.preferences.keymap import shown
from remdm_tui.screens.watch import WatchScreen
from remdm_tui.settings.knobs import STRATEGY


class Command(NamedTuple):
    """One line of the palette."""

    name: str
    help: str
    run: Callable[[], object]


class Commands(Provider):
    """Offers what `commands` lists; a subclass says which."""

    def commands(self, screen: WatchScreen) -> Iterator[Command]:
        """Yield the commands as they are now."""
        yield from ()

    def _listed(self) -> Iterator[Command]:
        if isinstance(self.screen, WatchScreen):
            yield from self.commands(self.screen)

    async def discover(self) -> Hits:
        for name, help_, run in self._listed():
            yield DiscoveryHit(name, run, help=help_)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for name, help_, run in self._listed():
            if (score := matcher.match(name)) > 0:
                yield Hit(score, matcher.highlight(name), run, help=help_)


class KeyCommands(Commands):
    """Every key by its description."""

    def commands(self, screen: WatchScreen) -> Iterator[Command]:
        for binding in screen.controls.table.bound():
            run = partial(screen.app.call_later, screen.app.run_action, binding.action, screen)
            yield Command(binding.description, f"key {shown(binding)}", run)


class StrategyCommands(Commands):
    """Every strategy of the engine."""

    def commands(self, screen: WatchScreen) -> Iterator[Command]:
        for info in screen.session.strategies:
            yield Command(f"Strategy: {info.name}", info.summary, partial(screen.knobs.set_knob, STRATEGY, info.name))


class ExportCommands(Commands):
    """Exports of the recording and of the screen."""

    def commands(self, screen: WatchScreen) -> Iterator[Command]:
        for kind in KINDS.values():
            yield Command(f"Export: {kind.name}", kind.summary, partial(screen.action_export, kind.name))
        for name in SCREEN_KINDS:
            run = partial(screen.action_export_screen, name)
            yield Command(f"Export the screen: {name}", "all that is on it", run)


class BookmarkCommands(Commands):
    """The bookmarks of the branch on screen."""

    def commands(self, screen: WatchScreen) -> Iterator[Command]:
        for position in screen.timeline.bookmarks:
            yield Command(f"Bookmark: step {position}", "go there", partial(screen.controls.seek, position))


PROVIDERS: tuple[type[Commands], ...] = (KeyCommands, StrategyCommands, ExportCommands, BookmarkCommands)
