"""A stand-in for the Hugging Face hub on this machine: enough of its interface to fetch a repository from."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

SHA = "a" * 40


@dataclass
class Hub:
    """Repositories by id; `gated` ones are refused; `cut` counts downloads of weights that break off half-way."""

    files: dict[str, dict[str, bytes]]
    gated: set[str] = field(default_factory=set)
    cut: int = 0
    requests: list[str] = field(default_factory=list)
    url: str = ""


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None: ...

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path = self.path.split("?")[0]
            hub.requests.append(f"{self.command} {path}")
            words = path.strip("/").split("/")
            repo = "/".join(words[2:4] if words[0] == "api" else words[:2])
            if repo in hub.gated:
                self.answer(403, b"{}", {"X-Error-Code": "GatedRepo"})
            elif repo not in hub.files:
                self.answer(404, b"{}", {"X-Error-Code": "RepoNotFound"})
            elif words[0] == "api":
                self.answer(200, self.listing(repo, tree="tree" in words), {"Content-Type": "application/json"})
            else:
                self.content(hub.files[repo][words[-1]])

        def listing(self, repo: str, tree: bool) -> bytes:
            files = {name: (len(body), hashlib.sha1(body).hexdigest()) for name, body in hub.files[repo].items()}
            if tree:
                return json.dumps(
                    [{"type": "file", "path": name, "size": size, "oid": oid} for name, (size, oid) in files.items()]
                ).encode()
            siblings = [{"rfilename": name, "size": size, "blobId": oid} for name, (size, oid) in files.items()]
            return json.dumps({"id": repo, "sha": SHA, "siblings": siblings, "private": False, "tags": []}).encode()

        def content(self, body: bytes) -> None:
            tag = hashlib.sha256(body).hexdigest()
            start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
            headers = {"ETag": f'"{tag}"', "X-Repo-Commit": SHA, "Accept-Ranges": "bytes"}
            if start:
                headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
            cut = hub.cut > 0 and self.command == "GET" and len(body) > 1000
            hub.cut -= cut
            self.answer(206 if start else 200, body[start:], headers, half=cut)

        def answer(self, status: int, body: bytes, headers: dict[str, str], half: bool = False) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body[: len(body) // 2] if half else body)
            self.close_connection = half

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
