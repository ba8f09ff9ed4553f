"""A model hub on this computer, for tests; it can break off a transfer or send wrong bytes."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = (".safetensors", ".bin")


@dataclass
class FakeHub:
    """What the hub holds and what was asked of it.

    Parameters
    ----------
    files : dict
        Content of each file of the one repository.
    repository : str
    break_after : int, optional
        Break each transfer of a large file off after so many bytes.
    dead_after : int, optional
        Send nothing more after so many broken transfers.
    corrupt : str, optional
        A file of which wrong bytes are sent.
    """

    files: dict[str, bytes]
    repository: str = "owner/tiny"
    break_after: int | None = None
    dead_after: int | None = None
    corrupt: str | None = None
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    url: str = ""

    def transfers(self, name: str) -> list[str | None]:
        """The Range header of each download of a file."""
        return [span for method, path, span in self.requests if method == "GET" and path.endswith(f"/{name}")]

    def etag(self, name: str) -> str:
        """SHA-256 of large files, git's checksum of small ones, as the hub does."""
        content = self.files[name]
        if name.endswith(LARGE):
            return hashlib.sha256(content).hexdigest()
        return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()

    def listing(self) -> dict[str, Any]:
        """What the hub says of the repository."""
        siblings = []
        for name, content in self.files.items():
            entry: dict[str, Any] = {"rfilename": name, "size": len(content), "blobId": self.etag(name)}
            if name.endswith(LARGE):
                entry["lfs"] = {"sha256": self.etag(name), "size": len(content), "pointerSize": 130}
            siblings.append(entry)
        return {"id": self.repository, "sha": COMMIT, "siblings": siblings, "tags": [], "private": False}


@contextmanager
def serving(folder: Path, repository: str = "owner/tiny") -> Iterator[FakeHub]:
    """A hub with the files of a folder, at the address `FakeHub.url`."""
    hub = FakeHub({path.name: path.read_bytes() for path in sorted(folder.iterdir())}, repository)

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def log_message(self, *arguments: Any) -> None:
            pass

        def _answer(self, with_body: bool) -> None:
            path = self.path.partition("?")[0]
            hub.requests.append((self.command, path, self.headers.get("Range")))
            if path.startswith(f"/api/models/{hub.repository}"):
                self._send(200, json.dumps(hub.listing()).encode(), with_body)
                return
            name = path.rpartition("/")[2]
            if not path.startswith(f"/{hub.repository}/resolve/"):
                self._send(404, b"", with_body, {"X-Error-Code": "RepoNotFound"})
            elif name not in hub.files:
                self._send(404, b"", with_body, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
            else:
                self._file(name, with_body)

        def _file(self, name: str, with_body: bool) -> None:
            content = hub.files[name]
            if hub.corrupt == name:
                content = content[:-1] + bytes([content[-1] ^ 1])
            headers = {"ETag": f'"{hub.etag(name)}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
            span = self.headers.get("Range")
            start = int(span.removeprefix("bytes=").partition("-")[0]) if span else 0
            if span:
                headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            body = content[start:]
            if with_body and hub.break_after is not None and name.endswith(LARGE):
                self._send(206 if span else 200, body, False, headers)
                alive = hub.dead_after is None or len(hub.transfers(name)) <= hub.dead_after
                self.wfile.write(body[: hub.break_after] if alive else b"")
                self.wfile.flush()
                self.connection.close()
                return
            self._send(206 if span else 200, body, with_body, headers)

        def _send(self, code: int, body: bytes, with_body: bool, headers: dict[str, str] | None = None) -> None:
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            for key, value in (headers or {}).items():
                self.send_header(key, value)
            self.end_headers()
            if with_body:
                self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
