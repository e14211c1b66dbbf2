"""What the panels share: the session, and drawing after it changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from remdm_tui.link.replay import READ_ONLY
from remdm_tui.preferences.keymap import KeyTable
from remdm_tui.settings.watch_options import WatchOptions
from remdm_tui.watch import player as playing
from remdm_tui.watch.key_names import name_keys
from remdm_tui.watch.notices import Notice, Severity
from remdm_tui.watch.phase import Dead, EngineFailed, Live, LoadingModel, Lost, Recomputing, Starting
from remdm_tui.watch.player import Player
from remdm_tui.watch.session import WatchSession


class Controls:
    """Changes the session and requests a redraw."""

    def __init__(self, session: WatchSession, options: WatchOptions, table: KeyTable) -> None:
        self.session, self.options, self.table = session, options, table
        self.keys = table.first_keys()
        """readable keys by id, the first of each: what messages name"""
        self.changed: Callable[[bool], None] = lambda at_once: None
        """requests a redraw at the next tick of the refresh clock; with True, header and knobs are drawn at once"""
        self.resized: Callable[[], None] = lambda: None
        """draws all panels for their new sizes"""

    def name_keys(self, text: str) -> str:
        """Return a message with the keys that are bound to the ids in it."""
        return name_keys(text, self.keys)

    @contextmanager
    def naming_keys(self) -> Iterator[None]:
        """Name the keys in a ValueError that is raised inside, for a dialog that shows it."""
        try:
            yield
        except ValueError as error:
            raise ValueError(self.name_keys(str(error))) from None

    @property
    def obstacle(self) -> str:
        """Why the run on screen cannot be continued now; empty if it can."""
        match self.session.phase:
            case Dead():
                return f"The engine ended. {self.keys['revive']} restarts it"
            case EngineFailed():
                return f"The engine cannot continue this run. {self.keys['revive']} tries again"
            case Lost():
                return "The connection to the engine is lost. Wait until it is back"
            case Starting() | LoadingModel() | Recomputing():
                return "The engine is not ready yet"
            case Live():
                return READ_ONLY if self.session.state.read_only else ""

    @property
    def no_run(self) -> str:
        """Why no run is on screen."""
        if isinstance(self.session.phase, Dead | EngineFailed):
            return f"No model is loaded. {self.keys['model']} picks one"
        return "Still loading: no run yet"

    def wake(self, at_once: bool = False) -> None:
        """Request a redraw."""
        self.changed(at_once)

    def say(self, text: str, severity: Severity = "hint") -> None:
        """Show a sentence below the timeline, as long as what is on screen stays."""
        self.session.notice = Notice(text, severity)
        self.wake()

    def play(self, player: Player) -> None:
        """Replace the player."""
        self.session.player = player
        self.wake()

    def seek(self, position: int) -> None:
        """Pause at `position`."""
        self.play(playing.seek(self.session.player, position))


class HasControls(Protocol):
    """A panel or a screen that acts on the session."""

    controls: Controls


Owner = TypeVar("Owner", bound=HasControls)
Arguments = ParamSpec("Arguments")


def needs_run(
    action: Callable[Concatenate[Owner, Arguments], object],
) -> Callable[Concatenate[Owner, Arguments], None]:
    """Return an action that says why it does nothing as long as no run is on screen."""

    @wraps(action)
    def guarded(owner: Owner, /, *args: Arguments.args, **more: Arguments.kwargs) -> None:
        if owner.controls.session.trace is None:
            owner.controls.say(owner.controls.no_run)
        else:
            action(owner, *args, **more)

    return guarded
