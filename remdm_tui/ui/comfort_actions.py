"""What makes a session comfortable: a person's keys and theme, marks, the legend, the first steps, and exports."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from textual import on
from textual.app import SystemCommand
from textual.dom import DOMNode
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Static

from engine.files.atomic import discard
from remdm_tui.console.sanitize import sanitize
from remdm_tui.exports import KINDS
from remdm_tui.exports.scene import NARROWEST, WIDEST
from remdm_tui.exports.screen import KINDS as SCREEN_KINDS
from remdm_tui.exports.screen import kind_of as screen_kind_of
from remdm_tui.exports.screen import page_of
from remdm_tui.exports.screen import write as write_screen
from remdm_tui.exports.writing import kind_of, write
from remdm_tui.preferences.keymap import KeyTable, shown
from remdm_tui.preferences.last_session import Sampler
from remdm_tui.preferences.preferences import Preferences
from remdm_tui.render.palette import palette
from remdm_tui.screens.line import LineScreen
from remdm_tui.ui.debug_actions import DebugApp
from remdm_tui.ui.key_table import KEYS
from remdm_tui.ui.tour import Tour
from remdm_tui.watch import player as playing
from remdm_tui.watch.bookmarks import bookmarked_positions, neighbour
from remdm_tui.watch.run_recording import describe_error
from remdm_tui.widgets.legend import LegendPanel


class ComfortApp(DebugApp):
    """Who inherits it sets `comfort`, and has a #text and a #timeline."""

    comfort: Preferences
    _heat: bool
    _tour: Tour | None = None
    _pinned = False

    class Exported(Message):
        """A file has been written, or not."""

        def __init__(self, out: Path, sentence: str, error: bool) -> None:
            super().__init__()
            self.out, self.sentence, self.error = out, sentence, error

    def on_mount(self) -> None:
        self._tour_line = Static("", id="tour", markup=False)
        self._legend = LegendPanel(id="legend", classes="box", markup=False)
        self._exporting: set[Path] = set()
        known, start = self.comfort.configuration, self.comfort.start
        self._toured = self.comfort.memory.last.toured
        self.set_keymap(dict(known.keys))
        self._key_table = KeyTable(KEYS, known.keys)
        if "TEXTUAL_THEME" not in os.environ:
            themes = [name for name in (known.theme, start.theme) if name in self.available_themes]
            self.theme = (themes or [self.theme])[0] or self.theme
        self._first_theme = self.theme
        if start.heat:
            self.call_later(self.run_action, "heat")
        if start.legend:
            self.action_legend()
        if start.speed is not None:
            self.watching.player = replace(self.watching.player, speed=start.speed)
        if self.comfort.tours and not self._toured:
            self.action_tour()
        self.theme_changed_signal.subscribe(self, lambda _: self._colour_legend())

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        # Textual's own picture has a font that is elsewhere
        yield from (one for one in super().get_system_commands(screen) if one.title != "Screenshot")
        for binding in self._key_table.bound():
            yield SystemCommand(binding.description, f"key {shown(binding)}", partial(self._do, binding.action))
        for kind in KINDS.values():
            yield SystemCommand(f"Export: {kind.name}", kind.summary, partial(self.action_export, kind.name))
        for name in SCREEN_KINDS:
            yield SystemCommand(
                f"Export the screen: {name}", "all that is on it", partial(self.action_export_screen, name)
            )
        for position in self._marks:
            yield SystemCommand(f"Mark: step {position}", "go there", partial(self._seek, position))

    def _do(self, action: str) -> None:
        self.call_later(self.run_action, action)

    async def run_action(
        self, action: Any, default_namespace: DOMNode | None = None, namespaces: Mapping[str, DOMNode] | None = None
    ) -> bool:
        if action == "cancel" and self._tour is not None and not self._has_to_cancel:
            self._end_tour("the first steps end here: V or the palette shows them again")
            return True
        done = await super().run_action(action, default_namespace, namespaces)
        if done and isinstance(action, str) and self._tour is not None:
            self._go_on_touring(self._tour.did(action))
        return done

    # -- marks

    @property
    def _marks(self) -> tuple[int, ...]:
        """Marked positions of the branch on screen."""
        tape, debug = self.watching.recording, self.watching.debug
        return bookmarked_positions(tape.marks, tape.branches, debug.branching.here) if self.watching.begun else ()

    def action_mark(self) -> None:
        """Mark the step on screen, to find it again."""
        watching = self.watching
        if watching.trace is None:
            self._say_so("there is no step to mark yet")
            return
        position = min(watching.player.position, len(watching.trace))
        if position in self._marks:
            self._say_so(f"step {position} is marked already", error=False)
            return
        try:
            kept = watching.recording.mark(watching.debug.branching.here, position)
        except (OSError, ValueError) as error:
            self._say_so(f"step {position} cannot be marked: {describe_error(error)}")
            return
        keys = self._key_table.shown()
        more = "" if kept else ", for this session alone: nothing is written"
        self._say_so(f"step {position} is marked{more}; {keys['mark-previous']} {keys['mark-next']} go to marks", False)

    def action_to_mark(self, by: int) -> None:
        """To the next marked step, or the one before."""
        found = neighbour(self._marks, self.watching.player.position, by)
        if found is None:
            where = "after" if by > 0 else "before"
            self._say_so(f"no step {where} this one is marked: {self._key_table.shown()['mark']} marks one")
        else:
            self._seek(found)

    def _seek(self, position: int) -> None:
        self._play(playing.seek(self.watching.player, position))

    # -- the legend

    def action_legend(self) -> None:
        """Keep the legend in sight, or no more."""
        self._pinned = not self._pinned
        if self._pinned:
            self._colour_legend()
            self.query_one("#text").mount(self._legend)
        else:
            self._legend.remove()
            self._legend = LegendPanel(id="legend", classes="box", markup=False)

    def _colour_legend(self) -> None:
        self._legend.show(
            palette(self.current_theme.dark, self.options.ascii), self._key_table.shown()["legend"]
        )  # fmt: skip

    # -- the first steps

    def action_tour(self) -> None:
        """Show six keys, one after another."""
        if not self._tour_line.is_attached:
            self.mount(self._tour_line, before="#timeline")
        self._go_on_touring(Tour())

    def _go_on_touring(self, tour: Tour) -> None:
        self._tour = tour
        if tour.now is None:
            self._end_tour("these were the first steps; V or the palette shows them again")
        else:
            line = tour.line(self._key_table.shown())
            self._tour_line.update(sanitize(line, cells=True, ascii_only=True) if self.options.ascii else line)

    def _end_tour(self, sentence: str) -> None:
        self._tour, self._toured = None, True
        self._tour_line.remove()
        self._tour_line = Static("", id="tour", markup=False)
        self._say_so(sentence, error=False)

    @property
    def _has_to_cancel(self) -> bool:
        """Whether what is otherwise done by escape comes first."""
        debug = self.watching.debug
        return self.watching.waiting or debug.inspector.at is not None or debug.findings.failure is not None

    # -- exports

    def action_export(self, kind: str = "svg") -> None:
        """Name the file that an export goes to."""
        watching = self.watching
        step = "" if KINDS[kind].moving else f"-step-{watching.player.position}"
        asks = f"The file to write; its ending says what it is: {' '.join(KINDS)}."
        name = f"run-{watching.seed}{step}.{kind}"
        self.push_screen(LineScreen("export", asks, name, self.options.ascii, self._export))

    def action_export_screen(self, kind: str = "svg") -> None:
        """The same for all that is on the screen now."""
        # the compositor is what Textual's own screenshots are made of
        page, columns = page_of(self.screen._compositor.render_strips()), self.size.width
        light, player = not self.current_theme.dark, self.watching.player

        def accept(text: str) -> None:
            out = self._new_file(text)
            screen_kind_of(out)
            self._write(out, lambda: write_screen(page, columns, out, light))

        asks = f"The file to write; its ending says what it is: {' '.join(SCREEN_KINDS)}."
        name = f"screen-{self.watching.seed}-step-{player.position}.{kind}"
        self.push_screen(LineScreen("export the screen", asks, name, self.options.ascii, accept))

    def _export(self, text: str) -> None:
        """Have a recording written.  Raises ValueError for a file that cannot be."""
        out = self._new_file(text)
        kind, source = kind_of(out), self.watching.recording.recording
        more: dict[str, Any] = {
            "step": min(self.watching.player.position, self.watching.recorded), "sample": self.watching.sample,
            "branch": self.watching.debug.branching.here, "light": not self.current_theme.dark,
            "columns": min(max(NARROWEST, self.query_one("#text").size.width), WIDEST),
            "ascii_only": self.options.ascii,
        }  # fmt: skip

        def job() -> str:
            # what is exported does not grow while it is
            copy = source.copy()
            try:
                return write(copy, out, kind, **more)
            finally:
                copy.close()

        self._write(out, job)

    def _new_file(self, text: str) -> Path:
        """Raises ValueError where it is there, or on its way."""
        if not text.strip():
            raise ValueError("type the name of a file")
        out = Path(text.strip()).expanduser()
        if out.exists():
            raise ValueError(f"{out} is there already: choose another name")
        if out in self._exporting:
            raise ValueError(f"{out} is being written")
        return out

    def _write(self, out: Path, job: Callable[[], str]) -> None:
        """Have a thread do it, and say what came of it."""
        self._exporting.add(out)
        self._say_so(f"writing {out} ...", error=False)

        def work() -> None:
            try:
                sentence, error = f"written: {job()}", False
            except (OSError, ValueError) as problem:
                sentence, error = f"{out} is not written: {describe_error(problem)}", True
            self.post_message(self.Exported(out, sanitize(sentence, cells=True), error))

        threading.Thread(target=work, daemon=True, name="export").start()

    @on(Exported)
    def _exported(self, event: Exported) -> None:
        self._exporting.discard(event.out)
        self._say_so(event.sentence, error=event.error)

    # -- what the next session begins with

    def on_unmount(self) -> None:
        for out in self._exporting:
            discard(out)
        memory, watching = self.comfort.memory, self.watching
        now = memory.last
        if self.comfort.configuration.remember:
            speed = watching.player.speed
            now = msgspec.structs.replace(
                now,
                theme=now.theme if self.theme == self._first_theme else self.theme,
                heat=self._heat,
                legend=self._pinned,
                speed=None if speed == math.inf else speed,
            )
            # a causal model's strategy is nobody's choice
            chosen = watching.model is not None and not watching.model.causal
            if chosen and watching.settings.strategy in self.comfort.kept:
                now = msgspec.structs.replace(now, sampler=Sampler.of(watching.settings))
        if (now := msgspec.structs.replace(now, toured=self._toured)) != memory.last:
            memory.write(now)
