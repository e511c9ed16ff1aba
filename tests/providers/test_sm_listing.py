"""Listings of the SageMaker driver, and what looking costs in calls."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from orchestrator.domain.status import Status
from orchestrator.providers.base import (
    CredentialsError,
    Listing,
    NotFoundError,
    ProviderError,
    ThrottledError,
    UnavailableError,
)
from orchestrator.providers.sagemaker.factory import make_sagemaker
from orchestrator.providers.sagemaker.provider import SageMakerProvider
from orchestrator.sandbox.faults import Fault, aws_error, error, partial_listing
from tests.providers.aws_wire import ACCOUNT, NOW, AwsWire, caller, invalid, refusal
from tests.providers.sm_world import SmWorld

CREATED = datetime(2026, 8, 1, tzinfo=UTC)
LIST = "sagemaker:ListEndpoints"


def row(name: str, number: int = 0, **changes: Any) -> dict[str, Any]:
    at = CREATED + timedelta(minutes=number)
    return {
        "EndpointName": name,
        "EndpointArn": f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:endpoint/{name}",
        "CreationTime": at.timestamp(),
        "LastModifiedTime": at.timestamp(),
        "EndpointStatus": "InService",
        **changes,
    }


def page(*names: str, token: str = "", start: int = 0) -> dict[str, Any]:
    rows = [row(name, start + number) for number, name in enumerate(names)]
    return {"Endpoints": rows} | ({"NextToken": token} if token else {})


def driver(wire: AwsWire, **options: str) -> SageMakerProvider:
    return make_sagemaker(wire.account(**options), wire.hooks())


def listed(*answers: Any) -> Listing:
    wire = AwsWire(ListEndpoints=list(answers))
    return driver(wire).list_endpoints()


class TestPages:
    def test_rows_of_all_pages_come_once(self) -> None:
        listing = listed(page("a", "b", token="1"), page(token="2"), page("c", start=2))
        assert [item.name for item in listing.sightings] == ["a", "b", "c"]
        # Three pages, and the question whose keys these are.
        assert (listing.complete, listing.calls, listing.error) == (True, 4, None)

    def test_pages_are_large_and_the_oldest_come_first(self) -> None:
        wire = AwsWire(ListEndpoints=page("a"))
        driver(wire).list_endpoints()
        (params,) = wire.params(LIST)
        assert params == {"MaxResults": 100, "SortBy": "CreationTime", "SortOrder": "Ascending"}

    def test_a_name_that_comes_twice_tells_that_pages_shifted(self) -> None:
        listing = listed(page("a", "b", token="1"), page("b", "c", start=1))
        assert not listing.complete
        assert "listed twice" in listing.problem
        assert len(listing.sightings) == 3

    def test_an_order_that_goes_back_tells_it_too(self) -> None:
        listing = listed(page("a", "b", token="1", start=5), page("c"))
        assert not listing.complete
        assert "order" in listing.problem

    def test_a_cloud_that_does_not_sort_is_believed(self) -> None:
        rows = page("a", "b", "c")["Endpoints"]
        listing = listed({"Endpoints": rows[::-1]})
        assert (listing.complete, len(listing.sightings)) == (True, 3)
        newer = page("d", "e", start=9)["Endpoints"]
        listing = listed({"Endpoints": newer[::-1], "NextToken": "1"}, {"Endpoints": rows[::-1]})
        assert (listing.complete, len(listing.sightings)) == (True, 5)

    def test_a_name_twice_in_one_page_is_a_problem(self) -> None:
        listing = listed({"Endpoints": [row("a"), row("a")]})
        assert "listed twice" in listing.problem

    def test_a_token_that_comes_back_ends_the_list(self) -> None:
        listing = listed(page("a", token="1"), page("b", token="1", start=1))
        assert not listing.complete
        assert isinstance(listing.error, UnavailableError)
        assert listing.calls == 3

    @pytest.mark.parametrize("broken", [{}, {"Endpoints": None}])
    def test_a_page_without_its_list_is_no_empty_account(self, broken: dict[str, Any]) -> None:
        listing = listed(broken)
        assert not listing.complete
        assert isinstance(listing.error, UnavailableError)

    def test_a_row_without_a_name_is_admitted(self) -> None:
        listing = listed({"Endpoints": [{"EndpointStatus": "InService"}, row("a")]})
        assert not listing.complete
        assert len(listing.sightings) == 1

    def test_what_was_read_before_a_failure_is_kept(self) -> None:
        listing = listed(page("a", token="1"), refusal("ThrottlingException", "Rate exceeded"))
        assert isinstance(listing.error, ThrottledError)
        assert [item.name for item in listing.sightings] == ["a"]

    @pytest.mark.parametrize(
        ("answer", "kind"),
        [
            (refusal("AccessDeniedException", "not authorized"), CredentialsError),
            (refusal("ExpiredTokenException"), CredentialsError),
            (httpx2.ConnectError("no"), UnavailableError),
            (httpx2.Response(200, text="<html>"), UnavailableError),
        ],
    )
    def test_it_never_raises(self, answer: Any, kind: type[ProviderError]) -> None:
        listing = listed(answer)
        assert isinstance(listing.error, kind)
        assert not listing.complete


class TestAccount:
    def test_keys_of_another_account_show_nothing(self) -> None:
        wire = AwsWire(ListEndpoints=page("a")).on("sts:GetCallerIdentity", caller("9" * 12))
        listing = driver(wire).list_endpoints()
        assert isinstance(listing.error, CredentialsError)
        assert listing.sightings == ()

    def test_rows_tell_it_where_sts_is_out_of_reach(self) -> None:
        wire = AwsWire(ListEndpoints=page("a"))
        wire.on("sts:GetCallerIdentity", httpx2.ConnectError("no"))
        assert driver(wire).list_endpoints().complete
        wire.on("ListEndpoints", page())
        assert not driver(wire).list_endpoints().complete

    def test_rows_of_another_account_are_refused(self) -> None:
        stranger = row("a", EndpointArn="arn:aws:sagemaker:us-east-1:999999999999:endpoint/a")
        listing = listed({"Endpoints": [stranger]})
        assert isinstance(listing.error, CredentialsError)
        assert listing.sightings == ()

    def test_it_is_asked_once(self) -> None:
        wire = AwsWire(ListEndpoints=page("a"))
        provider = driver(wire)
        provider.list_endpoints()
        provider.list_endpoints()
        assert wire.asked == {"sts:GetCallerIdentity": 1, LIST: 2}


class TestRows:
    @pytest.mark.parametrize(
        "change",
        [
            {"EndpointStatus": "Updating"},
            {"LastModifiedTime": NOW.timestamp()},
            {"CreationTime": NOW.timestamp()},
            {"EndpointArn": f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:endpoint/b"},
        ],
    )
    def test_every_part_of_a_row_is_in_its_digest(self, change: dict[str, Any]) -> None:
        (before,) = listed({"Endpoints": [row("a")]}).sightings
        (after,) = listed({"Endpoints": [row("a", **change)]}).sightings
        assert before.digest != after.digest

    def test_a_digest_stands_still(self) -> None:
        (before,) = listed(page("a")).sightings
        (after,) = listed(page("a")).sightings
        assert before.digest == after.digest

    @pytest.mark.parametrize(
        ("status", "moving"),
        [
            ("Creating", False),
            ("Updating", True),
            ("SystemUpdating", True),
            ("RollingBack", True),
            ("Deleting", False),
            ("InService", False),
            ("Failed", False),
            ("OutOfService", False),
            ("Dreaming", False),
            (None, False),
        ],
    )
    def test_rows_behind_which_a_second_fleet_comes_up_move(
        self, status: str | None, *, moving: bool
    ) -> None:
        (sighting,) = listed({"Endpoints": [row("a", EndpointStatus=status)]}).sightings
        assert sighting.moving is moving

    def test_one_that_went_meanwhile_cannot_be_read(self) -> None:
        wire = AwsWire(ListEndpoints=page("a"))
        wire.on("DescribeEndpoint", invalid('Could not find endpoint "a".'))
        (sighting,) = driver(wire).list_endpoints().sightings
        with pytest.raises(NotFoundError):
            sighting.snapshot()


@pytest.fixture
def scene() -> SmWorld:
    return SmWorld()


class TestCost:
    def test_a_steady_pass_is_a_call_for_each_hundred(self, scene: SmWorld) -> None:
        for number in range(201):
            scene.add(f"e{number}")
        scene.driver.list_endpoints()
        scene.driver.calls()
        listing = scene.driver.list_endpoints()
        assert scene.driver.calls() == {LIST: 3}
        assert (len(listing.sightings), listing.calls, listing.complete) == (201, 3, True)

    def test_reading_all_takes_tags_and_scaling_in_bulk(self, scene: SmWorld) -> None:
        for number in range(60):
            scene.add(f"e{number}", tags={"team": f"t{number}"})
        scene.wait()
        snapshots = [item.snapshot() for item in scene.driver.list_endpoints().sightings]
        calls = scene.driver.calls()
        assert {item.name: item.tags for item in snapshots} == {
            f"e{number}": (f"team=t{number}",) for number in range(60)
        }
        assert calls["sagemaker:DescribeEndpoint"] == 60
        assert calls["resourcegroupstaggingapi:GetResources"] == 1
        assert calls.get("sagemaker:ListTags", 0) == 0
        assert calls["application-autoscaling:DescribeScalableTargets"] <= 2

    def test_what_cannot_change_is_read_once(self, scene: SmWorld) -> None:
        scene.add("chat")
        scene.wait()
        for _ in range(3):
            scene.seen("chat")
        calls = scene.driver.calls()
        assert calls["sagemaker:DescribeEndpoint"] == 3
        assert calls["sagemaker:DescribeEndpointConfig"] == 1
        assert calls["sagemaker:DescribeModel"] == 1

    def test_a_fresh_endpoint_is_asked_for_its_tags_directly(self, scene: SmWorld) -> None:
        scene.add("chat", tags={"team": "search"})
        (sighting,) = scene.driver.list_endpoints().sightings
        assert sighting.snapshot().tags == ("team=search",)
        assert scene.driver.calls()["sagemaker:ListTags"] == 1

    def test_without_the_right_to_the_bulk_each_is_asked(self, scene: SmWorld) -> None:
        for name in ("a", "b", "c"):
            scene.add(name, tags={"of": name})
        scene.wait()
        with scene.denied("tag:GetResources"):
            found = [item.snapshot() for item in scene.driver.list_endpoints().sightings]
        assert [(item.tags, item.gaps) for item in found] == [
            ((f"of={name}",), ()) for name in ("a", "b", "c")
        ]

    @pytest.mark.parametrize(
        "operation", ["GetResources", "DescribeScalableTargets", "DescribeScalingPolicies"]
    )
    @pytest.mark.parametrize(
        "fault", [error(500), aws_error("UnknownOperationException", "not here")]
    )
    def test_a_service_that_is_out_keeps_no_endpoint_from_being_seen(
        self, scene: SmWorld, operation: str, fault: Fault
    ) -> None:
        for name in ("a", "b", "c"):
            scene.add(name, tags={"of": name})
        scene.wait()
        with scene.fault(fault, operation):
            found = [item.snapshot() for item in scene.driver.list_endpoints().sightings]
        assert [item.tags for item in found] == [(f"of={name}",) for name in ("a", "b", "c")]
        assert all(item.status is Status.RUNNING for item in found)

    def test_a_row_reads_as_a_direct_look(self, scene: SmWorld) -> None:
        scene.add("chat", tags={"team": "search"})
        scene.add_component("lab", tags={"team": "lab"})
        scene.wait(minutes=20)
        for sighting in scene.driver.list_endpoints().sightings:
            assert sighting.snapshot() == scene.seen(sighting.name)


class TestOnTheCloud:
    def test_an_empty_account_is_complete(self, scene: SmWorld) -> None:
        listing = scene.driver.list_endpoints()
        assert (listing.sightings, listing.complete, listing.error) == ((), True, None)
        assert listing.cloud_time is not None

    def test_a_read_tells_the_row_of_one_that_is_created_until_it_serves(
        self, scene: SmWorld
    ) -> None:
        scene.add("chat", state=None)
        (before,) = scene.driver.list_endpoints().sightings
        seen = before.snapshot()
        assert (seen.status, seen.restless, seen.row) == (Status.INITIALIZING, True, before.digest)
        scene.wait()
        (after,) = scene.driver.list_endpoints().sightings
        seen = after.snapshot()
        assert (seen.status, seen.restless, seen.row) == (Status.RUNNING, False, after.digest)
        assert before.digest != after.digest

    def test_an_outage_in_the_middle_is_admitted(self, scene: SmWorld) -> None:
        for number in range(105):
            scene.add(f"e{number}")
        rules = [
            scene.world.faults.add(error(500), path="/ListEndpoints$", nth=nth) for nth in (2, 3, 4)
        ]
        listing = scene.driver.list_endpoints()
        for rule in rules:
            scene.world.faults.remove(rule)
        assert not listing.complete
        assert len(listing.sightings) == 100

    def test_rows_that_are_missing_are_found_by_a_direct_look(self, scene: SmWorld) -> None:
        for number in range(5):
            scene.add(f"e{number}")
        with scene.fault(partial_listing(2), "ListEndpoints"):
            names = {item.name for item in scene.driver.list_endpoints().sightings}
        assert len(names) == 3
        for number in range(5):
            assert scene.driver.get_endpoint(f"e{number}") is not None
