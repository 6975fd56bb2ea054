"""An HTTP server over a folder, with Range and 304: the mirror that tests and the demo talk to.

Its knobs make it slow, broken, refusing or locked; `hits` and `bytes_sent` prove what was asked.

    python tests/upstream.py ROOT [--port PORT]     serves until it is ended; prints its URL
"""

from __future__ import annotations

import argparse
import re
import ssl
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

BLOCK = 64 * 1024
_MOST_SECONDS = 60.0

# The status for who may not come in, or None.
Guard = Callable[[BaseHTTPRequestHandler], "int | None"]


class UpstreamServer:
    """Serves `root` on a loopback port while used as a context manager.

    `hits` counts requests (GET and HEAD) by path, `bytes_sent` the bytes of all bodies.
    `rate`: bytes per second of each answer, `total_rate` of all together.  `cut_after`: the
    connection is closed after that many bytes of a body.  `ranges` False: it sends the whole file
    whatever is asked for.  `ending`: bodies of more than a block wait for it before their last one.
    `status_for(path, hit)`: a status to answer instead, or None; `hit`
    counts from 1, so that a path can fail twice and then work.  `guard`: asked first, about the
    request with its headers and connection.  All may be changed while it runs.
    """

    def __init__(
        self,
        root: Path,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        guard: Guard = lambda request: None,
    ) -> None:
        self.root = root.resolve()
        self.hits: Counter[str] = Counter()
        self.bytes_sent = 0
        self.rate: float | None = None
        self.total_rate: float | None = None
        self._free_at = 0.0
        self.cut_after: int | None = None
        self.ranges = True
        self.ending: threading.Event | None = None
        self.guard = guard
        self.status_for: Callable[[str, int], int | None] = lambda path, hit: None
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.upstream = self
        self._scheme = "https" if tls else "http"
        if tls is not None:  # the handshake is left to the thread that reads the request
            self._server.socket = tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`, without a slash at the end."""
        return f"{self._scheme}://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> UpstreamServer:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def serve_forever(self) -> None:
        """Serves in the calling thread, until interrupted."""
        with self._server:
            self._server.serve_forever()

    def count(self, path: str) -> int:
        """Notes a request and returns how many there were for the path."""
        with self._lock:
            self.hits[path] += 1
            return self.hits[path]

    def sent(self, size: int) -> None:
        """Notes that so much was sent, and waits as long as that may take."""
        wait = size / self.rate if self.rate else 0.0
        with self._lock:
            self.bytes_sent += size
            if self.total_rate:
                now = time.monotonic()
                self._free_at = max(self._free_at, now) + size / self.total_rate
                wait = max(wait, self._free_at - now)
        if wait:
            time.sleep(wait)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    upstream: UpstreamServer

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that has gone is no news."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, ssl.SSLError)):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: tests read the counters."""

    def _answer(self) -> None:
        upstream = self.server.upstream
        path = unquote(urlsplit(self.path).path)
        hit = upstream.count(path)
        status = upstream.guard(self) or upstream.status_for(path, hit)
        file = (upstream.root / path.lstrip("/")).resolve()
        if status is None and not (file.is_file() and file.is_relative_to(upstream.root)):
            status = HTTPStatus.NOT_FOUND
        if status is not None:
            locked = status == HTTPStatus.UNAUTHORIZED
            self._empty(status, *([("WWW-Authenticate", "Basic")] if locked else []))
            return
        with file.open("rb") as body:
            self._file(file, body)

    def _empty(self, status: int, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in (*headers, ("Content-Length", "0")):
            self.send_header(name, value)
        self.end_headers()

    def _file(self, file: Path, body: BinaryIO) -> None:
        state = file.stat()
        etag = f'"{state.st_mtime_ns:x}-{state.st_size:x}"'
        if self.headers.get("If-None-Match") == etag:
            self._empty(HTTPStatus.NOT_MODIFIED, ("ETag", etag))
            return
        wanted = _span(self.headers.get("Range", ""), state.st_size)
        if self.headers.get("If-Range", etag) != etag or not self.server.upstream.ranges:
            wanted = None
        first, last = wanted or (0, state.st_size - 1)
        if wanted and first >= state.st_size:
            size = f"bytes */{state.st_size}"
            self._empty(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, ("Content-Range", size))
            return
        self.send_response(HTTPStatus.PARTIAL_CONTENT if wanted else HTTPStatus.OK)
        if wanted:
            self.send_header("Content-Range", f"bytes {first}-{last}/{state.st_size}")
        self.send_header("Content-Length", str(last - first + 1))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Last-Modified", self.date_time_string(int(state.st_mtime)))
        self.send_header("ETag", etag)
        self.end_headers()
        if self.command == "GET":
            body.seek(first)
            self._send(body, last - first + 1)

    def _send(self, body: BinaryIO, size: int) -> None:
        upstream = self.server.upstream
        left = size if upstream.cut_after is None else min(size, upstream.cut_after)
        self.close_connection = left < size
        while left > 0:
            step = BLOCK if upstream.rate is None else max(1, min(BLOCK, int(upstream.rate / 20)))
            if upstream.ending is not None and left <= BLOCK < size:
                upstream.ending.wait(_MOST_SECONDS)
            block = body.read(min(step, left))
            try:
                self.wfile.write(block)
            except OSError:  # the reader has gone
                self.close_connection = True
                return
            left -= len(block)
            upstream.sent(len(block))


def _span(header: str, size: int) -> tuple[int, int] | None:
    """First and last byte that a Range header asks for; None: the whole file, or several."""
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", header)
    if not match or match[0] == "bytes=-":
        return None
    if not match[1]:
        return max(0, size - int(match[2])), size - 1
    last = min(int(match[2]), size - 1) if match[2] else size - 1
    return int(match[1]), last


def main() -> None:
    parser = argparse.ArgumentParser(description="serve a folder over plain HTTP, with Range")
    parser.add_argument("root", type=Path)
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    server = UpstreamServer(options.root, options.port)
    print(server.url, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
