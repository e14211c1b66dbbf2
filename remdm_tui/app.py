"""The application: one screen, its keys, and the paint clock that joins engine, player and widgets."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Iterable

from textual import on
from textual.app import App, ComposeResult, SystemCommand
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.keys import format_key
from textual.screen import Screen
from textual.widgets import Footer, Label

from engine import wire
from engine.records import Change, Knob, ModelInfo, Settings, StrategyInfo
from remdm_tui import player as playing
from remdm_tui import reading
from remdm_tui.knobs import STRATEGY, notch, panel, turned
from remdm_tui.layout import Pieces
from remdm_tui.link import Died, Event, Link
from remdm_tui.options import WatchOptions
from remdm_tui.palette import palette
from remdm_tui.player import Player
from remdm_tui.screens.help import HelpScreen
from remdm_tui.screens.value import ValueScreen
from remdm_tui.widgets.curves import CurvesPanel
from remdm_tui.widgets.figures import FiguresPanel
from remdm_tui.widgets.knob_panel import KnobPanel
from remdm_tui.widgets.timeline import Timeline
from remdm_tui.widgets.token_grid import TokenGrid

PAINTS = 60
"""Paints a second at most."""
PANELS = 10
"""Refreshes a second of everything but the grid."""


class WatchApp(App[None]):
    """Watch one run; `failure` says after the end why there was nothing to watch."""

    CSS_PATH = "app.tcss"
    TITLE = "remdm-tui"
    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (60, "-narrow"), (100, "-wide"), (160, "-huge")]
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (16, "-low"), (32, "-tall")]
    BINDINGS = [
        Binding("space", "play_pause", "Play/pause", id="play"),
        Binding("right,l", "forward", "Step", id="forward", key_display="→"),
        Binding("left,h", "step_back", "Back", id="back", key_display="←"),
        Binding("home,g", "start", "First step", id="start", show=False),
        Binding("end,G", "end", "Last recorded step", id="end", show=False),
        Binding("less_than_sign,comma", "speed(-1)", "Slower", id="slower", show=False),
        Binding("greater_than_sign,full_stop", "speed(1)", "Faster", id="faster", show=False),
        Binding("s", "notch('strategy',1)", "Strategy", id="strategy-next"),
        Binding("S", "notch('strategy',-1)", "Previous strategy", id="strategy-previous", show=False),
        Binding("e", "notch('eta',-1)", "eta down", id="eta-down", show=False),
        Binding("E", "notch('eta',1)", "eta up", id="eta-up", show=False),
        Binding("p", "notch('top_p',-1)", "Nucleus p down", id="p-down", show=False),
        Binding("P", "notch('top_p',1)", "Nucleus p up", id="p-up", show=False),
        Binding("t", "notch('temperature',-1)", "Temperature down", id="temperature-down", show=False),
        Binding("T", "notch('temperature',1)", "Temperature up", id="temperature-up", show=False),
        Binding("down,j", "choose(1)", "Next knob", id="knob-next", show=False),
        Binding("up,k", "choose(-1)", "Previous knob", id="knob-previous", show=False),
        Binding("minus", "turn(-1)", "Turn knob down", id="knob-down", key_display="-", show=False),
        Binding("plus,equals_sign", "turn(1)", "Turn knob up", id="knob-up", key_display="+", show=False),
        Binding("enter", "type_value", "Type the knob's value", id="knob-type", show=False),
        Binding("c", "heat", "Heat", id="heat"),
        Binding("r", "restart(0)", "Restart", id="restart"),
        Binding("n", "restart(1)", "Next seed", id="next-seed"),
        Binding("b", "sample(1)", "Next sample of the batch", id="sample-next", show=False),
        Binding("B", "sample(-1)", "Previous sample", id="sample-previous", show=False),
        Binding("pagedown", "page(1)", "Scroll the grid down", id="page-down", show=False),
        Binding("pageup", "page(-1)", "Scroll the grid up", id="page-up", show=False),
        Binding("y", "copy", "Copy the text", id="copy", show=False),
        Binding("R", "revive", "Restart the engine", id="revive", show=False),
        Binding("question_mark", "help", "Help", id="help", key_display="?"),
        Binding("q", "quit", "Quit", id="quit"),
    ]  # fmt: skip

    def __init__(
        self,
        options: WatchOptions,
        make_link: Callable[[], Link] = Link,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self.options = options
        self.settings: Settings = options.settings
        self.seed = options.seed
        self.player = Player(playing=not options.paused)
        self._make_link = make_link
        self.link = make_link()
        self.failure: str | None = None
        self.strategies: tuple[StrategyInfo, ...] = ()
        self.model: ModelInfo | None = None
        self._sample = 0
        self._heat = False
        self._resting = False
        self._panels: tuple[object, ...] = ()
        self._begun = False
        self._drawn: tuple[object, ...] = ()
        self._clock = clock
        self._pace = reading.Pace(clock)
        self._last_tick = clock()

    # -- the screen

    def compose(self) -> ComposeResult:
        plain = self.options.ascii
        # kept, not queried for: the paint clock may beat once more while the screen is taken down
        self._status = Label("", id="status", markup=False)
        self._grid = TokenGrid(ascii_only=plain, id="grid")
        self._figures = FiguresPanel(id="figures", markup=False)
        self._knobs = KnobPanel(ascii_only=plain, id="knobs")
        self._curves = CurvesPanel(ascii_only=plain, id="curves")
        self._timeline = Timeline(ascii_only=plain, id="timeline")
        self._banner = Label("", id="banner", markup=False)
        yield self._status
        with Horizontal(id="main"):
            with Vertical(id="text"):
                yield self._grid
            with Vertical(id="side"):
                with Vertical(id="figures-box", classes="box"):
                    yield self._figures
                with Vertical(id="knobs-box", classes="box"):
                    yield self._knobs
                with Vertical(id="curves-box", classes="box"):
                    yield self._curves
        yield self._timeline
        yield self._banner
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self.set_class(self.options.ascii, "ascii")
        for name, title in (("figures-box", "this step"), ("knobs-box", "knobs"), ("curves-box", "the run")):
            self.query_one(f"#{name}").border_title = title
        self._retheme()
        self.theme_changed_signal.subscribe(self, lambda _: self._retheme())
        self._grid.message(f"loading {self.options.model} ...")
        self._fast = self.set_interval(1 / PAINTS, self._tick)
        self.set_interval(1 / PANELS, self._refresh_panels)
        self.call_after_refresh(self._start_engine)

    def _retheme(self) -> None:
        colours = palette(self.current_theme.dark, self.options.ascii)
        self._grid.use_palette(colours)
        shown = [look for state, look in colours.looks.items() if self.options.prompt or state != Change.LOCKED]
        legend = " ".join(
            f"[{look.style}]{look.fill}[/]{look.name}" if look.fill else f"[{look.style}] {look.name} [/]"
            for look in shown
        )
        self.query_one("#text").border_subtitle = legend

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        yield from super().get_system_commands(screen)
        for binding in self._bindings.key_to_bindings.values():
            for one in binding[:1]:
                if one.id:
                    yield SystemCommand(one.description, f"key {one.key}", lambda a=one.action: self._do(a))
        for info in self.strategies:
            yield SystemCommand(f"Strategy: {info.name}", info.summary, lambda n=info.name: self._turn(STRATEGY, n))

    def _do(self, action: str) -> None:
        self.call_later(self.run_action, action)

    # -- the engine

    def _start_engine(self) -> None:
        # what is loaded by now lives until the end: the collector need not walk it again
        gc.collect()
        gc.freeze()
        try:
            self.link.start()
        except OSError as error:
            self._fail(f"the engine cannot be started: {error}")
            return
        self.link.open(self.options.model, self.options.device, self.options.dtype)

    def _begin(self) -> None:
        self._drawn = ()
        self.player = Player(playing=self.player.playing, speed=self.player.speed)
        options = self.options
        self.link.begin(
            self.settings, steps=options.steps, length=options.length, batch=options.batch,
            seed=self.seed, prompt=options.prompt,
        )  # fmt: skip

    def _handle(self, event: Event) -> None:
        match event:
            case wire.Hello(protocol, version, strategies):
                if protocol != wire.PROTOCOL:
                    self._fail(f"the engine is version {version} and speaks protocol {protocol}, not {wire.PROTOCOL}")
                self.strategies = strategies
                self._show_knobs()
            case wire.Loading(stage):
                self._say(stage)
            case wire.Ready(model):
                self.model = model
                self._grid.use_pieces(Pieces.of(model.pieces, self.options.ascii))
                self._say("")
                self._begin()
            case wire.Began():
                self._begun = True
                self.player = Player(playing=self.player.playing, speed=self.player.speed)
                self._say("")
            case wire.Finished():
                self.player = playing.arrived(self.player, self._recorded, ended=True)
            case wire.Rejected(reason):
                self._say(reason, error=True)
            case wire.Failed(_, reason, _):
                self.player = playing.seek(self.player, self.player.position)
                self._fail(reason)
            case Died(code, last):
                how = f"was killed by signal {-code}" if code < 0 else f"exited with {code}"
                self._fail(f"the engine {how}{': ' + last if last else ''} - what is recorded stays; R starts it again")

    def _fail(self, reason: str) -> None:
        """Before anything was on screen there is nothing to stay for."""
        if not self._begun:
            self.failure = reason
            self.exit()
            return
        self.player = playing.seek(self.player, self.player.position)
        self._say(reason, error=True)

    def _say(self, text: str, error: bool = False) -> None:
        self._banner.update(text)
        self._banner.set_class(error, "error")
        self._banner.display = bool(text)

    @property
    def _recorded(self) -> int:
        return len(self.link.trace) if self.link.trace is not None else 0

    # -- the paint clock

    def _tick(self) -> None:
        now = self._clock()
        seconds, self._last_tick = min(now - self._last_tick, 0.25), now
        for event in self.link.take():
            self._handle(event)
        self.player = playing.arrived(self.player, self._recorded, self.player.ended)
        self.player, demand = playing.tick(self.player, seconds)
        if self._begun and self.link.demand(demand.steps, demand.renew):
            self.player = playing.served(self.player)
        self._paint()

    def _paint(self) -> None:
        """Repaint the grid if it shows something else now and the terminal keeps up."""
        trace = self.link.trace
        if trace is None or self.model is None or not self._begun:
            return
        wanted = (trace, self.player.position, self._sample)
        if wanted == self._drawn or self._backed_up():
            return
        self._drawn = wanted
        self._grid.show(reading.canvas(trace, min(self.player.position, len(trace)), self._sample))

    def _backed_up(self) -> bool:
        """Whether earlier paints still wait to be written: a slow line then skips frames, not keys."""
        writer = getattr(self._driver, "_writer_thread", None)
        waiting = getattr(writer, "_queue", None)
        return waiting is not None and not waiting.empty()

    def _refresh_panels(self) -> None:
        """Everything but the grid, at leisure; and sleep when there is nothing to do."""
        trace, player = self.link.trace, self.player
        self._rest_or_wake()
        if trace is None or not self._begun:
            return
        total = reading.total_steps(trace)
        position = min(player.position, len(trace))
        pace = self._pace(len(trace))
        state = (trace, position, len(trace), self._sample, self.size, player, self.settings, round(pace, 1))
        if state == self._panels:
            return
        self._panels = state
        self._figures.show(reading.reading(trace, position, self._sample, pace))
        if self._curves.size.height:
            self._curves.show(reading.charts(trace, position, self._sample), total, position)
        remasked = trace.curves.column("remasked", self._sample)
        self._timeline.show(position, len(trace), total, remasked)
        self._show_status(total)

    def _rest_or_wake(self) -> None:
        idle = not self.player.playing and not self.player.stepping and self.link.outstanding == 0
        if idle and self._begun:
            self._tick()
            self._fast.pause()
            self._resting = True
        else:
            self._wake()

    def _wake(self) -> None:
        """The paint clock runs again; what changed is on screen at its next beat."""
        if self._resting:
            self._resting = False
            self._last_tick = self._clock()
            self._fast.resume()

    def _show_status(self, total: int) -> None:
        left = reading.title(self.options.model, self.settings, self.seed)
        if self.options.batch > 1:
            left += f" │ sample {self._sample + 1}/{self.options.batch}"
        right = reading.whereabouts(self.player, total, self.options.ascii)
        if self.options.ascii:
            left = left.replace("│", "|")
        small = " (small terminal: text only)" if self.size.width < 60 or self.size.height < 16 else ""
        room = max(1, self.size.width - len(left) - len(right) - len(small) - 2)
        self._status.update(f" {left}{small}{' ' * room}{right} ")

    # -- what people do

    def _turn(self, name: str, value: Knob) -> None:
        """Turn a knob; it acts on the next step that the engine takes."""
        try:
            self.settings = turned(self.settings, name, value, self.strategies)
        except ValueError as error:
            self._say(str(error), error=True)
            return
        self._say("")
        self.link.configure(self.settings)
        self._show_knobs()

    def _show_knobs(self) -> None:
        self._knobs.show(panel(self.settings, self.strategies))

    @on(KnobPanel.Turned)
    def _knob_turned(self, event: KnobPanel.Turned) -> None:
        self._turn(event.name, event.value)

    @on(Timeline.Moved)
    def _timeline_moved(self, event: Timeline.Moved) -> None:
        self._play(playing.seek(self.player, event.position))

    def _play(self, player: Player) -> None:
        self.player = player
        self._wake()

    def action_play_pause(self) -> None:
        self._play(playing.toggle(self.player))

    def action_forward(self) -> None:
        self._play(playing.forward(self.player))

    def action_step_back(self) -> None:
        self._play(playing.back(self.player))

    def action_start(self) -> None:
        self._play(playing.seek(self.player, 0))

    def action_end(self) -> None:
        self._play(playing.seek(self.player, self._recorded))

    def action_speed(self, by: int) -> None:
        self._play(playing.faster(self.player, by))

    def action_notch(self, name: str, by: int) -> None:
        for info, value in panel(self.settings, self.strategies):
            if info.name == name:
                self._turn(name, notch(info, value, by))
                return
        self._say(f"{self.settings.strategy} has no {name}", error=True)

    def action_choose(self, by: int) -> None:
        self._knobs.choose(by)

    def action_turn(self, by: int) -> None:
        self._knobs.turn(by)

    def action_type_value(self) -> None:
        chosen = self._knobs.chosen
        value = {info.name: value for info, value in panel(self.settings, self.strategies)}
        if chosen is not None:
            self.push_screen(
                ValueScreen(chosen, value[chosen.name]),
                lambda given: None if given is None else self._turn(chosen.name, given),
            )

    def action_heat(self) -> None:
        self._heat = not self._heat
        self._grid.use_heat(self._heat)

    def action_restart(self, by: int) -> None:
        self.seed += by
        if self.model is not None:
            self.player = Player(playing=not self.options.paused, speed=self.player.speed)
            self._begin()
            self._wake()

    def action_sample(self, by: int) -> None:
        self._sample = (self._sample + by) % self.options.batch
        self._wake()

    def action_page(self, by: int) -> None:
        self._grid.scroll_relative(y=by * max(1, self._grid.size.height - 1), animate=False)

    def action_copy(self) -> None:
        if self.link.trace is not None and self.model is not None:
            text = reading.plain_text(self.link.trace, self.player.position, self._sample, self.model.pieces)
            self.copy_to_clipboard(text)
            self._say(f"copied {len(text)} characters")

    def action_revive(self) -> None:
        """A new engine process; the old record stays until the new run has begun."""
        self.link.close()
        trace = self.link.trace
        self.link = self._make_link()
        self.link.trace = trace
        self._start_engine()
        self._wake()

    def action_help(self) -> None:
        keys: dict[str, list[str]] = {}
        for bindings in self._bindings.key_to_bindings.values():
            for binding in bindings:
                if binding.id:
                    keys.setdefault(binding.description, []).append(format_key(binding.key))
        listed = [(" ".join(names), what) for what, names in keys.items()]
        self.push_screen(HelpScreen(listed, palette(self.current_theme.dark, self.options.ascii), self.options.ascii))

    def on_unmount(self) -> None:
        self.link.close()


def run(options: WatchOptions) -> int:
    """Watch until the person quits; the exit code, after one sentence on stderr if nothing could be watched."""
    app = WatchApp(options)
    app.run(mouse=options.mouse)
    if app.failure is not None:
        print(f"remdm-tui: {app.failure}", file=sys.stderr)  # noqa: T201
        return 2
    return app.return_code or 0
