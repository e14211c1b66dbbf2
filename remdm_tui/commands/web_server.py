"""The server of `serve`: a page with a terminal in it, and one process of the application for each session.

The page loads nothing from other sites, and only this page may open a session.  Every route requires the secret of the
printed address, which the first load turns into a cookie: other users of the machine can reach the port too.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import shlex
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path

try:
    import textual_serve
    from aiohttp import WSCloseCode, web
    from aiohttp.http import HttpProcessingError
    from textual_serve.app_service import AppService
    from textual_serve.server import Server, to_int
except ImportError:
    raise ModuleNotFoundError("`remdm-tui serve` needs the package textual-serve: install remdm-tui[browser]") from None

from remdm_tui.commands.web_access import AccessDenied, Malformed, check_origin, has_token, loopback, same

PAGE = Path(__file__).parent / "web"
PATIENCE = 5.0
"""Seconds that the application has to end when its page is closed."""
POLICY = "; ".join((
    "default-src 'none'", "script-src 'self'", "style-src 'self' 'unsafe-inline'", "font-src 'self'",
    "img-src 'self' data:", "connect-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
))  # fmt: skip
"""What a page may load; the terminal in it needs style elements of its own."""
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
"""Headers of every response; neither a Referer nor a cache keeps the secret of the address."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def command(words: Sequence[str]) -> str:
    """Return the shell command of a session: this installation of the application with these arguments."""
    return f"exec {shlex.join([sys.executable, '-P', '-m', 'remdm_tui', *words])}"


class Unreadable(logging.Filter):
    """Drops what aiohttp logs of requests that are no HTTP: anybody can send them, and they may hold the secret."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


UNREADABLE = Unreadable()


class BrowserSession(AppService):
    """One process of the application, which ends with its page, and the page with it."""

    async def run(self) -> None:
        try:
            await super().run()
        finally:
            process = self._process
            assert process is not None
            self.stdin.close()
            try:
                await asyncio.wait_for(process.wait(), PATIENCE)
            except TimeoutError:
                process.kill()
                await process.wait()
            await self.remote_close()

    async def stop(self) -> None:
        ending = asyncio.create_task(super().stop())
        done, _ = await asyncio.wait([ending], timeout=PATIENCE)
        if not done and self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()
        await ending


class SessionServer(Server):
    """Serves the page and starts a session for each connection."""

    def __init__(self, words: Sequence[str], host: str, token: str) -> None:
        home = Path(textual_serve.__file__).parent
        super().__init__(command(words), host, statics_path=home / "static", templates_path=PAGE)
        self._reachable = not loopback(host)
        self._open: set[web.WebSocketResponse] = set()
        self._token = token
        # cookies are shared by the ports of a host
        self._cookie = "remdm-tui-" + secrets.token_hex(4)

    async def application(self) -> web.Application:
        application = await self._make_app()
        application.router.add_static("/page", PAGE)
        application.middlewares.append(self._guarded)
        return application

    async def handle_index(self, request: web.Request) -> web.Response:
        return web.Response(text=(PAGE / "index.html").read_text(encoding="utf-8"), content_type="text/html")

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(heartbeat=15)
        await socket.prepare(request)

        async def close() -> None:
            await socket.close()

        session = BrowserSession(
            self.command, write_bytes=socket.send_bytes, write_str=socket.send_str, close=close,
            download_manager=self.download_manager,
        )  # fmt: skip
        width, height = (min(to_int(request.query.get(name, ""), 80), 1_000) for name in ("width", "height"))
        await session.start(width, height)
        self._open.add(socket)
        try:
            await self._process_messages(socket, session)
        except (ValueError, TypeError, LookupError, AttributeError, AssertionError):
            # not a message of our page
            await socket.close(code=WSCloseCode.POLICY_VIOLATION)
        finally:
            self._open.discard(socket)
            await session.stop()
        return socket

    async def on_startup(self, app: web.Application) -> None:
        """Print nothing: the caller announces the address."""

    async def on_shutdown(self, app: web.Application) -> None:
        await asyncio.gather(*(socket.close(code=WSCloseCode.GOING_AWAY) for socket in self._open))

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Handle a request that has access; add the headers to every response."""
        try:
            self._admit(request)
            response = await handler(request)
        except web.HTTPException as error:
            error.headers.update(HEADERS)
            raise
        if not response.prepared:
            response.headers.update(HEADERS)
            if any(same(each, self._token) for each in request.query.getall("token", [])):
                response.set_cookie(self._cookie, self._token, httponly=True, samesite="Strict", path="/")
        return response

    def _admit(self, request: web.Request) -> None:
        """Raise HTTPBadRequest for headers that no browser sends, HTTPForbidden for a request without access."""
        headers = request.headers
        try:
            origins = headers.getall("Origin", [])
            check_origin(headers.getall("Host", []), origins, reachable=self._reachable)
            given = request.query.getall("token", [])
            if not has_token(self._token, self._cookie, given, request.cookies, headers.get("Authorization")):
                raise AccessDenied("open the address that `remdm-tui serve` printed, with its token")
            if request.path == "/ws" and not origins:
                raise AccessDenied("only a page may open a session")
        except Malformed as error:
            raise web.HTTPBadRequest(text=str(error)) from None
        except AccessDenied as error:
            raise web.HTTPForbidden(text=str(error)) from None


async def serve(words: Sequence[str], host: str, port: int, token: str, announce: Callable[[str], None]) -> None:
    """Serve until cancelled. Raises ValueError if the port is not available.

    announce: called with the address and its secret.
    """
    # a browser that disconnects during a session is no error
    logging.getLogger("textual-serve").setLevel(logging.CRITICAL)
    logging.getLogger("aiohttp.server").addFilter(UNREADABLE)
    # no log of requests: it would contain the secret
    sessions = SessionServer(words, host, token)
    runner = web.AppRunner(await sessions.application(), shutdown_timeout=PATIENCE, access_log=None)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise ValueError(f"port {port} of {host} is not available ({reason}): choose another --port") from None
        bound = runner.addresses[0]
        shown = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
        announce(f"http://{shown}:{bound[1]}/?token={token}")
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()
