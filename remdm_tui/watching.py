"""One person watching one engine: what is set, where the view stands, and what the engine has said.

No Textual: the application draws what stands here and calls what people do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from engine import wire
from engine.records import Knob, KnobInfo, ModelInfo, Settings, StrategyInfo
from engine.trace import Trace
from remdm_tui import player as playing
from remdm_tui.knobs import notch, panel, turned
from remdm_tui.link import Died, Event, Link
from remdm_tui.options import WatchOptions
from remdm_tui.player import Player


@dataclass(frozen=True)
class Notice:
    """A line for the person; empty for none."""

    text: str = ""
    error: bool = False


class Watching:
    """`failure` says why there is nothing to watch; everything later is a `notice` and leaves the record."""

    def __init__(self, options: WatchOptions, make_link: Callable[[], Link]) -> None:
        self.options = options
        self.settings: Settings = options.settings
        self.seed = options.seed
        self.player = Player(playing=not options.paused)
        self.sample = 0
        self.begun = False
        self.notice = Notice(f"loading {options.model} ...")
        self.failure: str | None = None
        self.strategies: tuple[StrategyInfo, ...] = ()
        self.model: ModelInfo | None = None
        self._make_link = make_link
        self.link = make_link()

    @property
    def trace(self) -> Trace | None:
        """The record on screen; None before the first run has begun."""
        return self.link.trace if self.begun else None

    @property
    def recorded(self) -> int:
        return len(self.trace) if self.trace is not None else 0

    @property
    def idle(self) -> bool:
        """Whether nothing will change until somebody presses a key."""
        return self.begun and not (self.player.playing or self.player.stepping or self.link.outstanding)

    def start(self) -> None:
        """Start the engine and have it load the model."""
        try:
            self.link.start()
        except OSError as error:
            self._fail(f"the engine cannot be started: {error}")
            return
        self.link.open(self.options.model, self.options.device, self.options.dtype)

    def tick(self, seconds: float) -> None:
        """Time has passed: hear the engine, move the view, ask for steps."""
        for event in self.link.take():
            self._hear(event)
        self.player = playing.arrived(self.player, self.recorded, self.player.ended)
        self.player, demand = playing.tick(self.player, seconds)
        if self.begun and self.link.demand(demand.steps, demand.renew):
            self.player = playing.served(self.player)

    # -- what people do

    def turn(self, name: str, value: Knob) -> None:
        """Turn a knob; it acts on the next step that the engine takes."""
        try:
            self.settings = turned(self.settings, name, value, self.strategies)
        except ValueError as error:
            self.notice = Notice(str(error), error=True)
            return
        self.notice = Notice()
        self.link.configure(self.settings)

    def notch(self, name: str, by: int) -> None:
        """Turn a knob by so many notches, if the strategy has it."""
        for info, value in self.panel():
            if info.name == name:
                self.turn(name, notch(info, value, by))
                return
        self.notice = Notice(f"{self.settings.strategy} has no {name}", error=True)

    def panel(self) -> list[tuple[KnobInfo, Knob]]:
        return panel(self.settings, self.strategies)

    def restart(self, by: int) -> None:
        """A new run whose seed is `by` further; the old record goes when it has begun."""
        self.seed += by
        if self.model is not None:
            self._begin(playing=not self.options.paused)

    def revive(self) -> None:
        """A new engine process; the record stays until the new run has begun."""
        self.link.close()
        trace = self.link.trace
        self.link = self._make_link()
        self.link.trace = trace
        self.start()

    def leaf(self, by: int) -> None:
        """Another sample of the batch."""
        self.sample = (self.sample + by) % self.options.batch

    # -- what the engine says

    def _begin(self, playing: bool) -> None:
        self.player = Player(playing=playing, speed=self.player.speed)
        options = self.options
        self.link.begin(
            self.settings, steps=options.steps, length=options.length, batch=options.batch,
            seed=self.seed, prompt=options.prompt,
        )  # fmt: skip

    def _hear(self, event: Event) -> None:
        match event:
            case wire.Hello(protocol, version, strategies):
                self.strategies = strategies
                if protocol != wire.PROTOCOL:
                    self._fail(f"the engine is version {version} and speaks protocol {protocol}, not {wire.PROTOCOL}")
            case wire.Loading(stage):
                self.notice = Notice(f"{stage} ...")
            case wire.Ready(model):
                self.model = model
                self._begin(self.player.playing)
            case wire.Began():
                self.begun = True
                self.player = Player(playing=self.player.playing, speed=self.player.speed)
                self.notice = Notice()
            case wire.Finished():
                self.player = playing.arrived(self.player, self.recorded, ended=True)
            case wire.Rejected(reason):
                self.notice = Notice(reason, error=True)
            case wire.Failed(_, reason, _):
                self._fail(reason)
            case Died(code, last):
                how = f"was killed by signal {-code}" if code < 0 else f"exited with {code}"
                said = f": {last}" if last else ""
                self._fail(f"the engine {how}{said} - what is recorded stays; R starts it again")

    def _fail(self, reason: str) -> None:
        """Before anything was on screen there is nothing to stay for."""
        if not self.begun:
            self.failure = reason
            return
        self.player = playing.seek(self.player, self.player.position)
        self.notice = Notice(reason, error=True)
