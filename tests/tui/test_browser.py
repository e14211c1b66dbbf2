"""The application in a browser, without one: the page and what it loads, who is let in, and a session's first paint."""

from __future__ import annotations

import asyncio
import re
import socket
import sys
from contextlib import suppress
from pathlib import Path

import aiohttp
import pyte
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from remdm_tui.cli import app
from remdm_tui.commands.serve import run
from remdm_tui.commands.web_access import VARIABLE, check_origin, has_token, loopback, token_from
from remdm_tui.commands.web_server import PAGE, serve
from tests.waiting import PATIENCE

TOKEN = "the-secret-of-these-tests"
WITH = {"Authorization": f"token {TOKEN}"}
SMALL = ["watch", "--steps", "8", "--length", "16", "--paused"]


class Served:
    """A server in this loop on a free port."""

    def __init__(self, words=SMALL, headers=WITH):
        self._words, self._headers, self._address = words, headers, asyncio.get_running_loop().create_future()

    async def __aenter__(self):
        self._task = asyncio.create_task(serve(self._words, "127.0.0.1", 0, TOKEN, self._address.set_result))
        self.printed = await asyncio.wait_for(self._address, PATIENCE)
        self.address = self.printed.partition("/?")[0]
        jar = aiohttp.CookieJar(unsafe=True)  # cookies of an address without a name
        self.http = aiohttp.ClientSession(self.address, headers=self._headers, cookie_jar=jar)
        return self

    async def __aexit__(self, *_):
        await self.http.close()
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def get(self, path, **headers):
        async with self.http.get(path, headers=headers) as response:
            return response.status, response.headers, await response.text(errors="replace")


def links(text):
    """What a page or a style sheet has fetched."""
    return re.findall(r"(?:src|href)=\"([^\"]*)\"|url\(\"?([^\")]*)", text)


async def test_everything_that_the_page_loads_is_here():
    async with Served() as served:
        status, headers, page = await served.get("/")
        assert status == 200
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        wanted = {one for pair in links(page) for one in pair if one}
        for sheet in [one for one in wanted if one.endswith(".css")]:
            wanted |= {one for pair in links((await served.get(sheet))[2]) for one in pair if one}
        assert {"/static/js/textual.js", "/page/page.js", "/page/page.css"} < wanted
        for path in wanted - {"data:,"}:
            assert path.startswith(("/static/", "/page/")), path
            assert (await served.get(path))[0] == 200, path


def test_nothing_of_ours_or_of_the_terminals_names_another_place():
    import textual_serve

    static = Path(textual_serve.__file__).parent / "static"
    for file in [*PAGE.iterdir(), static / "js" / "textual.js", static / "css" / "xterm.css"]:
        text = re.sub(r"/\*.*?\*/", "", file.read_text(encoding="utf-8"), flags=re.DOTALL)
        assert set(re.findall(r"https?://[\w.-]+", text)) <= {"http://www.w3.org"}, file
        assert not re.search(r"(?:src|href)=\"//|@import|importScripts", text), file


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/", {"Host": "evil.example"}, 403),
        ("/", {"Host": "localhost:9000"}, 200),
        ("/ws", {}, 403),
        ("/ws", {"Origin": "http://evil.example"}, 403),
        ("/ws", {"Origin": "null"}, 403),
    ],
    ids=["rebound name", "forwarded port", "no page", "another page", "a page from nowhere"],
)
async def test_pages_from_elsewhere_are_turned_away(path, headers, status):
    async with Served(["--version"]) as served:
        assert (await served.get(path, **headers))[0] == status


ROUTES = [
    "/",
    "/?token=",
    "/?token=%FF%FE",
    "/ws",
    "/ws?width=80",
    "/static/js/textual.js",
    "/page/page.js",
    "/nowhere",
]


@pytest.mark.parametrize("path", ROUTES)
async def test_without_the_secret_no_route_answers(path):
    async with Served(["--version"], headers={}) as served:
        for headers in ({}, {"Authorization": "token wrong"}, {"Cookie": "token=x; remdm-tui-0=y"}):
            status, given, text = await served.get(path, Origin=served.address, **headers)
            assert status == 403, headers
            assert "the address that `remdm-tui serve` printed" in text
            assert "Set-Cookie" not in given


async def test_the_printed_address_opens_a_session_and_the_secret_is_needed_once():
    async with Served(["list", "strategies"], headers={}) as served:
        assert TOKEN in served.printed
        status, headers, _ = await served.get(served.printed.removeprefix(served.address))
        assert status == 200
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cache-Control"] == "no-store"
        cookie = headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert (await served.get("/page/page.js"))[0] == 200
        async with served.http.ws_connect("/ws", headers={"Origin": served.address}) as session:
            async with asyncio.timeout(PATIENCE):
                assert (await session.receive()).type in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.CLOSE)
        async with aiohttp.ClientSession(served.address) as other:
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await other.ws_connect("/ws", headers={"Origin": served.address})
            assert refused.value.status == 403


async def raw(address, *lines):
    """The first line that a server answers to a request in these bytes."""
    host, _, port = address.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"\r\n".join([b"GET /?token=%s HTTP/1.1" % TOKEN.encode(), *lines, b"Connection: close", b"", b""]))
    answer = await asyncio.wait_for(reader.readline(), PATIENCE)
    writer.close()
    return int(answer.split()[1])


MALFORMED = [b"[::1", b"::1", b"[zz]", b"[::1]x", b"", b" ", b"\xff\xfe", "h\u00f6st".encode(), b"localhost:80a",
             b"localhost:", b"localhost:99999", b"a@localhost", b"localhost/x", b"a b", b"a" * 5000]  # fmt: skip


async def test_a_malformed_host_or_origin_is_a_bad_request():
    async with Served(["--version"]) as served:
        host = b"Host: " + served.address.removeprefix("http://").encode()
        assert await raw(served.address, host) == 200
        assert await raw(served.address) == 400
        assert await raw(served.address, host, host) == 400
        for value in MALFORMED:
            assert await raw(served.address, b"Host: " + value) == 400, value
            assert await raw(served.address, host, b"Origin: http://" + value) == 400, value
        for value in (b"", b"http:", b"localhost", b"://localhost"):
            assert await raw(served.address, host, b"Origin: " + value) == 400, value
        for value in (b"null", b"http://evil.example", b"http://[::1]:9", b"http://localhost:1"):
            assert await raw(served.address, host, b"Origin: " + value) == 403, value


async def test_nobody_outside_writes_on_the_terminal_of_serve(caplog):
    async with Served(["--version"], headers={}) as served:
        host = b"Host: " + served.address.removeprefix("http://").encode()
        assert await raw(served.address, host, b"X-Odd: \0") == 400
        assert await raw(served.address, b"Host: \x1b]0;title\x07") == 400
        assert await raw(served.address) == 400
    assert not caplog.records


@given(st.text(), st.text(), st.text())
def test_whatever_comes_in_is_refused_in_one_of_two_ways(first, second, third):
    # `Malformed` and `AccessDenied` are ValueErrors; nothing else may come out
    with pytest.raises(ValueError):  # noqa: PT011
        check_origin([first], [second, third], reachable=True)
    with suppress(ValueError):
        check_origin([first], [second], reachable=False)
    assert not has_token(TOKEN, "c", [first], {"c": second}, f"token {third}")


def test_a_secret_is_random_or_given_and_never_short():
    assert token_from({}) != token_from({})
    environment = {VARIABLE: TOKEN}
    assert token_from(environment) == TOKEN
    assert not environment
    for bad in ("", "short", " " * 20, "\u00e4" * 20, "a/b?c&d" * 5):
        with pytest.raises(ValueError, match=f"{VARIABLE} needs at least 16"):
            token_from({VARIABLE: bad})


@pytest.mark.parametrize("headers", [WITH, {"Authorization": f"Bearer {TOKEN}"}])
async def test_scripts_send_the_secret_in_a_header(headers):
    async with Served(["--version"], headers=headers) as served:
        assert (await served.get("/"))[0] == 200


async def test_a_session_paints_the_application_takes_keys_and_ends():
    async with Served() as served, served.http.ws_connect(
        "/ws?width=100&height=30", headers={"Origin": served.address}, max_msg_size=0
    ) as session:  # fmt: skip
        screen = pyte.Screen(100, 30)
        stream = pyte.ByteStream(screen)

        async def until(condition):
            async with asyncio.timeout(PATIENCE):
                while not condition("\n".join(screen.display)):
                    message = await session.receive()
                    assert message.type == aiohttp.WSMsgType.BINARY, message
                    stream.feed(message.data)

        await until(lambda seen: "knobs" in seen and "░masked" in seen)
        await session.send_json(["stdin", "?"])
        await until(lambda seen: "esc closes" in seen)
        await session.send_json(["stdin", "?"])
        await until(lambda seen: "esc closes" not in seen)
        await session.send_json(["stdin", "q"])
        async with asyncio.timeout(PATIENCE):
            while (await session.receive()).type == aiohttp.WSMsgType.BINARY:
                pass
        assert session.closed


@pytest.mark.parametrize("sent", ["no JSON", "[]", "{}", '["stdin"]', '["stdin", 3]', '["resize", 3]'])
async def test_what_no_terminal_sends_ends_the_session(sent):
    # the process is one that says nothing
    async with Served(["list", "strategies"]) as served, served.http.ws_connect(
        "/ws", headers={"Origin": served.address}
    ) as session:  # fmt: skip
        await session.send_str(sent)
        async with asyncio.timeout(PATIENCE):
            assert (await session.receive()).type == aiohttp.WSMsgType.CLOSE


async def test_a_session_that_cannot_begin_ends():
    async with Served(["watch", "--record", "/"]) as served, served.http.ws_connect(
        "/ws", headers={"Origin": served.address}
    ) as session:  # fmt: skip
        async with asyncio.timeout(PATIENCE):
            assert (await session.receive()).type == aiohttp.WSMsgType.CLOSE


@pytest.mark.parametrize(
    ("host", "alone"),
    [("127.0.0.1", True), ("localhost", True), ("[::1]", True), ("0.0.0.0", False), ("example.org", False)],
)
def test_addresses_of_this_machine_alone_are_known(host, alone):
    assert loopback(host) == alone


async def test_a_port_that_is_taken_is_one_sentence():
    async with Served() as served:
        port = int(served.address.rpartition(":")[2])
        with pytest.raises(ValueError, match=f"port {port} of .* is not available .*choose another --port"):
            await serve(SMALL, "127.0.0.1", port, TOKEN, print)


def test_an_address_that_others_reach_comes_with_a_warning():
    messages = []
    with socket.create_server(("0.0.0.0", 0)) as taken, pytest.raises(ValueError, match="is not available"):
        run(SMALL, host="0.0.0.0", port=taken.getsockname()[1], message=messages.append)
    assert ["reachable from other machines" in one for one in messages] == [True]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--strategy", "nope"], "unknown strategy 'nope'"),
        (["--nope"], "No such option"),
        (["replay"], "Missing argument"),
        (["--port", "70000"], "port must lie in 0 to 65535"),
    ],
)
def test_what_is_wrong_is_reported_before_anything_is_served(words, sentence):
    assert sentence in CliRunner().invoke(app, ["serve", *words]).output


def test_a_missing_package_is_one_sentence(monkeypatch):
    monkeypatch.delitem(sys.modules, "remdm_tui.commands.web_server")
    monkeypatch.setitem(sys.modules, "textual_serve", None)
    with pytest.raises(ModuleNotFoundError, match=r"needs the package textual-serve: install remdm-tui\[browser\]"):
        import remdm_tui.commands.web_server  # noqa: F401
