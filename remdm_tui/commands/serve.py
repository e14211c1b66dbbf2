"""`serve`: the application in a browser."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress

from remdm_tui.commands.web_access import loopback, token_from
from remdm_tui.commands.web_server import serving


def run(words: Sequence[str], *, host: str, port: int, say: Callable[[str], None]) -> None:
    """Serve until somebody interrupts it.  Raises ValueError for an address that cannot be had."""
    if not 0 <= port <= 65_535:
        raise ValueError(f"port must lie in 0 to 65535, not {port}")
    token = token_from(os.environ)
    if not loopback(host):
        say(
            f"remdm-tui: {host} is reachable from elsewhere, without encryption: whoever learns the address below "
            "runs the application as you, with your files"
        )

    def said(address: str) -> None:
        say(f"{address} shows it; ctrl+c ends it, and every session with it")

    async def until_told() -> None:
        task = asyncio.current_task()
        assert task is not None
        for number in (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        with suppress(asyncio.CancelledError):
            await serving(words, host, port, token, said)

    with suppress(KeyboardInterrupt):
        asyncio.run(until_told())
