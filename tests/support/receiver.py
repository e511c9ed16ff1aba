"""A receiver of webhooks on this machine: it keeps what it was sent, and answers as told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = "c2lnbmVkLXdpdGgtdGhpcy1zZWNyZXQtb2YtdGVzdHM="


@dataclass
class Posted:
    """One request; names of headers in small letters."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """Answers `status` with `text`; while `gate` is closed it does not answer."""

    port: int = 0
    status: int = 204
    text: bytes = b""
    answer_headers: dict[str, str] = field(default_factory=dict)
    seen: list[Posted] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """Return an address of it."""
        return f"http://127.0.0.1:{self.port}/in"


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Run a receiver."""
    receiver = Receiver()
    receiver.gate.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["content-length"])
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.seen.append(Posted(self.path, headers, self.rfile.read(length)))
            receiver.gate.wait(20)
            self.send_response(receiver.status)
            for name, value in receiver.answer_headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(receiver.text)))
            self.end_headers()
            self.wfile.write(receiver.text)

        def log_message(self, *args: object) -> None:
            del args

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        receiver.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield receiver
        receiver.gate.set()
        server.shutdown()
        thread.join()
