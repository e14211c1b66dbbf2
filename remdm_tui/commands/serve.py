"""`serve`: the application in a browser."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress

from remdm_tui.commands.web_access import loopback, token_from
from remdm_tui.commands.web_server import serve


def run(words: Sequence[str], *, host: str, port: int, message: Callable[[str], None]) -> None:
    """Serve until a signal. Raises ValueError for an address that is not available.

    words: the command of a session and its options.  message: called with lines for the user.
    """
    if not 0 <= port <= 65_535:
        raise ValueError(f"port must lie in 0 to 65535, not {port}")
    token = token_from(os.environ)
    if not loopback(host):
        message(
            f"remdm-tui: {host} is reachable from other machines, without encryption: anyone with the address below "
            "runs the application as you, with your files"
        )

    def announce(address: str) -> None:
        message(f"Open {address} in a browser. Ctrl+C ends the server and every session")

    async def until_signal() -> None:
        task = asyncio.current_task()
        assert task is not None
        for number in (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        with suppress(asyncio.CancelledError):
            await serve(words, host, port, token, announce)

    with suppress(KeyboardInterrupt):
        asyncio.run(until_signal())
