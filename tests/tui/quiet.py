"""Waiting for an application that a pilot drives: until it has no message left, not until its processor rests.

Textual's own wait looks at the time that the process spends.  Every key waits for that several times, up to a second
where the application works in between, and on a loaded machine it may return before a message was handled.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import textual.app
import textual.pilot
from textual._context import active_app
from textual.message_pump import MessagePump

from remdm_tui.app import WatchApp

CALM = 10
"""Turns of the loop in which nothing is handled, after which nothing more comes of what was sent."""
TICK = 0.005
"""Seconds between looks at whether a step has come."""


def is_quiet(app: textual.app.App[Any]) -> bool:
    """Return whether nothing has a message or a callback to handle, or is handling one."""
    pumps: list[MessagePump] = [app]
    for screen in app.screen_stack:
        pumps += screen.walk_children(with_self=True)
    return not any(is_busy(pump) for pump in pumps)


def is_busy(pump: MessagePump) -> bool:
    """Return whether one does anything but wait for its next message."""
    queue = pump._message_queue
    return pump._running and bool(pump._next_callbacks or queue.values or not queue.ready_event._waiters)  # type: ignore[attr-defined]


def owes_a_step(app: textual.app.App[Any]) -> bool:
    """Return whether a step that a key has requested is on its way: the next key is meant for what comes of it."""
    return isinstance(app, WatchApp) and app.watching.live and app.watching.player.stepping > 0


async def wait_until_quiet(min_sleep: float = 0, max_sleep: float = 1) -> None:
    """Return once the application is quiet and its screen is laid out, or after `max_sleep` seconds."""
    app, end = active_app.get(), time.monotonic() + max_sleep
    waiting = asyncio.get_running_loop()._ready  # type: ignore[attr-defined]
    for _ in range(2):
        turns, alone = 0, False
        while turns < CALM and time.monotonic() < end:
            await asyncio.sleep(0)
            # where nothing was to run before this turn nor is to run after it, all are as they were
            was_alone, alone = alone, not waiting
            turns = turns + 1 if (turns and was_alone and alone) or is_quiet(app) else 0
            if turns == CALM and owes_a_step(app):
                await asyncio.sleep(TICK)
                turns, alone = 0, False
        # what a timer does up to sixty times a second: lay out and draw what has changed
        if app.screen_stack:
            app.screen._on_timer_update()


def install() -> None:
    """Have pilots wait so."""
    for module in (textual.app, textual.pilot):
        module.wait_for_idle = wait_until_quiet  # type: ignore[attr-defined]
