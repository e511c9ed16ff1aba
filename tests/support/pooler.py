"""A small connection pooler for Postgres that lends a server session for one transaction only."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType

_SSL, _GSS, _CANCEL = 80877103, 80877104, 80877102


class Pooler:
    """Serves one database on 127.0.0.1; sessions that rest are lent to whoever asks next.

    `session_mode` keeps one server session for each client instead, as such poolers may too.
    """

    def __init__(self, folder: Path, database: str, *, session_mode: bool = False) -> None:
        self._server = str(folder / ".s.PGSQL.5432")
        self._database, self._session_mode = database, session_mode
        self._idle: list[socket.socket] = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = [self._listener]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """Return the address of the database through the pooler."""
        port = self._listener.getsockname()[1]
        return f"postgresql://postgres@127.0.0.1:{port}/{self._database}?sslmode=disable"

    def __enter__(self) -> Pooler:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            for one in self._open:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with self._lock:
            self._open.append(client)
        with suppress(OSError, EOFError), client:
            self._greet(client)
            server: socket.socket | None = None
            while True:
                kind, body = _message(client)
                if kind == b"X":
                    return
                server = server or self._borrow()
                server.sendall(kind + struct.pack("!I", len(body) + 4) + body)
                if kind in (b"Q", b"S") and self._relay(server, client):
                    server = None

    def _greet(self, client: socket.socket) -> None:
        """Answer the start of a client as a server would, with a process id of our own."""
        while True:
            (length,) = struct.unpack("!I", _exactly(client, 4))
            (code,) = struct.unpack("!I", _exactly(client, length - 4)[:4])
            if code not in (_SSL, _GSS, _CANCEL):
                break
            client.sendall(b"N")
        settings = {
            "server_version": "17.0",
            "client_encoding": "UTF8",
            "standard_conforming_strings": "on",
            "DateStyle": "ISO, MDY",
            "TimeZone": "UTC",
            "integer_datetimes": "on",
        }
        answer = _packed(b"R", struct.pack("!I", 0))
        for key, value in settings.items():
            answer += _packed(b"S", f"{key}\0{value}\0".encode())
        answer += _packed(b"K", struct.pack("!II", 4_000_000_000, 1)) + _packed(b"Z", b"I")
        client.sendall(answer)

    def _borrow(self) -> socket.socket:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        server = socket.socket(socket.AF_UNIX)
        server.connect(self._server)
        with self._lock:
            self._open.append(server)
        start = f"user\0postgres\0database\0{self._database}\0\0".encode()
        server.sendall(struct.pack("!II", len(start) + 8, 196608) + start)
        while _message(server)[0] != b"Z":
            pass
        return server

    def _give_back(self, server: socket.socket) -> None:
        with self._lock:
            self._idle.append(server)

    def _relay(self, server: socket.socket, client: socket.socket) -> bool:
        """Pass the answer on; tell whether the session was given back, in no transaction."""
        while True:
            kind, body = _message(server)
            free = kind == b"Z" and body == b"I" and not self._session_mode
            if free:  # before the client hears of it, and somebody else asks
                self._give_back(server)
            client.sendall(_packed(kind, body))
            if kind == b"Z":
                return free


def _packed(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def _message(source: socket.socket) -> tuple[bytes, bytes]:
    kind = _exactly(source, 1)
    (length,) = struct.unpack("!I", _exactly(source, 4))
    return kind, _exactly(source, length - 4)


def _exactly(source: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        part = source.recv(size - len(found))
        if not part:
            raise EOFError
        found += part
    return found
