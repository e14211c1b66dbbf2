"""The knobs with their keys."""

from __future__ import annotations

from textual import on
from textual.binding import Binding

from engine.records import Knob
from remdm_tui.link.replay import READ_ONLY
from remdm_tui.screens.panels.controls import Controls
from remdm_tui.screens.value import KnobChoiceScreen, ValueScreen
from remdm_tui.settings.knobs import STRATEGY, knob_text
from remdm_tui.widgets.knob_panel import KnobPanel

KNOBS = (
    Binding("s", "notch('strategy',1)", "Strategy", id="strategy-next", tooltip="Take another strategy from here on"),
    Binding(
        "S",
        "notch('strategy',-1)",
        "Previous strategy",
        id="strategy-previous",
        show=False,
        tooltip="Take the strategy before from here on",
    ),
    Binding("e", "notch('eta',-1)", "eta down", id="eta-down", show=False, tooltip="Remask less from the next step on"),
    Binding("E", "notch('eta',1)", "eta up", id="eta-up", show=False, tooltip="Remask more from the next step on"),
    Binding(
        "p",
        "notch('top_p',-1)",
        "Nucleus p down",
        id="p-down",
        show=False,
        tooltip="Draw from fewer of the likeliest tokens",
    ),
    Binding(
        "P", "notch('top_p',1)", "Nucleus p up", id="p-up", show=False, tooltip="Draw from more of the likeliest tokens"
    ),
    Binding(
        "t",
        "notch('temperature',-1)",
        "Temperature down",
        id="temperature-down",
        show=False,
        tooltip="Draw closer to the likeliest token",
    ),
    Binding(
        "T", "notch('temperature',1)", "Temperature up", id="temperature-up", show=False, tooltip="Draw more evenly"
    ),
    Binding("down,j", "choose(1)", "Next knob", id="knob-next", show=False, tooltip="Choose the knob below"),
    Binding("up,k", "choose(-1)", "Previous knob", id="knob-previous", show=False, tooltip="Choose the knob above"),
    Binding(
        "minus",
        "turn(-1)",
        "Turn knob down",
        id="knob-down",
        key_display="-",
        tooltip="Turn the chosen knob one notch down",
    ),
    Binding(
        "plus,equals_sign",
        "turn(1)",
        "Turn knob up",
        id="knob-up",
        key_display="+",
        tooltip="Turn the chosen knob one notch up",
    ),
    Binding(
        "enter",
        "type_value",
        "Type the knob's value",
        id="knob-type",
        tooltip="Type a value for the chosen knob, or pick one",
    ),
)


class KnobsPanel(KnobPanel, can_focus=True):
    """Turns the knobs of the session."""

    BINDINGS = [*KNOBS]
    NAME = "knobs"

    def __init__(self, controls: Controls) -> None:
        super().__init__(ascii_only=controls.options.ascii, id="knobs")
        self.controls, self.session = controls, controls.session

    @on(KnobPanel.Turned)
    def _turned(self, event: KnobPanel.Turned) -> None:
        self.set_knob(event.name, event.value)

    def set_knob(self, name: str, value: Knob) -> None:
        """Set a knob of the session."""
        self.session.turn(name, value)
        self.controls.wake(at_once=True)

    def action_notch(self, name: str, by: int) -> None:
        session = self.session
        if not session.strategies:
            self.controls.say(self.controls.no_run)
            return
        before, notice = session.upcoming, session.notice
        session.notch(name, by)
        if session.notice is notice or not session.notice.text:
            now = session.upcoming
            if now == before:
                self.controls.say(f"{name} is at its limit")
            elif name == STRATEGY:
                names = [info.name for info in session.strategies]
                place = f"{names.index(now.strategy) + 1} of {len(names)}"
                lists = f"{self.controls.keys['command']}{STRATEGY}"
                self.controls.say(f"{now.strategy} from the next step on: {place}, {lists} lists all", "note")
            elif not self._visible:
                value = now.knobs.get(name, getattr(now, name, ""))
                self.controls.say(f"{name} {knob_text(value)} from the next step on", "note")
        self.controls.wake(at_once=True)

    @property
    def _visible(self) -> bool:
        return bool(self.is_on_screen and self.size.height)

    def action_choose(self, by: int) -> None:
        self.choose(by)
        chosen = self.chosen
        if chosen is None:
            self.controls.say(self.controls.no_run)
        elif not self._visible:
            keys = self.controls.keys
            turns = f"{keys['knob-down']} and {keys['knob-up']} turn it"
            self.controls.say(f"Knob {chosen.name}: {turns}, {keys['panel-knobs']} shows all", "note")

    def action_turn(self, by: int) -> None:
        if self.chosen is None:
            self.controls.say(self.controls.no_run)
        else:
            self.action_notch(self.chosen.name, by)

    def action_type_value(self) -> None:
        """Ask for the value of the chosen knob."""
        chosen = self.chosen
        if chosen is None:
            self.controls.say(self.controls.no_run)
            return
        if self.session.state.read_only:
            self.controls.say(READ_ONLY)
            return
        value = next(row.now for row in self.session.panel() if row.info.name == chosen.name)

        def take(given: Knob | None) -> None:
            if given is not None:
                self.set_knob(chosen.name, given)

        plain = self.controls.options.ascii
        if chosen.choices:
            summaries = {info.name: info.summary for info in self.session.strategies}
            self.app.push_screen(KnobChoiceScreen(chosen, value, plain, summaries), take)
        else:
            self.app.push_screen(ValueScreen(chosen, value, plain), take)
