"""What the keys of watching do: playing, knobs, models, help."""

from __future__ import annotations

from pathlib import Path

from textual import on

from engine.records import Knob, ModelChoice
from remdm_tui.preferences.keymap import KeyTable, shown
from remdm_tui.render.canvas import plain_text
from remdm_tui.render.palette import palette
from remdm_tui.screens.about import AboutScreen
from remdm_tui.screens.help import HelpScreen
from remdm_tui.screens.models import ModelScreen
from remdm_tui.screens.value import ValueScreen
from remdm_tui.ui.compare_actions import CompareApp
from remdm_tui.watch import player as playing
from remdm_tui.watch.available_models import available_models
from remdm_tui.watch.notices import Notice
from remdm_tui.widgets.knob_panel import KnobPanel
from remdm_tui.widgets.timeline import Timeline


class PlayApp(CompareApp):
    """An application that plays what it watches; who inherits it draws that."""

    _knobs: KnobPanel
    _key_table: KeyTable
    _heat = False
    """whether colour tells confidence"""

    def _draw_words(self) -> None:
        """Draw at once what has been said and set."""
        raise NotImplementedError

    @on(KnobPanel.Turned)
    def _knob_turned(self, event: KnobPanel.Turned) -> None:
        self._turn(event.name, event.value)

    def _turn(self, name: str, value: Knob) -> None:
        self.watching.turn(name, value)
        self._draw_words()
        self._wake()

    @on(Timeline.Moved)
    def _timeline_moved(self, event: Timeline.Moved) -> None:
        self._play(playing.seek(self.watching.player, event.position))

    def action_play_pause(self) -> None:
        self._play(playing.toggle(self.watching.player))

    def action_forward(self) -> None:
        self._play(playing.forward(self.watching.player))

    def action_step_back(self) -> None:
        self._play(playing.back(self.watching.player))

    def action_jump(self, by: int) -> None:
        self._play(playing.seek(self.watching.player, self.watching.player.position + by))

    def action_start(self) -> None:
        self._play(playing.seek(self.watching.player, 0))

    def action_end(self) -> None:
        self._play(playing.seek(self.watching.player, self.watching.recorded))

    def action_speed(self, by: int) -> None:
        self._play(playing.faster(self.watching.player, by))

    def action_notch(self, name: str, by: int) -> None:
        self.watching.notch(name, by)
        self._draw_words()
        self._wake()

    def action_choose(self, by: int) -> None:
        self._knobs.choose(by)

    def action_turn(self, by: int) -> None:
        self._knobs.turn(by)

    def action_type_value(self) -> None:
        chosen = self._knobs.chosen
        if chosen is not None:
            value = next(value for info, value in self.watching.panel() if info.name == chosen.name)
            self.push_screen(
                ValueScreen(chosen, value),
                lambda given: None if given is None else self._turn(chosen.name, given),
            )

    def action_heat(self) -> None:
        self._heat = not self._heat
        self._panes.use_heat(self._heat)

    def action_restart(self, by: int) -> None:
        self.watching.restart(by)
        self._wake()

    def action_sample(self, by: int) -> None:
        self.watching.next_sample(by)
        self._wake()

    def action_page(self, by: int) -> None:
        self._grid.scroll_relative(y=by * max(1, self._grid.size.height - 1), animate=False)

    def action_copy(self) -> None:
        watching = self.watching
        if watching.trace is not None and watching.model is not None:
            words = watching.model.pieces, watching.model.fragments
            text = plain_text(watching.trace, watching.position, watching.sample, *words)
            self.copy_to_clipboard(text)
            watching.notice = Notice(f"copied {len(text)} characters")
            self._draw_words()

    def action_revive(self) -> None:
        self.watching.revive()
        self._wake()

    def action_model(self, reason: str = "") -> None:
        """Pick another model."""
        if isinstance(self.screen, ModelScreen):
            return
        watching, elsewhere = self.watching, bool(self.options.where)
        self.push_screen(
            ModelScreen(
                watching.choice,
                available_models(Path.cwd(), elsewhere),
                reason,
                self.options.ascii,
                self.options.may_consent,
            ),
            self._load,
        )

    def _load(self, choice: ModelChoice | None) -> None:
        if choice is not None:
            self.watching.load(choice)
            self._wake()

    def action_about(self) -> None:
        watching = self.watching
        if watching.model is not None:
            self.push_screen(
                AboutScreen(watching.model, self._measure, lambda: self.watching.check, self.options.ascii)
            )

    def _measure(self) -> None:
        self.watching.inspect()
        self._wake()

    def action_cancel(self) -> None:
        """Stop what is under way; else close what is below the text."""
        if self.watching.waiting:
            self.watching.cancel()
        else:
            self.watching.debug.findings.failure = None
            self._look_at(None)
        self._wake()

    def action_help(self) -> None:
        listed = [(shown(binding), binding.description) for binding in self._key_table.bound()]
        self.push_screen(HelpScreen(listed, palette(self.current_theme.dark, self.options.ascii), self.options.ascii))
