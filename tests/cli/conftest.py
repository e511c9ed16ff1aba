"""A server of canned answers for the command line, and a way to run it."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import structlog

from orchestrator.cli.main import run
from orchestrator.cli.session import Surroundings
from orchestrator.clock import Clock

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
TOKEN = "orc_" + "T0ken-of-the-tests_" * 2


@dataclass
class Seen:
    """One request as it reached the server."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: Mapping[str, str]
    body: Any

    def param(self, name: str) -> list[str]:
        return [value for key, value in self.query if key == name]


@dataclass
class Reply:
    """One canned answer; `drop` closes the connection without one."""

    status: int = 200
    body: Any = None
    drop: bool = False
    content_type: str = "application/json"


@dataclass
class StubApi:
    """Answers by method and path; a list of replies is used up, its last one stays."""

    url: str = ""
    replies: dict[tuple[str, str], list[Reply]] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)

    def on(self, method: str, path: str, *bodies: Any, status: int = 200) -> None:
        made = [body if isinstance(body, Reply) else Reply(status, body) for body in bodies]
        self.replies[method, path] = made or [Reply(status)]

    def refuse(self, method: str, path: str, status: int, **problem: Any) -> None:
        self.on(method, path, {"title": "Refused", "status": status, **problem}, status=status)

    def take(self, seen: Seen) -> Reply:
        self.seen.append(seen)
        missing = Reply(404, {"detail": f"There is nothing at {seen.path}.", "code": "not_found"})
        queue = self.replies.get((seen.method, seen.path), [missing])
        return queue.pop(0) if len(queue) > 1 else queue[0]

    def last(self, method: str, path: str) -> Seen:
        return [one for one in self.seen if (one.method, one.path) == (method, path)][-1]


@pytest.fixture(autouse=True)
def _own_logs() -> Iterator[None]:
    """Undo what a command does to the logs of the process."""
    root = logging.getLogger()
    kept, level = list(root.handlers), root.level
    yield
    root.handlers[:], root.level = kept, level
    structlog.reset_defaults()


@pytest.fixture
def stub() -> Iterator[StubApi]:
    api = StubApi()

    class Handler(BaseHTTPRequestHandler):
        def date_time_string(self, timestamp: float | None = None) -> str:
            """The server tells the time of these tests."""
            del timestamp
            return format_datetime(NOW, usegmt=True)

        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            parts = urlsplit(self.path)
            raw = self.rfile.read(int(self.headers.get("content-length") or 0))
            reply = api.take(
                Seen(
                    self.command,
                    parts.path,
                    parse_qsl(parts.query),
                    {key.lower(): value for key, value in self.headers.items()},
                    json.loads(raw) if raw else None,
                )
            )
            if reply.drop:
                self.close_connection = True
                return
            text = isinstance(reply.body, str)
            body = (
                b""
                if reply.body is None
                else (reply.body if text else json.dumps(reply.body)).encode()
            )
            self.send_response(reply.status)
            self.send_header("content-type", reply.content_type)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815 - named by the base class

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as in the base class
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    api.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield api
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass
class Result:
    """How a command ended, and all that it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Cli = Callable[..., Result]


class SteppingClock:
    """A clock that moves on by `step` at every look."""

    def __init__(self, step: timedelta = timedelta(0), start: datetime = NOW) -> None:
        self.at = start
        self.step = step

    def now(self) -> datetime:
        self.at += self.step
        return self.at


@pytest.fixture
def state_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "state"
    monkeypatch.setenv("ORCHESTRATOR_STATE_DIR", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], state_dir: Path) -> Cli:
    """Return a function that runs a command line without a server of its own."""
    del state_dir

    def call(*arguments: str, clock: Clock | None = None) -> Result:
        capsys.readouterr()
        around = Surroundings(clock or SteppingClock(), sleep=lambda _: None)
        code = run(arguments, around)
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return call


@pytest.fixture
def api_cli(cli: Cli, stub: StubApi, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Return a function that runs a command line against the canned server, in UTC."""
    monkeypatch.setenv("ORCHESTRATOR_SERVER_URL", stub.url)
    monkeypatch.setenv("ORCHESTRATOR_TOKEN", TOKEN)

    def call(*arguments: str, clock: Clock | None = None) -> Result:
        return cli("--utc", *arguments, clock=clock)

    return call


def money(amount: str, band: str = "0", unpriced: int = 0) -> dict[str, Any]:
    middle, side = Decimal(amount), Decimal(band)
    return {
        "amount": amount,
        "low": str(middle - side),
        "high": str(middle + side),
        "currency": "USD",
        "basis": "metered",
        "unpriced_seconds": unpriced,
    }


def endpoint(name: str = "search-api", **changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": f"ep_{name}",
        "account": {"id": "acc_1", "name": "acme"},
        "name": name,
        "managed": True,
        "protected": False,
        "observe_only": None,
        "owner": "dana",
        "status": "running",
        "cloud_state": "running",
        "status_since": "2026-03-02T08:00:00Z",
        "message": "Endpoint is ready",
        "url": "https://x.example.org",
        "hardware": {
            "key": "aws/us-east-1/nvidia-l4/x1",
            "vendor": "aws",
            "region": "us-east-1",
            "instance_type": "nvidia-l4",
            "instance_size": "x1",
            "accelerator": "gpu",
        },
        "model": {"repository": "acme/model", "task": "text-generation", "engine": "vLLM"},
        "scaling": {"min_replicas": 1, "max_replicas": 2, "scale_to_zero_minutes": None},
        "replicas": {"ready": 1, "target": 1, "billed": {"low": 1, "expected": 1, "high": 2}},
        "labels": {"team": "search"},
        "cloud_labels": {},
        "wish": {
            "wish": "running",
            "reason": "asked",
            "actor": "dana",
            "at": "2026-03-01T08:00:00Z",
        },
        "decision": {"wish": "running", "rule": "standing", "reason": "asked by dana"},
        "next_change": {"at": "2026-03-02T19:00:00Z", "wish": "paused"},
        "holds": [],
        "burn_per_hour": {"amount": "0.800000000", "currency": "USD"},
        "month_to_date": money("12.300000000", "0.100000000"),
        "last_used_at": "2026-03-02T09:00:00Z",
        "first_seen_at": "2026-02-01T00:00:00Z",
        "confirmed_at": "2026-03-02T11:59:00Z",
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
        "deleted_at": None,
        "operation": None,
        "gaps": [],
    }
    return {**found, **changes}


def operation(status: str = "pending", **changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": "op_1",
        "kind": "pause",
        "status": status,
        "endpoint": {"id": "ep_search-api", "name": "search-api"},
        "account": {"id": "acc_1", "name": "acme"},
        "actor": "dana",
        "rule": "",
        "reason": "load test",
        "steps": [{"name": "pause", "at": "2026-03-02T12:00:01Z", "state": "done", "detail": ""}],
        "attempts": 1,
        "created_at": "2026-03-02T12:00:00Z",
        "started_at": None,
        "accepted_at": None,
        "finished_at": None,
        "next_attempt_at": None,
        "outcome": "",
    }
    return {**found, **changes}


def page(*items: Any, cursor: str | None = None) -> dict[str, Any]:
    return {"items": list(items), "next_cursor": cursor}
