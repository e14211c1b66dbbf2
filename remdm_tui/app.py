"""The application: mount the watch screen, apply theme and keys, and end cleanly."""

from __future__ import annotations

import asyncio
import gc
import math
import os
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import msgspec
from rich.console import RenderableType
from textual.app import App, SystemCommand
from textual.binding import Binding
from textual.dom import DOMNode
from textual.driver import Driver
from textual.events import Event, InputEvent, Key
from textual.filter import LineFilter
from textual.screen import Screen
from textual.widgets import Input

from remdm_tui.console.signals import ENDING, FAILED, SIGNALLED, ends
from remdm_tui.link.base import Link
from remdm_tui.link.process import ENGINE, ProcessLink
from remdm_tui.preferences.keymap import KeyTable
from remdm_tui.preferences.last_session import Sampler
from remdm_tui.preferences.preferences import Preferences
from remdm_tui.preferences.themes import HIGH_CONTRAST, readable_variables
from remdm_tui.render.plate_modes import MODES
from remdm_tui.screens.panels.controls import Controls
from remdm_tui.screens.watch import WatchScreen
from remdm_tui.settings.watch_options import WatchOptions
from remdm_tui.ui.commands import WatchCommands
from remdm_tui.ui.header_presenter import SMALLEST
from remdm_tui.ui.key_table import APP_KEYS, KEYS
from remdm_tui.ui.metered_driver import has_shell, metered
from remdm_tui.ui.output_filter import AsciiFilter, SafeFilter
from remdm_tui.ui.refresh import RefreshClock
from remdm_tui.ui.run_app import run_app
from remdm_tui.ui.session_runs import SessionRuns
from remdm_tui.ui.tour import TourGuide
from remdm_tui.watch.follow_training import FollowedRun
from remdm_tui.watch.run_recording import RunRecording
from remdm_tui.watch.session import WatchSession
from remdm_tui.widgets.colour_system import colour_system

SAFE, ASCII = SafeFilter(), AsciiFilter()


PATIENCE = 5.0
"""Seconds within which a line takes what was typed into it."""


async def _caught_up(line: Input) -> None:
    """Wait until a line has taken the keys that were sent to it."""
    taken = asyncio.Event()
    if line.call_later(taken.set):
        with suppress(TimeoutError):
            await asyncio.wait_for(taken.wait(), PATIENCE)


class WatchApp(App[None]):
    """Watch one run."""

    CSS_PATH = "app.tcss"
    TITLE = "remdm-tui"
    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (SMALLEST[0], "-narrow"), (100, "-wide"), (160, "-huge")]
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (SMALLEST[1], "-low"), (32, "-tall")]
    BINDINGS = [*APP_KEYS]
    COMMANDS = {WatchCommands}

    def __init__(
        self,
        options: WatchOptions,
        make_link: Callable[[], Link] = ProcessLink,
        clock: Callable[[], float] = time.monotonic,
        recording: RunRecording | None = None,
        preferences: Preferences = Preferences(),  # noqa: B008  (frozen)
    ) -> None:
        super().__init__()
        self.register_theme(HIGH_CONTRAST)
        if self.theme == HIGH_CONTRAST.name:
            # TEXTUAL_THEME names it, and Textual has made its variables before it was known
            self.stylesheet.set_variables(self.get_css_variables())
        self.options, self.preferences = options, preferences
        self.watching = (FollowedRun if options.follow else WatchSession)(options, make_link, recording)
        self.controls = Controls(self.watching, options, KeyTable(KEYS, preferences.configuration.keys, options.ascii))
        self._clock = clock
        self._signals: tuple[tuple[signal.Signals, Any], ...] = ()
        self._opening: Awaitable[Any] | None = None
        """the screen that was opened last, until input has waited for it"""

    def get_driver_class(self) -> type[Driver]:
        return metered(super().get_driver_class())

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [*super().get_line_filters(), ASCII if self.options.ascii else SAFE]

    def get_key_display(self, binding: Binding) -> str:
        if self.options.ascii and not super().get_key_display(binding).isascii():
            return self.controls.table.readable(binding)
        return super().get_key_display(binding)

    def get_default_screen(self) -> Screen[Any]:
        self.main = WatchScreen(self.controls)
        return self.main

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        # Textual's own picture has a font that is elsewhere
        yield from (one for one in super().get_system_commands(screen) if one.title != "Screenshot")

    def get_css_variables(self) -> dict[str, str]:
        """Return the theme's colours, with those of lines and of small text that stand out in every theme."""
        known = super().get_css_variables()
        return {**known, **readable_variables(known, self.current_theme.dark, colour_system(self))}

    # -- how it begins

    def on_mount(self) -> None:
        self.set_class(self.options.ascii, "ascii")
        self.refresh_clock = RefreshClock(self.main, self._clock)
        self.refresh_clock.start()
        self.runs = SessionRuns(self.main, self._clock)
        self.guide = TourGuide(self.main, self.preferences.memory.last.toured)
        self._apply_preferences()
        self.app_resume_signal.subscribe(self, lambda _: self.refresh(layout=True))
        self.call_after_refresh(self._start)

    def _start(self) -> None:
        if self.ending:
            return
        if not gc.isenabled():
            # what the command has loaded until now lives until the end: the collector need not walk it again
            gc.freeze()
            gc.enable()
        # the widgets of the screen are there by now
        if self.preferences.start.legend:
            self.main.action_legend()
        if self.preferences.tours and not self.guide.toured:
            self.guide.begin()
        self.watching.start()
        if self.watching.has_record:
            self.call_later(self.refresh_clock.tick)

    def _apply_preferences(self) -> None:
        known, start, player = self.preferences.configuration, self.preferences.start, self.watching.player
        self.set_keymap(dict(known.keys))
        if "TEXTUAL_THEME" not in os.environ:
            themes = [name for name in (known.theme, start.theme) if name in self.available_themes]
            self.theme = (themes or [self.theme])[0] or self.theme
        self._first_theme = self.theme
        mode = MODES.get(start.colour, MODES["confidence" if start.by_confidence else "state"])
        # what costs network calls begins by a key alone
        if not mode.network and mode.levels:
            self.main.panes.colour_by(mode.name)
        if start.speed is not None:
            self.watching.player = replace(player, speed=start.speed)

    # -- screens and keys

    def push_screen(self, *arguments: Any, **options: Any) -> Any:
        self._opening = opening = super().push_screen(*arguments, **options)
        return opening

    async def on_event(self, event: Event) -> None:
        if isinstance(event, InputEvent) and self._opening is not None:
            # keys that are typed while a screen opens are for that screen, and its actions need its widgets
            opening, self._opening = self._opening, None
            await opening
        if not (isinstance(event, Key) and not event.is_forwarded and await self._acts_on(event)):
            await super().on_event(event)

    async def _acts_on(self, key: Key) -> bool:
        """Do at once what a key is for that no widget takes for itself; return whether it is for anything.

        Textual sends it to a widget from which it comes back behind the keys that were typed after it.
        """
        if not self.app_focus:
            return False
        if isinstance(self.focused, Input):
            if key.key != "enter":
                return False
            await _caught_up(self.focused)
        elif self.screen.is_modal:
            return False
        return await self._check_bindings(key.key, priority=True) or await self._check_bindings(key.key)

    # -- the first steps

    def action_tour(self) -> None:
        """Show the first steps again."""
        self.guide.begin()

    # -- the runs of the session

    def action_runs(self) -> None:
        """Open the list of the session's runs."""
        self.runs.show()

    async def run_action(
        self, action: Any, default_namespace: DOMNode | None = None, namespaces: Mapping[str, DOMNode] | None = None
    ) -> bool:
        if self.ending:
            return False
        if action == "cancel" and self.guide.escape():
            return True
        done = await super().run_action(action, default_namespace, namespaces)
        if done and isinstance(action, str):
            self.guide.did(action)
        return done

    # -- how it ends

    @property
    def ending(self) -> bool:
        """Whether the application is ending; Textual mounts nothing any more."""
        return self.return_code is not None

    def on_load(self) -> None:
        """Make signals that would end the process end it as `q` does, from before the terminal is touched."""
        self._signals = () if threading.current_thread() is not threading.main_thread() else tuple(
            (number, signal.getsignal(number)) for number in ENDING if ends(number)
        )  # fmt: skip
        for number, _ in self._signals:
            # once the screen is there: Textual cannot end in the middle of making it
            end = partial(self.call_later, self.exit, return_code=SIGNALLED + number)
            asyncio.get_running_loop().add_signal_handler(number, end)

    def on_unmount(self) -> None:
        self.watching.close()
        self.refresh_clock.stop()
        for number, was in self._signals:
            asyncio.get_running_loop().remove_signal_handler(number)
            signal.signal(number, was)
        self._remember()

    def _remember(self) -> None:
        """Write what the next session restores."""
        memory, session = self.preferences.memory, self.watching
        now = memory.last
        if self.preferences.configuration.remember:
            speed = session.player.speed
            now = msgspec.structs.replace(
                now,
                theme=now.theme if self.theme == self._first_theme else self.theme,
                # the first is what earlier versions know
                by_confidence=self.main.panes.mode.name == "confidence",
                colour=self.main.panes.mode.name,
                legend=self.main.legend is not None,
                speed=None if speed == math.inf else speed,
            )
            # the user does not choose a causal model's strategy
            chosen = session.model is not None and not session.model.causal
            if chosen and session.settings.strategy in self.preferences.kept:
                now = msgspec.structs.replace(now, sampler=Sampler.of(session.settings))
        if (now := msgspec.structs.replace(now, toured=self.guide.toured)) != memory.last:
            memory.write(now)

    async def action_quit(self) -> None:
        """End the session; if that loses what a person made, ask once before."""
        unsaved = self.watching.recording.unsaved() if self.preferences.configuration.confirm_quit else []
        shown = self.screen if isinstance(self.screen, WatchScreen) else self.main
        controls, keys = shown.controls, self.controls.keys
        question = f"Lost with the session: {', '.join(unsaved)}. {keys['quit']} again: quit, {keys['runs']}: runs"
        if unsaved and controls.session.notice.text != question:
            controls.say(question)
        else:
            self.exit()

    def on_hung_up(self) -> None:
        """End because the terminal is gone; that does not always come with a signal."""
        self.exit(return_code=SIGNALLED + signal.SIGHUP)

    def exit(self, result: None = None, return_code: int = 0, message: RenderableType | None = None) -> None:
        # what has failed or was ended by a signal did not end well because something else ends it too
        super().exit(result, self.return_code or return_code, message)

    def panic(self, *renderables: RenderableType) -> None:
        super().exit(return_code=FAILED)
        super().panic(*renderables)

    def action_suspend_process(self) -> None:
        """Suspend the process; `fg` resumes it."""
        if has_shell() and self._driver is not None and self._driver.can_suspend:
            super().action_suspend_process()
        else:
            self.controls.say("No shell to return to. Start remdm-tui from a shell to suspend it")


def run(options: WatchOptions, preferences: Preferences) -> int:
    """Watch until the person quits; return the exit status."""
    app = WatchApp(options, partial(ProcessLink, options.command or ENGINE), preferences=preferences)
    return run_app(app, app.watching, options.mouse)
