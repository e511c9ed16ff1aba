"""A person who uses the REST API: requests to the real application, without sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import MutableMapping
from contextvars import Context
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import FastAPI

from orchestrator.api.app import create_app
from orchestrator.services.context import Context as Outer

Message = MutableMapping[str, Any]
_SHARED: list[tuple[FastAPI, asyncio.Runner]] = []


@dataclass(frozen=True)
class Asked:
    """One request, so that it can be repeated as it was."""

    method: str
    path: str
    body: Any = None
    query: tuple[tuple[str, str], ...] = ()
    key: str = ""

    @property
    def kind(self) -> str:
        """Return what is asked for, by the part of the path that says so."""
        parts = self.path.split("/")
        return parts[2] if len(parts) < len(("", "v1", "endpoints", "id", "act")) else parts[4]


@dataclass(frozen=True)
class Answer:
    """What the service answered."""

    status: int
    body: Any
    replayed: bool = False

    @property
    def code(self) -> str:
        """Return the code of a refusal."""
        return str(self.body.get("code", "")) if isinstance(self.body, dict) else ""


class Person:
    """Sends requests with one token; `context` is that of the process which serves them."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def send(self, context: Outer, asked: Asked) -> Answer:
        """Return the answer; what kills the process passes through."""
        app, runner = _application(context)
        app.state.context = context
        exchange = _Exchange(asked, self._secret)
        # A person's request is no part of a pass that may be under way, nor of its permit.
        runner.run(app(exchange.scope, exchange.receive, exchange.send), context=Context())
        return exchange.answer()


def _application(context: Outer) -> tuple[FastAPI, asyncio.Runner]:
    if not _SHARED:  # it takes its time, and knows no context but that of its state
        _SHARED.append((create_app(context, context.settings), asyncio.Runner()))
    return _SHARED[0]


class _Exchange:
    def __init__(self, asked: Asked, secret: str) -> None:
        raw = b"" if asked.body is None else json.dumps(asked.body).encode()
        headers = [
            (b"host", b"localhost"),
            (b"authorization", f"Bearer {secret}".encode()),
            (b"content-type", b"application/json"),
        ]
        if asked.key:
            headers.append((b"idempotency-key", asked.key.encode()))
        self.scope: Message = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": asked.method,
            "path": asked.path,
            "raw_path": quote(asked.path).encode(),
            "query_string": urlencode(asked.query).encode(),
            "headers": headers,
            "scheme": "http",
            "server": ("localhost", 80),
            "client": ("127.0.0.1", 1),
            "root_path": "",
        }
        self._raw = raw
        self._status = 0
        self._replayed = False
        self._parts: list[bytes] = []

    async def receive(self) -> Message:
        return {"type": "http.request", "body": self._raw, "more_body": False}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._replayed = (b"idempotency-replayed", b"true") in message["headers"]
        else:
            self._parts.append(message.get("body", b""))

    def answer(self) -> Answer:
        content = b"".join(self._parts)
        return Answer(self._status, json.loads(content) if content else None, self._replayed)
