"""A world with one AWS account, and real boto3 clients of it: in process or over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import lru_cache
from typing import Any

import boto3
import httpx2
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from orchestrator.sandbox.aws.switches import AwsSwitches
from orchestrator.sandbox.server import SandboxServer
from orchestrator.sandbox.transport import InProcessTransport
from orchestrator.sandbox.world import World
from tests.sandbox.scene import START

ACCOUNT, REGION = "123456789012", "us-east-1"
KEY, STRANGER = "AKIAEXAMPLEOWNER", "AKIAEXAMPLENOBODY"


@lru_cache(maxsize=1)
def _session() -> boto3.Session:
    return boto3.Session()


class WireScene:
    """A world whose account owns KEY; `url` is the address of its server, None for in process."""

    def __init__(self, url: str | None = None, switches: AwsSwitches | None = None) -> None:
        self.world = World(start=START, seed=1, aws_switches=switches)
        self.aws = self.world.aws
        self.aws.add_account(ACCOUNT, name="acme", access_keys={KEY: ""}, default_quota=100)
        self.url = url

    def client(
        self, service: str, *, region: str = REGION, key: str = KEY, timeout: float = 30
    ) -> Any:
        client = _session().client(
            service,
            region_name=region,
            endpoint_url=self.url or "http://aws.test",
            aws_access_key_id=key,
            aws_secret_access_key="sandbox",
            config=Config(retries={"total_max_attempts": 1}, read_timeout=timeout),
        )
        if self.url is None:
            send = _Sender(InProcessTransport(self.world), timeout)
            client.meta.events.register("before-send", send)
        return client

    def pass_time(self, **span: float) -> None:
        self.world.advance_to(self.world.now + timedelta(**span))

    def add(self, name: str, **options: Any) -> None:
        self.aws.add_endpoint(ACCOUNT, REGION, name, **options)


class _Sender:
    """Puts the in-process transport under botocore, and its exceptions into botocore's words."""

    def __init__(self, transport: InProcessTransport, timeout: float) -> None:
        self._transport = transport
        self._timeout = timeout

    def __call__(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        try:
            return self._send(request)
        except httpx2.ReadTimeout as error:
            raise ReadTimeoutError(endpoint_url=request.url, error=error) from error
        except httpx2.RemoteProtocolError as error:
            raise ConnectionClosedError(endpoint_url=request.url, error=error) from error

    def _send(self, request: AWSPreparedRequest) -> AWSResponse:
        limits = {"timeout": {"read": self._timeout}}
        outgoing = httpx2.Request(
            request.method,
            request.url,
            headers={key: _text(value) for key, value in request.headers.items()},
            content=request.body or b"",
            extensions=limits,
        )
        answer = self._transport.handle_request(outgoing)
        body = answer.read()
        return AWSResponse(request.url, answer.status_code, answer.headers, _Raw(body))


class _Raw:
    """The body as botocore reads it from urllib3."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self._body

    def read(self, amount: int | None = None, **_: Any) -> bytes:
        size = len(self._body) if amount is None else amount
        found, self._body = self._body[:size], self._body[size:]
        return found


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


@contextmanager
def in_process() -> Iterator[WireScene]:
    yield WireScene()


@contextmanager
def over_http() -> Iterator[WireScene]:
    scene = WireScene()
    with SandboxServer(scene.world) as server:
        scene.url = server.url
        yield scene


def refused(error: ClientError) -> tuple[str, str, int]:
    """Code, message and status of an error that boto3 raised."""
    found, meta = error.response["Error"], error.response["ResponseMetadata"]
    return found["Code"], found["Message"], meta["HTTPStatusCode"]
