"""Every fault, in process and over the wire."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from orchestrator.sandbox import faults
from orchestrator.sandbox.faults import Fault
from orchestrator.sandbox.payloads import endpoint_payload
from orchestrator.sandbox.server import SandboxServer
from tests.sandbox.scene import START, WRITER, Scene

PAUSE = "/v2/endpoint/acme/chat-8b/pause"
ONE = "/v2/endpoint/acme/chat-8b"
LIST = "/v2/endpoint/acme"


@dataclass
class Wire:
    scene: Scene
    http: httpx2.Client

    def fault(self, fault: Fault, **when: Any) -> faults.Rule:
        return self.scene.world.faults.add(fault, **when)

    def items(self, **query: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.http.get(LIST, params=query).json()["items"]
        return found


@contextmanager
def _in_process(scene: Scene) -> Iterator[httpx2.Client]:
    with scene.client(WRITER, sleep=lambda seconds: scene.pass_time(seconds=seconds)) as http:
        yield http


@contextmanager
def _over_http(scene: Scene) -> Iterator[httpx2.Client]:
    headers = {"authorization": f"Bearer {WRITER}"}
    with (
        SandboxServer(scene.world) as server,
        httpx2.Client(base_url=server.url, headers=headers, timeout=30) as http,
    ):
        yield http


@pytest.fixture(params=[_in_process, _over_http], ids=["in-process", "http"])
def wire(request: pytest.FixtureRequest, scene: Scene) -> Iterator[Wire]:
    scene.add(tags=["team=a"])
    with request.param(scene) as http:
        yield Wire(scene, http)


class TestLostAnswers:
    @pytest.mark.parametrize(
        ("fault", "expected", "committed"),
        [
            (faults.timeout_before(), httpx2.ReadTimeout, False),
            (faults.timeout_after(), httpx2.ReadTimeout, True),
            (faults.drop_before(), httpx2.RemoteProtocolError, False),
            (faults.drop_after(), httpx2.RemoteProtocolError, True),
            (faults.truncate(), httpx2.RemoteProtocolError, True),
        ],
        ids=lambda value: getattr(value, "kind", ""),
    )
    def test_raise_and_may_have_committed(
        self, wire: Wire, fault: Fault, expected: type[Exception], committed: bool
    ) -> None:
        wire.fault(fault, method="POST", path="/pause$", count=1)
        with pytest.raises(expected):
            wire.http.post(PAUSE, timeout=0.5 if expected is httpx2.ReadTimeout else 30)
        call = wire.scene.world.calls[-1]
        assert (call.mutating, call.committed, call.delivered) == (True, committed, False)
        assert (call.namespace, call.name) == ("acme", "chat-8b")
        state = wire.http.get(ONE).json()["status"]["state"]
        assert state == ("paused" if committed else "running")

    def test_do_not_outlive_their_count(self, wire: Wire) -> None:
        rule = wire.fault(faults.drop_before(), count=2)
        for _ in range(2):
            with pytest.raises(httpx2.RemoteProtocolError):
                wire.http.get(ONE)
        assert wire.http.get(ONE).status_code == 200
        assert rule.fired == 2


class TestErrorAnswers:
    @pytest.mark.parametrize("after", [False, True])
    def test_come_before_or_after_the_change(self, wire: Wire, after: bool) -> None:
        wire.fault(faults.error(502, "Bad Gateway", after_commit=after), method="POST", count=1)
        answer = wire.http.post(PAUSE)
        assert (answer.status_code, answer.json()) == (502, {"error": "Bad Gateway"})
        assert wire.scene.world.calls[-1].committed is after
        assert wire.scene.state() == ("paused" if after else "running")

    def test_with_a_rate_limit_name_the_wait(self, wire: Wire) -> None:
        wire.fault(faults.error(429, "Too Many Requests", retry_after=9), count=1)
        answer = wire.http.get(ONE)
        assert answer.status_code == 429
        assert answer.headers["retry-after"] == "9"
        assert answer.headers["ratelimit"] == '"api";r=0;t=9'
        assert answer.headers["ratelimit-policy"].endswith("q=500;w=300")


class TestSlowAnswers:
    def test_come_late(self, wire: Wire) -> None:
        wire.fault(faults.slow(0.05), count=1)
        assert wire.http.get(ONE).status_code == 200

    def test_time_out_when_they_take_too_long(self, wire: Wire) -> None:
        wire.fault(faults.slow(60), method="POST")
        with pytest.raises(httpx2.ReadTimeout):
            wire.http.post(PAUSE, timeout=0.5)
        assert wire.scene.state() == "paused"


class TestListings:
    @pytest.fixture(autouse=True)
    def _fleet(self, wire: Wire) -> None:
        for number in range(9):
            wire.scene.add(f"e-{number}")

    def test_lose_items(self, wire: Wire) -> None:
        wire.fault(faults.partial_listing(3), path=LIST)
        page = wire.http.get(LIST).json()
        assert (len(page["items"]), page["totalItems"]) == (7, 10)

    def test_lose_the_cursor(self, wire: Wire) -> None:
        wire.fault(faults.partial_listing(0, lose_cursor=True))
        page = wire.http.get(LIST, params={"limit": 4}).json()
        assert (len(page["items"]), page["nextCursor"]) == (4, None)

    def test_are_empty(self, wire: Wire) -> None:
        wire.fault(faults.empty_listing(), count=1)
        assert wire.items() == []
        assert len(wire.items()) == 10

    @pytest.mark.parametrize("repeat", [False, True])
    def test_shift_between_pages(self, wire: Wire, repeat: bool) -> None:
        wire.fault(faults.shifting_pages(repeat=repeat))
        first = wire.http.get(LIST, params={"limit": 5}).json()
        assert len(first["items"]) == 5
        second = wire.items(limit=5, cursor=first["nextCursor"])
        assert len(second) == (5 if repeat else 4)
        shared = {item["name"] for item in first["items"]} & {item["name"] for item in second}
        assert shared == ({first["items"][-1]["name"]} if repeat else set())

    def test_are_not_touched_by_other_kinds_of_calls(self, wire: Wire) -> None:
        wire.fault(faults.empty_listing())
        assert wire.http.get(ONE).json()["name"] == "chat-8b"


class TestBodies:
    def test_name_a_state_that_nobody_knows(self, wire: Wire) -> None:
        wire.fault(faults.unknown_state("hibernating", name="chat-8b"))
        assert wire.http.get(ONE).json()["status"]["state"] == "hibernating"
        assert wire.items()[0]["status"]["state"] == "hibernating"

    @pytest.mark.parametrize("field", ["compute.scaling", "healthRoute", "status.readyReplica"])
    def test_miss_a_field(self, wire: Wire, field: str) -> None:
        whole = wire.http.get(ONE).json()
        wire.fault(faults.missing_field(field))
        broken = wire.http.get(ONE).json()
        *parents, leaf = field.split(".")
        for parent in parents:
            whole, broken = whole[parent], broken[parent]
        assert leaf in whole
        assert whole.keys() - broken.keys() == {leaf}

    def test_have_a_field_more(self, wire: Wire) -> None:
        wire.fault(faults.extra_field("status.mood", {"x": 1}))
        assert wire.http.get(ONE).json()["status"]["mood"] == {"x": 1}

    def test_have_another_type(self, wire: Wire) -> None:
        wire.fault(faults.wrong_type("status.readyReplica", "one"))
        assert wire.http.get(ONE).json()["status"]["readyReplica"] == "one"

    def test_of_one_endpoint_leave_the_others(self, wire: Wire) -> None:
        wire.scene.add("other")
        wire.fault(faults.wrong_type("tags", None, name="other"))
        assert [item["tags"] for item in wire.items()] == [["team=a"], None]


class TestStaleReads:
    def test_show_what_was(self, wire: Wire) -> None:
        wire.scene.pass_time(minutes=10)
        wire.http.post(PAUSE)
        wire.scene.pass_time(minutes=10)
        wire.scene.add("newer")
        wire.fault(faults.stale_read(700))
        assert wire.http.get(ONE).json()["status"]["state"] == "running"
        assert [item["name"] for item in wire.items()] == ["chat-8b"]
        assert wire.http.get("/v2/endpoint/acme/newer").status_code == 404

    def test_still_show_what_was_deleted(self, wire: Wire) -> None:
        wire.scene.pass_time(minutes=10)
        wire.http.delete(ONE)
        wire.scene.pass_time(seconds=20)
        wire.fault(faults.stale_read(60))
        assert wire.http.get(ONE).json()["status"]["state"] == "running"
        assert [item["name"] for item in wire.items()] == ["chat-8b"]

    def test_do_not_change_what_a_change_answers(self, wire: Wire) -> None:
        wire.scene.pass_time(minutes=10)
        wire.fault(faults.stale_read(300))
        assert wire.http.post(PAUSE).json()["status"]["state"] == "paused"


class TestRules:
    """When a rule hits; the same on both transports."""

    @pytest.fixture(autouse=True)
    def _endpoint(self, scene: Scene) -> None:
        scene.add()

    def _statuses(self, scene: Scene, calls: int = 6) -> list[int]:
        return [scene.http.get(ONE).status_code for _ in range(calls)]

    def test_by_the_nth_call(self, scene: Scene) -> None:
        scene.world.faults.add(faults.error(500), nth=3)
        assert self._statuses(scene) == [200, 200, 500, 200, 200, 200]

    def test_by_method_and_path(self, scene: Scene) -> None:
        scene.world.faults.add(faults.error(500), method="POST", path="/resume$")
        assert scene.http.get(ONE).status_code == 200
        assert scene.http.post(PAUSE).status_code == 200
        assert scene.post("resume").status_code == 500

    def test_by_window_in_virtual_time(self, scene: Scene) -> None:
        scene.world.faults.add(
            faults.error(503),
            after=START + timedelta(minutes=1),
            until=START + timedelta(minutes=2),
        )
        seen = []
        for _ in range(4):
            seen.append(scene.http.get(ONE).status_code)
            scene.pass_time(seconds=50)
        assert seen == [200, 200, 503, 200]

    def test_by_seeded_chance(self) -> None:
        def draw(seed: int) -> list[int]:
            scene = Scene(seed=seed)
            scene.add()
            scene.world.faults.add(faults.error(500), probability=0.3)
            return self._statuses(scene, 200)

        assert draw(5) == draw(5)
        assert draw(5) != draw(6)
        assert 30 < draw(5).count(500) < 90

    def test_can_be_lifted(self, scene: Scene) -> None:
        rule = scene.world.faults.add(faults.error(500))
        assert self._statuses(scene, 1) == [500]
        scene.world.faults.remove(rule)
        assert self._statuses(scene, 1) == [200]

    def test_combine(self, scene: Scene) -> None:
        scene.world.faults.add(faults.unknown_state("odd"))
        scene.world.faults.add(faults.missing_field("tags"))
        shown = scene.http.get(ONE).json()
        assert (shown["status"]["state"], "tags" in shown) == ("odd", False)


class TestCreate:
    @pytest.mark.parametrize(
        ("fault", "there"),
        [(faults.timeout_before(), False), (faults.timeout_after(), True)],
        ids=["before", "after"],
    )
    def test_repeated_after_a_lost_answer_finds_the_first(
        self, scene: Scene, fault: Fault, there: bool
    ) -> None:
        scene.world.faults.add(fault, method="POST", count=1)
        payload = endpoint_payload("chat-8b")
        with pytest.raises(httpx2.ReadTimeout):
            scene.http.post(LIST, json=payload)
        assert scene.http.post(LIST, json=payload).status_code == (409 if there else 200)


class TestInProcessTime:
    def test_a_timeout_takes_the_patience_of_the_caller(self, scene: Scene) -> None:
        slept: list[float] = []
        scene.add()
        scene.world.faults.add(faults.timeout_before())
        with (
            scene.client(WRITER, sleep=slept.append, clock=lambda: scene.world.now) as http,
            pytest.raises(httpx2.ReadTimeout),
        ):
            http.get(ONE, timeout=7)
        assert slept == [7]

    def test_a_clock_moves_the_world_before_each_request(self, scene: Scene) -> None:
        scene.add(state=None)
        moments = iter([START + timedelta(seconds=10), START + timedelta(hours=1)])
        clock: Callable[[], Any] = lambda: next(moments)  # noqa: E731 - the shape that the transport takes
        with scene.client(WRITER, clock=clock) as http:
            states = [http.get(ONE).json()["status"]["state"] for _ in range(2)]
        assert states == ["initializing", "running"]


def test_a_skewed_clock_shows_in_the_date(scene: Scene) -> None:
    scene.add()
    scene.world.skew_clock(timedelta(minutes=3))
    answer = scene.http.get(ONE)
    assert answer.headers["date"] == "Mon, 02 Mar 2026 00:03:00 GMT"
    assert answer.json()["status"]["createdAt"] == "2026-03-02T00:00:00Z"
