"""The player: the position and speed of the view in a record that may still grow, and the steps it demands.

Pure: every function takes a `Player` and returns another.  Positions run from 0, the start, to `recorded`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

SPEEDS: tuple[float, ...] = (1, 2, 5, 10, 20, 50, 100, math.inf)
"""Steps a second; inf is as fast as the engine goes."""
AHEAD = 8
"""Steps that the engine may be ahead of the view at full speed: enough to hide latency; a pause revokes them."""
CATCH_UP = 60
"""At full speed a recording is replayed within about twice this many paints."""


@dataclass(frozen=True)
class Player:
    """`due` is the fraction of a step that the clock owes; `stepping` counts steps awaited while paused."""

    position: int = 0
    recorded: int = 0
    playing: bool = True
    speed: float = math.inf
    ended: bool = False
    stepping: int = 0
    due: float = 0.0

    @property
    def live(self) -> bool:
        """Whether the view is at the end of the record."""
        return self.position == self.recorded

    @property
    def done(self) -> bool:
        """Whether the view is at the end of a run that has ended."""
        return self.live and self.ended


@dataclass(frozen=True)
class Demand:
    """How many steps may be outstanding, and whether the link renews them by itself."""

    steps: int = 0
    renew: bool = False


def sync_recorded(player: Player, recorded: int, ended: bool) -> Player:
    """Return the player after the record has grown or the run has ended; the view stays within the record."""
    if recorded == player.recorded and ended == player.ended:
        return player
    grown = max(0, recorded - player.recorded)
    stepped = min(grown, player.stepping)
    position = player.position
    if player.live:
        position += grown if player.playing else stepped
    stepping = 0 if ended else player.stepping - stepped
    new = replace(player, position=min(position, recorded), recorded=recorded, ended=ended, stepping=stepping)
    return replace(new, playing=False) if new.done else new


def tick(player: Player, seconds: float) -> tuple[Player, Demand]:
    """Return the player after `seconds`: moved through the record, or demanding steps at its end."""
    if player.stepping:
        return player, Demand(player.stepping)
    if not player.playing or player.done:
        return replace(player, due=0.0), Demand()
    if player.speed == math.inf:
        behind = player.recorded - player.position
        moved = replace(player, position=player.position + math.ceil(behind / CATCH_UP))
        return moved, Demand(AHEAD, renew=True) if not player.ended else Demand()
    due = player.due + seconds * player.speed
    steps = min(int(due), player.recorded - player.position)
    if steps:
        return replace(player, position=player.position + steps, due=due - steps), Demand()
    # at the end demand one step at a time, so that no debt builds up for a slow engine
    return replace(player, due=min(due, 1.0)), Demand(1 if due >= 1 and not player.ended else 0)


def request_sent(player: Player) -> Player:
    """Return the player after a step that the clock demanded was requested."""
    return replace(player, due=max(0.0, player.due - 1)) if player.speed < math.inf else player


def toggle(player: Player) -> Player:
    """Play or pause; at the end of a run, play the record from its start."""
    if not player.playing and player.done:
        return replace(player, position=0, playing=True, due=0.0)
    return replace(player, playing=not player.playing, stepping=0, due=0.0)


def forward(player: Player) -> Player:
    """Pause and move one step forward, which the engine computes if it is not recorded."""
    paused = replace(player, playing=False, due=0.0)
    if not paused.live:
        return replace(paused, position=paused.position + 1)
    return paused if paused.ended else replace(paused, stepping=paused.stepping + 1)


def seek(player: Player, position: int) -> Player:
    """Pause at a position, clipped to the record."""
    return replace(player, position=max(0, min(position, player.recorded)), playing=False, stepping=0, due=0.0)


def back(player: Player) -> Player:
    """Pause and move one step back."""
    return seek(player, player.position - 1)


def faster(player: Player, by: int) -> Player:
    """Change the speed by `by` places in SPEEDS."""
    index = SPEEDS.index(player.speed) + by
    return replace(player, speed=SPEEDS[max(0, min(index, len(SPEEDS) - 1))], due=0.0)


def speed_text(player: Player) -> str:
    """Return the speed in words."""
    return "max" if player.speed == math.inf else f"{player.speed:g}/s"
