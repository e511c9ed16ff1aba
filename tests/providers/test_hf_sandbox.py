"""The Hugging Face driver through whole stories on the simulated cloud."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from orchestrator.domain.endpoints import EndpointChange, Scaling, Snapshot
from orchestrator.domain.money import NANO
from orchestrator.domain.status import Status
from orchestrator.providers.base import (
    AmbiguousError,
    CapacityError,
    CredentialsError,
    Provider,
    RefusedError,
    UnavailableError,
)
from orchestrator.providers.errors import EchoMismatchError
from orchestrator.providers.registry import ProviderAccount, ProviderHooks, make_provider
from orchestrator.sandbox.faults import Fault, empty_listing, stale_read, wrong_type
from orchestrator.sandbox.switches import Switches
from orchestrator.sandbox.traffic import Traffic
from orchestrator.sandbox.transport import InProcessTransport
from orchestrator.sandbox.world import World
from tests.providers.wire import KEY, L4, NOW, TOKEN, a_spec


class Cloud:
    """A world with one namespace, and a driver for it."""

    def __init__(self, switches: Switches | None = None, **options: str) -> None:
        self.world = World(start=NOW, switches=switches)
        self.world.add_user("ada", token=TOKEN, orgs=("acme",))
        self.options = options
        self.provider = self.connect()

    def now(self) -> datetime:
        return self.world.now

    def connect(self, token: str = TOKEN, namespace: str = "acme") -> Provider:
        hooks = ProviderHooks(
            clock=self,
            resolve=lambda _: token,
            sleep=self.wait_s,
            transport=InProcessTransport(self.world),
            digest_key=KEY,
        )
        account = ProviderAccount("1", "main", "huggingface", namespace, options=self.options)
        return make_provider(account, hooks)

    def wait_s(self, seconds: float) -> None:
        self.world.advance_to(self.world.now + timedelta(seconds=seconds))

    def look(self, name: str = "demo") -> Snapshot:
        snapshot = self.provider.get_endpoint(name)
        assert snapshot is not None
        return snapshot

    def add(self, name: str = "demo", state: Any = "running", **more: Any) -> None:
        low = more.pop("low", 0)
        payload = {
            "name": name,
            "type": "authenticated",
            "provider": {"vendor": "aws", "region": "us-east-1"},
            "compute": {
                "accelerator": "gpu",
                "instanceType": "nvidia-l4",
                "instanceSize": "x1",
                "scaling": {"minReplica": low, "maxReplica": 3, "scaleToZeroTimeout": None},
            },
            "model": {
                "repository": "org/model-7b",
                "framework": "pytorch",
                "image": {"huggingface": {}},
            },
        }
        self.world.add_endpoint("acme", payload, state=state, **more)


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


class TestLife:
    def test_from_creation_to_deletion(self, cloud: Cloud) -> None:
        provider, seen = cloud.provider, list[Status]()
        created = provider.create_endpoint(a_spec(scaling=Scaling(0, 3, 15)))
        assert (created.status, created.url, created.gaps) == (Status.PENDING, None, ())
        for _ in range(200):
            cloud.wait_s(2)
            status = cloud.look().status
            if not seen or seen[-1] is not status:
                seen.append(status)
        assert seen[-2:] == [Status.INITIALIZING, Status.RUNNING]
        running = cloud.look()
        assert (running.ready_replicas, running.billed.expected) == (1, 1)
        assert running.url is not None

        provider.update_endpoint("demo", EndpointChange(environment={"MODE": "fast"}))
        assert cloud.look().status is Status.UPDATING
        cloud.wait_s(600)

        paused = provider.pause_endpoint("demo")
        assert paused is not None
        assert paused.status is Status.PAUSED
        assert paused.billed.high >= 1, "it is still draining"
        cloud.wait_s(60)
        assert cloud.look().billed.high == 0

        provider.resume_endpoint("demo")
        cloud.wait_s(600)
        provider.scale_to_zero("demo")
        asleep = cloud.look()
        assert (asleep.status, asleep.billed.high) == (Status.SCALED_TO_ZERO, 0)
        assert asleep.scaling == Scaling(0, 3, 15, "hardwareUsage", None)

        provider.resume_endpoint("demo")
        cloud.wait_s(600)
        assert cloud.look().status is Status.RUNNING
        provider.delete_endpoint("demo")
        assert provider.get_endpoint("demo") is None
        assert provider.list_endpoints().sightings == ()

    def test_a_failed_start_and_a_failed_update(self, cloud: Cloud) -> None:
        cloud.add("broken", None)
        cloud.world.break_starts("acme", "broken", "fail")
        cloud.add("updated")
        cloud.world.break_starts("acme", "updated", "fail")
        cloud.provider.update_endpoint("updated", EndpointChange(environment={"A": "1"}))
        cloud.wait_s(600)
        failed = cloud.look("broken")
        assert (failed.status, failed.billed.high) == (Status.FAILED, 0)
        assert "exited" in failed.message
        assert cloud.look("updated").status is Status.UPDATE_FAILED
        with pytest.raises(RefusedError, match="failed"):
            cloud.provider.resume_endpoint("broken")

    def test_the_timer_is_cleared_by_null(self, cloud: Cloud) -> None:
        cloud.provider.create_endpoint(a_spec(scaling=Scaling(0, 3, 15)))
        cloud.provider.update_endpoint("demo", EndpointChange(scaling=Scaling(0, 3, None)))
        assert cloud.look().scaling == Scaling(0, 3, None, "hardwareUsage", None)

    def test_bounds_that_a_resume_lost_can_be_put_back(self) -> None:
        cloud = Cloud(Switches(resume_resets_scaling=True))
        cloud.add(low=2)
        before = cloud.look().scaling
        assert before is not None
        cloud.provider.pause_endpoint("demo")
        cloud.provider.resume_endpoint("demo")
        assert cloud.look().scaling != before
        cloud.provider.update_endpoint("demo", EndpointChange(scaling=before))
        assert cloud.look().scaling == before

    def test_going_to_zero_with_a_minimum_is_refused_by_this_cloud(self, cloud: Cloud) -> None:
        cloud.add(low=1)
        with pytest.raises(RefusedError, match="minReplica"):
            cloud.provider.scale_to_zero("demo")

    @pytest.mark.parametrize("answer", ["ok", "refuse"])
    def test_pausing_what_is_paused_is_success_either_way(self, answer: Any) -> None:
        cloud = Cloud(Switches(pause_paused=answer))
        cloud.add(state="paused")
        paused = cloud.provider.pause_endpoint("demo")
        assert paused is not None
        assert paused.status is Status.PAUSED


class TestManyEndpoints:
    def test_250_over_pages(self, cloud: Cloud) -> None:
        for number in range(250):
            cloud.add(f"e{number}", "running" if number % 2 else "paused")
        listing = cloud.provider.list_endpoints()
        assert (len(listing.sightings), listing.complete, listing.calls) == (250, True, 3)
        assert listing.cloud_time == NOW
        statuses = [sighting.snapshot().status for sighting in listing.sightings]
        assert statuses.count(Status.RUNNING) == statuses.count(Status.PAUSED) == 125

    def test_use_does_not_change_a_digest(self, cloud: Cloud) -> None:
        cloud.add()
        (before,) = cloud.provider.list_endpoints().sightings
        cloud.wait_s(5)
        cloud.world.invoke("acme", "demo")
        (after,) = cloud.provider.list_endpoints().sightings
        assert after.digest == before.digest
        assert after.last_used_at == cloud.now()

    @pytest.mark.parametrize("switches", [Switches(largest_page=50), Switches(largest_page=7)])
    def test_a_cloud_with_smaller_pages_is_read_to_the_end(self, switches: Switches) -> None:
        cloud = Cloud(switches)
        for number in range(60):
            cloud.add(f"e{number}", "paused")
        listing = cloud.provider.list_endpoints()
        assert (len(listing.sightings), listing.complete) == (60, True)

    @pytest.mark.parametrize(
        "fault", [wrong_type("name", 7), wrong_type("name", ""), wrong_type("name", None)]
    )
    def test_a_row_that_cannot_be_named_is_admitted(self, cloud: Cloud, fault: Fault) -> None:
        cloud.add("a")
        cloud.world.faults.add(fault)
        listing = cloud.provider.list_endpoints()
        assert not listing.complete
        assert listing.error is None

    def test_an_empty_listing_that_claims_to_be_whole_cannot_be_told_here(
        self, cloud: Cloud
    ) -> None:
        """Losing many at once is for the caller to doubt: a direct read still finds them."""
        cloud.add()
        cloud.world.faults.add(empty_listing())
        assert cloud.provider.list_endpoints().complete
        assert cloud.look().name == "demo"

    def test_a_stale_page_shows_the_clouds_own_clock(self, cloud: Cloud) -> None:
        cloud.add()
        cloud.wait_s(100)
        cloud.provider.pause_endpoint("demo")
        cloud.world.faults.add(stale_read(60))
        (row,) = cloud.provider.list_endpoints().sightings
        assert row.snapshot().status is Status.RUNNING


class TestRefusals:
    def test_no_quota(self, cloud: Cloud) -> None:
        cloud.world.add_namespace("acme", kind="org", quotas={"nvidia-l4": 0})
        with pytest.raises(CapacityError):
            cloud.provider.create_endpoint(a_spec())

    @pytest.mark.parametrize("status", [400, 402, 403])
    def test_no_quota_in_every_form_that_it_may_take(self, status: int) -> None:
        cloud = Cloud(Switches(no_quota_status=status))
        cloud.add(state="paused")
        cloud.world.add_namespace("acme", kind="org", quotas={"nvidia-l4": 0})
        with pytest.raises(CapacityError):
            cloud.provider.resume_endpoint("demo")

    def test_a_token_that_may_only_look(self, cloud: Cloud) -> None:
        cloud.world.add_user("bob", token="looker", role="read", orgs=("acme",))
        cloud.add()
        looker = cloud.connect("looker")
        assert looker.list_endpoints().complete
        assert "read-only" in looker.identity().problems[0]
        with pytest.raises(CredentialsError):
            looker.pause_endpoint("demo")

    def test_a_namespace_of_others(self, cloud: Cloud) -> None:
        stranger = cloud.connect(namespace="elsewhere")
        assert isinstance(stranger.list_endpoints().error, CredentialsError)
        assert "does not belong" in stranger.identity().problems[0]
        offers = stranger.hardware()
        assert offers
        assert all(offer.quota_max is None for offer in offers)

    def test_the_identity(self, cloud: Cloud) -> None:
        identity = cloud.provider.identity()
        assert (identity.name, identity.kind, identity.problems) == ("ada", "user", ())
        assert identity.namespaces == ("ada", "acme")
        assert identity.can_pay is True

    def test_unknown_hardware_is_refused(self, cloud: Cloud) -> None:
        with pytest.raises(RefusedError, match="not available"):
            cloud.provider.create_endpoint(a_spec(task="x", hardware=_elsewhere()))
        assert cloud.provider.list_endpoints().sightings == ()


class TestMoney:
    def test_prices_and_quotas(self, cloud: Cloud) -> None:
        cloud.add()
        offers = {offer.hardware.key: offer for offer in cloud.provider.hardware()}
        assert offers[L4.key].nano_per_hour == 8 * NANO // 10
        assert offers[L4.key].quota_used is not None

    @pytest.mark.parametrize(
        ("switches", "options"),
        [
            (Switches(), {}),
            (Switches(), {"initializing_billing": "billed"}),
            (Switches(initializing_billed=False), {}),
            (Switches(initializing_billed=False), {"initializing_billing": "free"}),
            (Switches(draining_billed=True), {}),
            (Switches(update_doubles_billing=True), {}),
            (Switches(pending_billed=True), {"pending_billing": "unsure"}),
            (Switches(failed_billed=True), {"failed_billing": "billed"}),
        ],
    )
    def test_the_clouds_bill_lies_within_our_bounds(
        self, switches: Switches, options: dict[str, str]
    ) -> None:
        """Looked at each second, over starts, traffic, an update, a pause and a failure."""
        cloud = Cloud(switches, **options)
        cloud.provider.create_endpoint(a_spec(scaling=Scaling(1, 3)))
        low = high = 0
        for second in range(1500):
            if second == 500:
                cloud.provider.update_endpoint("demo", EndpointChange(environment={"A": "1"}))
            if second == 800:
                cloud.provider.pause_endpoint("demo")
            if second == 900:
                cloud.world.break_starts("acme", "demo", "fail")
                cloud.provider.resume_endpoint("demo")
            billed = cloud.look().billed
            low, high = low + billed.low, high + billed.high
            cloud.wait_s(1)
        charged = sum(line.replica_seconds for line in cloud.world.bill("acme"))
        transitions = 10
        assert low - transitions <= charged <= high + transitions
        assert charged > 0


class TestUsage:
    def test_a_quiet_endpoint_is_covered_and_idle(self, cloud: Cloud) -> None:
        cloud.add(created_at=NOW - timedelta(days=1))
        cloud.wait_s(3600)
        usage = cloud.provider.usage(["demo"], cloud.now() - timedelta(minutes=30), cloud.now())[
            "demo"
        ]
        assert usage is not None
        assert usage is not None
        assert (usage.requests, usage.covered_seconds) == (0, 1800)
        assert usage.last_request_at is None

    @pytest.mark.parametrize("minutes", [7, 30, 61, 500, 1441])
    def test_every_request_of_the_span_is_counted(self, cloud: Cloud, minutes: int) -> None:
        cloud.add(created_at=NOW - timedelta(days=4), traffic=Traffic.steady(12))
        end = cloud.now()
        start = end - timedelta(minutes=minutes)
        usage = cloud.provider.usage(["demo"], start, end)["demo"]
        assert usage is not None
        endpoint = cloud.world.endpoint("acme", "demo")
        exact = endpoint.request_count(_micros(start), _micros(end))
        assert usage is not None
        assert usage.covered_seconds == minutes * 60
        assert exact <= usage.requests <= exact * 1.2 + 12
        assert usage.last_request_at is not None
        assert usage.last_request_at >= end - timedelta(minutes=minutes / 5 + 11)

    def test_before_its_creation_nothing_is_known(self, cloud: Cloud) -> None:
        cloud.add(created_at=NOW - timedelta(minutes=10))
        usage = cloud.provider.usage(["demo"], NOW - timedelta(minutes=30), NOW)["demo"]
        assert usage is not None
        assert usage is not None
        assert usage.covered_seconds <= 600


class TestWire:
    def test_another_type_than_asked_is_told(self, cloud: Cloud) -> None:
        cloud.world.faults.add(wrong_type("type", "private"), method="POST")
        with pytest.raises(EchoMismatchError) as caught:
            cloud.provider.create_endpoint(a_spec(access="public"))
        assert caught.value.snapshot.name == "demo"
        assert cloud.provider.get_endpoint("demo") is not None

    def test_a_slow_change_times_out_in_doubt_and_a_slow_read_is_unavailable(
        self, cloud: Cloud
    ) -> None:
        cloud.add()
        cloud.world.faults.add(Fault("slow", seconds=31))
        with pytest.raises(AmbiguousError, match="ReadTimeout"):
            cloud.provider.pause_endpoint("demo")
        with pytest.raises(UnavailableError):
            cloud.provider.get_endpoint("demo")
        cloud.world.faults.clear()
        assert cloud.look().status is Status.PAUSED

    def test_the_whoami_limit_is_throttling(self) -> None:
        cloud = Cloud(Switches(whoami_per_5_minutes=0))
        with pytest.raises(UnavailableError) as caught:
            cloud.provider.identity()
        assert caught.value.status == 429


def _elsewhere() -> Any:
    return type(L4)("aws", "eu-north-9", "nvidia-l4", "x1", "gpu")


def _micros(instant: datetime) -> int:
    return int(instant.timestamp()) * 1_000_000
