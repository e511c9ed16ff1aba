"""Plain HTTP messages, and the errors that become answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request; header names are lower case."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def token(self) -> str | None:
        """The bearer token, if one was sent."""
        scheme, _, value = self.headers.get("authorization", "").partition(" ")
        return value.strip() or None if scheme.lower() == "bearer" else None


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response; `wait_s` is how long the data plane holds it back, in virtual seconds."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    wait_s: float = 0.0

    def json(self) -> Any:
        """The decoded body."""
        return json.loads(self.body)


class ApiError(Exception):
    """The cloud refuses: status and text; `plain` bodies are text, the others `{"error": text}`."""

    def __init__(
        self,
        status: int,
        text: str,
        *,
        plain: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {text}")
        self.status = status
        self.text = text
        self.plain = plain
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """The HTTP answer that carries this refusal."""
        if self.plain:
            kind, body = "text/plain; charset=utf-8", self.text.encode()
        else:
            kind, body = "application/json", json.dumps({"error": self.text}).encode()
        return Response(self.status, {"content-type": kind, **self.headers}, body)


def json_response(status: int, value: object) -> Response:
    """A JSON answer."""
    body = json.dumps(value, separators=(",", ":")).encode()
    return Response(status, {"content-type": "application/json"}, body)


def text_response(status: int, text: str) -> Response:
    """A plain text answer."""
    return Response(status, {"content-type": "text/plain; charset=utf-8"}, text.encode())
