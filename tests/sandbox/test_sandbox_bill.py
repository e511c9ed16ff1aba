"""The bill, against a recomputation second by second from the history of the states."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import groupby, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.sandbox.endpoint import Endpoint, Frame
from orchestrator.sandbox.instants import to_instant
from orchestrator.sandbox.ledger import BillLine
from orchestrator.sandbox.messages import ApiError
from orchestrator.sandbox.switches import Switches
from orchestrator.sandbox.world import World
from tests.sandbox.scene import START, WRITER, Scene

L4 = "aws-us-east-1-nvidia-l4-x1"
A10G = "aws-us-east-1-nvidia-a10g-x1"


def _paying(frame: Frame, switches: Switches) -> list[tuple[int, int]]:
    """(settings, replicas) that cost money in a stretch, told once more."""
    if frame.state == "running":
        growing = switches.initializing_billed and frame.target > frame.ready
        return [(frame.serving, frame.target if growing else frame.ready)]
    if frame.state == "updateFailed":
        return [(frame.serving, frame.ready)]
    if frame.state == "updating":
        fresh = [(frame.spec, frame.target)] if switches.update_doubles_billing else []
        return [(frame.serving, frame.ready), *fresh]
    if frame.state == "paused":
        return [(frame.serving, frame.ready)] if switches.draining_billed else []
    paid = {
        "initializing": switches.initializing_billed,
        "pending": switches.pending_billed,
        "failed": switches.failed_billed,
    }
    return [(frame.spec, frame.target)] if paid.get(frame.state) else []


def _seconds(endpoint: Endpoint, now: datetime) -> Iterator[tuple[int, Frame]]:
    """Every whole second of an endpoint's life with the last state that it had in it."""
    end = endpoint.deleted_at or to_instant(now)
    frames = list(endpoint.history())
    for second in range(endpoint.created_at // 1_000_000, end // 1_000_000):
        while len(frames) > 1 and frames[1].at // 1_000_000 <= second:
            frames.pop(0)
        yield second, frames[0]


def _expected(world: World, endpoint: Endpoint) -> Counter[tuple[str, Decimal]]:
    """Replica-seconds by hardware and price."""
    slots: dict[tuple[str, Decimal, int], list[int]] = {}
    for second, frame in _seconds(endpoint, world.now):
        counts: Counter[str] = Counter()
        for number, replicas in _paying(frame, world.switches):
            counts[endpoint.specs[number]["compute"]["id"]] += replicas
        for hardware, replicas in counts.items():
            price = world.catalog.price_at(hardware, second * 1_000_000)
            for slot in range(replicas):
                slots.setdefault((hardware, price, slot), []).append(second)
    total: Counter[tuple[str, Decimal]] = Counter()
    for (hardware, price, _), seconds in slots.items():
        for length in _runs(seconds):
            whole = world.switches.minute_rounding == "up"
            total[hardware, price] += -(-length // 60) * 60 if whole else length
    return total


def _runs(seconds: list[int]) -> Iterator[int]:
    for _, run in groupby(enumerate(seconds), key=lambda pair: pair[1] - pair[0]):
        yield len(list(run))


_SWITCHES = st.builds(
    Switches,
    initializing_billed=st.booleans(),
    pending_billed=st.booleans(),
    failed_billed=st.booleans(),
    draining_billed=st.booleans(),
    update_doubles_billing=st.booleans(),
    minute_rounding=st.sampled_from(["exact", "up"]),
    resume_from_failed=st.booleans(),
    pause_keeps_target_replica=st.booleans(),
)
_BOUNDS = st.sampled_from([(0, 1), (0, 3), (1, 1), (1, 4), (2, 3)])
_STEPS = st.one_of(
    st.tuples(st.just("wait"), st.floats(0.1, 600)),
    st.tuples(st.just("act"), st.sampled_from(["pause", "resume", "scale-to-zero", "delete"])),
    st.tuples(st.just("bounds"), _BOUNDS),
    st.tuples(st.just("hardware"), st.sampled_from(["nvidia-l4", "nvidia-a10g"])),
    st.tuples(st.just("price"), st.integers(0, 400)),
    st.tuples(st.just("break"), st.sampled_from(["fail", "stuck"])),
    st.tuples(st.just("invoke"), st.none()),
)


def _take(scene: Scene, step: tuple[str, Any]) -> None:
    world = scene.world
    match step:
        case "wait", seconds:
            scene.pass_time(seconds=seconds)
        case "act", verb:
            world.act("acme", "chat-8b", verb)
        case "bounds", (low, high):
            scaling = {"minReplica": low, "maxReplica": high, "scaleToZeroTimeout": None}
            if low == 0:
                scaling["scaleToZeroTimeout"] = 5
            world.act("acme", "chat-8b", "update", payload={"compute": {"scaling": scaling}})
        case "hardware", kind:
            payload = {"compute": {"instanceType": kind}}
            world.act("acme", "chat-8b", "update", payload=payload)
        case "price", seconds:
            at = world.now + timedelta(seconds=seconds)
            world.set_price(L4, Decimal(seconds) / 100, at=at)
        case "break", outcome:
            world.break_starts("acme", "chat-8b", outcome)
        case "invoke", _:
            world.invoke("acme", "chat-8b")


def _bounds(scene: Scene, low: int, high: int) -> None:
    payload = {"compute": {"scaling": {"minReplica": low, "maxReplica": high}}}
    scene.world.act("acme", "chat-8b", "update", payload=payload)


def _play(scene: Scene, steps: list[tuple[str, Any]]) -> Endpoint:
    endpoint = scene.add(state=None, startup_s=45)
    for step in steps:
        with suppress(ApiError):
            _take(scene, step)
    scene.pass_time(seconds=100)
    return endpoint


@given(_SWITCHES, st.lists(_STEPS, max_size=12))
def test_bill_is_the_sum_of_the_seconds(switches: Switches, steps: list[tuple[str, Any]]) -> None:
    scene = Scene(switches)
    endpoint = _play(scene, steps)
    lines = scene.world.bill("acme")
    found: Counter[tuple[str, Decimal]] = Counter()
    for line in lines:
        hardware = {"nvidia-l4": L4, "nvidia-a10g": A10G}[line.product.split("/")[2]]
        found[hardware, line.usd_per_hour] += line.replica_seconds
        exact = line.replica_seconds * line.usd_per_hour * 10**9 / 3600
        assert abs(line.nano_usd - exact) <= Decimal("0.5")
    assert +found == +_expected(scene.world, endpoint)


@given(_SWITCHES, st.lists(_STEPS, max_size=12), st.lists(st.integers(0, 3000), max_size=4))
def test_parts_of_the_bill_add_up_to_the_whole(
    switches: Switches, steps: list[tuple[str, Any]], cuts: list[int]
) -> None:
    scene = Scene(switches)
    _play(scene, steps)
    edges = [None, *(START + timedelta(seconds=cut) for cut in sorted(cuts)), None]
    parts = [
        sum(line.replica_seconds for line in scene.world.bill("acme", start=low, end=high))
        for low, high in pairwise(edges)
    ]
    assert sum(parts) == sum(line.replica_seconds for line in scene.world.bill("acme"))


@given(_SWITCHES, st.lists(_STEPS, max_size=12))
def test_lines_of_an_endpoint_do_not_overlap_on_one_product(
    switches: Switches, steps: list[tuple[str, Any]]
) -> None:
    scene = Scene(switches)
    _play(scene, steps)
    by_product: dict[str, list[BillLine]] = {}
    for line in scene.world.bill("acme"):
        by_product.setdefault(line.product, []).append(line)
    for lines in by_product.values():
        for earlier, later in pairwise(lines):
            assert earlier.stopped_at is not None
            assert earlier.stopped_at <= later.started_at


class TestBill:
    def test_of_an_hour_of_one_replica(self, scene: Scene) -> None:
        endpoint = scene.add()
        scene.pass_time(hours=1)
        scene.world.act("acme", "chat-8b", "pause")
        (line,) = scene.world.bill("acme")
        assert line.endpoint_id == endpoint.id
        assert (line.name, line.product) == ("chat-8b", "endpoints/aws/nvidia-l4/x1")
        assert (line.started_at, line.stopped_at) == (START, START + timedelta(hours=1))
        assert (line.replica_seconds, line.nano_usd) == (3600, 800_000_000)

    def test_of_two_replicas_is_double(self, scene: Scene) -> None:
        scene.add(min_replica=2, max_replica=2)
        scene.pass_time(minutes=30)
        (line,) = scene.world.bill("acme")
        assert (line.replica_seconds, line.stopped_at) == (3600, None)

    def test_of_paused_and_sleeping_ones_is_empty(self, scene: Scene) -> None:
        scene.add("one", state="paused")
        scene.add("two", state="scaledToZero", min_replica=0)
        scene.add("three", state="failed")
        scene.pass_time(days=3)
        assert scene.world.bill("acme") == []

    def test_starts_a_line_at_a_new_price(self, scene: Scene) -> None:
        scene.add()
        scene.world.set_price(L4, Decimal("1.6"), at=START + timedelta(minutes=30))
        scene.pass_time(hours=1)
        first, second = scene.world.bill("acme")
        assert first.stopped_at == second.started_at == START + timedelta(minutes=30)
        assert (first.nano_usd, second.nano_usd) == (400_000_000, 800_000_000)

    @pytest.mark.parametrize(
        ("switches", "seconds"),
        [
            (Switches(), 60),
            (Switches(initializing_billed=False), 0),
            (Switches(minute_rounding="up"), 60),
            (Switches(pending_billed=True), 60),
        ],
    )
    def test_of_a_start_depends_on_the_switches(self, switches: Switches, seconds: int) -> None:
        scene = Scene(switches)
        endpoint = scene.add(state=None, startup_s=60)
        scene.until(lambda: scene.state() == "running")
        pending = endpoint.history()[1].at - endpoint.history()[0].at
        extra = pending // 1_000_000 if switches.pending_billed else 0
        rounded = 60 if extra and switches.minute_rounding == "up" else extra
        total = sum(line.replica_seconds for line in scene.world.bill("acme"))
        assert total == seconds + rounded

    def test_rounds_a_short_run_up_to_a_minute(self) -> None:
        scene = Scene(Switches(minute_rounding="up"))
        scene.add()
        scene.pass_time(seconds=61)
        scene.world.act("acme", "chat-8b", "pause")
        assert [line.replica_seconds for line in scene.world.bill("acme")] == [120]

    def test_doubles_during_an_update_if_the_switch_says_so(self) -> None:
        totals = []
        for doubles in (False, True):
            scene = Scene(Switches(update_doubles_billing=doubles))
            scene.add()
            scene.world.act("acme", "chat-8b", "update", payload={"model": {"task": "other"}})
            scene.pass_time(seconds=60)
            totals.append(sum(line.replica_seconds for line in scene.world.bill("acme")))
        assert totals == [60, 120]

    @pytest.mark.parametrize(("billed", "seconds"), [(True, 240), (False, 180)])
    def test_of_further_replicas_begins_when_they_start_or_when_they_serve(
        self, billed: bool, seconds: int
    ) -> None:
        scene = Scene(Switches(initializing_billed=billed))
        scene.add(startup_s=60)
        _bounds(scene, 2, 2)
        scene.pass_time(seconds=120)
        assert [line.replica_seconds for line in scene.world.bill("acme")] == [seconds]

    def test_of_a_failed_update_is_that_of_the_old_replicas(self, scene: Scene) -> None:
        scene.add()
        scene.world.break_starts("acme", "chat-8b", "fail")
        payload = {"compute": {"instanceType": "nvidia-a10g"}}
        scene.world.act("acme", "chat-8b", "update", payload=payload)
        scene.pass_time(minutes=10)
        assert scene.state() == "updateFailed"
        (line,) = scene.world.bill("acme")
        assert (line.product, line.replica_seconds) == ("endpoints/aws/nvidia-l4/x1", 600)

    def test_moves_to_the_new_hardware_when_the_update_is_through(self, scene: Scene) -> None:
        scene.add(startup_s=60)
        payload = {"compute": {"instanceType": "nvidia-a10g"}}
        scene.world.act("acme", "chat-8b", "update", payload=payload)
        scene.pass_time(minutes=3)
        lines = [
            (line.product.split("/")[2], line.replica_seconds) for line in scene.world.bill("acme")
        ]
        assert lines == [("nvidia-l4", 60), ("nvidia-a10g", 120)]

    def test_does_not_see_what_ends_within_its_second(self) -> None:
        scene = Scene(Switches(minute_rounding="up"))
        scene.add(min_replica=2, max_replica=2)
        scene.pass_time(seconds=30.2)
        _bounds(scene, 1, 1)
        scene.pass_time(seconds=0.5)
        _bounds(scene, 2, 2)
        scene.pass_time(seconds=29.3)
        assert [line.replica_seconds for line in scene.world.bill("acme")] == [120]

    def test_of_a_deleted_endpoint_stays(self, scene: Scene) -> None:
        scene.add()
        scene.pass_time(minutes=10)
        scene.world.act("acme", "chat-8b", "delete")
        scene.pass_time(days=1)
        assert [line.replica_seconds for line in scene.world.bill("acme")] == [600]


class TestUsage:
    URL = "/api/organizations/acme/billing/usage"

    def test_has_the_lines_of_the_month(self, scene: Scene) -> None:
        endpoint = scene.add()
        scene.pass_time(hours=3)
        scene.world.act("acme", "chat-8b", "pause")
        scene.pass_time(hours=3)
        answer = scene.http.get(self.URL).json()
        assert answer["period"]["periodStart"] == "2026-03-01T00:00:00Z"
        assert answer["period"]["entityType"] == "org"
        (line,) = answer["usage"]["Endpoints"]
        assert (line["entityId"], line["label"]) == (endpoint.id, "chat-8b")
        assert (line["quantity"], line["unitLabel"]) == (3, "hour")
        assert (line["unitCostMicroUSD"], line["totalCostMicroUSD"]) == (800_000, 2_400_000)
        assert line["startedAt"] == "2026-03-02T00:00:00Z"
        assert (line["stoppedAt"], line["active"]) == ("2026-03-02T03:00:00Z", False)

    def test_of_an_earlier_month_is_asked_for_by_its_id(self, scene: Scene) -> None:
        scene.add()
        march = scene.http.get(self.URL).json()["period"]["_id"]
        scene.world.advance_to(datetime(2026, 4, 11, tzinfo=UTC))
        (april,) = scene.http.get(self.URL).json()["usage"]["Endpoints"]
        old = scene.http.get(self.URL, params={"periodId": march}).json()
        assert april["quantity"] == 240
        assert old["usage"]["Endpoints"][0]["quantity"] == 24 * 30
        assert scene.http.get(self.URL, params={"periodId": "?"}).status_code == 404

    def test_is_for_admins(self, scene: Scene) -> None:
        assert scene.client("token-reader").get(self.URL).status_code == 403
        assert scene.client(None).get(self.URL).status_code == 401

    def test_of_a_person_is_that_of_the_own_namespace(self, scene: Scene) -> None:
        scene.add()
        scene.pass_time(hours=1)
        answer = scene.client(WRITER).get("/api/settings/billing/usage").json()
        assert answer["usage"]["Endpoints"] == []
        assert answer["period"]["entityName"] == "maria"

    def test_may_have_no_labels(self) -> None:
        scene = Scene(Switches(usage_labels=False))
        scene.add()
        scene.pass_time(hours=1)
        (line,) = scene.http.get(self.URL).json()["usage"]["Endpoints"]
        assert line["label"] is None
