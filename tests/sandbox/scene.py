"""A small cloud for the tests of the sandbox."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2

from orchestrator.sandbox.endpoint import Endpoint
from orchestrator.sandbox.payloads import endpoint_payload
from orchestrator.sandbox.switches import Switches
from orchestrator.sandbox.traffic import Traffic
from orchestrator.sandbox.transport import InProcessTransport
from orchestrator.sandbox.world import World

START = datetime(2026, 3, 2, tzinfo=UTC)  # a Monday
WRITER, READER, STRANGER = "token-writer", "token-reader", "token-stranger"


class Scene:
    """A world with one organization, and an HTTP client of its API."""

    def __init__(self, switches: Switches | None = None, *, seed: int = 1) -> None:
        self.world = World(start=START, seed=seed, switches=switches)
        self.world.add_user("maria", token=WRITER, role="write", orgs=["acme"])
        self.world.add_user("vic", token=READER, role="read", orgs=["acme"], org_role="read")
        self.world.add_user("eve", token=STRANGER, role="write")
        self.http = self.client(WRITER)

    def client(self, token: str | None, **options: Any) -> httpx2.Client:
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        transport = InProcessTransport(self.world, **options)
        return httpx2.Client(transport=transport, base_url="http://hf.test", headers=headers)

    def pass_time(self, **span: float) -> None:
        self.world.advance_to(self.world.now + timedelta(**span))

    def add(
        self,
        name: str = "chat-8b",
        *,
        state: Any = "running",
        traffic: Traffic | None = None,
        startup_s: float | None = 60,
        **payload: Any,
    ) -> Endpoint:
        return self.world.add_endpoint(
            "acme",
            endpoint_payload(name, **payload),
            state=state,
            traffic=traffic,
            startup_s=startup_s,
        )

    def get(self, name: str = "chat-8b") -> dict[str, Any]:
        answer = self.http.get(f"/v2/endpoint/acme/{name}")
        assert answer.status_code == 200, answer.text
        shown: dict[str, Any] = answer.json()
        return shown

    def state(self, name: str = "chat-8b") -> str:
        return str(self.get(name)["status"]["state"])

    def post(self, verb: str, name: str = "chat-8b") -> httpx2.Response:
        return self.http.post(f"/v2/endpoint/acme/{name}/{verb}")

    def states(self, name: str = "chat-8b") -> list[str]:
        """The states that an endpoint went through, each once per visit."""
        seen: list[str] = []
        for frame in self.world.endpoint("acme", name).history():
            if not seen or seen[-1] != frame.state:
                seen.append(frame.state)
        return seen

    def until(
        self, wanted: Callable[[], bool], *, step_s: float = 1, limit_s: float = 3600
    ) -> None:
        """Let time pass second by second until something holds."""
        end = self.world.now + timedelta(seconds=limit_s)
        while not wanted():
            assert self.world.now < end, "it never came to hold"
            self.pass_time(seconds=step_s)
