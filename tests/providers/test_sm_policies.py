"""The IAM policies against the calls that are made: nothing missing, nothing superfluous."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from importlib.resources import files
from typing import Any

import botocore.session
import pytest

from orchestrator.domain.endpoints import EndpointChange, Hardware, Scaling
from orchestrator.providers.account import ProviderAccount, ProviderHooks
from orchestrator.providers.base import BusyError, Provider
from orchestrator.providers.registry import make_provider
from orchestrator.providers.sagemaker.components import components_to_zero
from orchestrator.providers.sagemaker.contract import read_contract
from orchestrator.providers.sagemaker.creating import create
from orchestrator.providers.sagemaker.deleting import delete
from orchestrator.providers.sagemaker.desk import Desk
from orchestrator.providers.sagemaker.pausing import pause
from orchestrator.providers.sagemaker.restoring import restore, resume
from orchestrator.providers.sagemaker.rights import CHANGES, READS
from orchestrator.providers.sagemaker.updating import update
from orchestrator.sandbox.aws.access import action
from orchestrator.sandbox.aws.operations import HANDLERS
from tests.providers.sm_cloud import ACCOUNT, KEY, REGION, SmCloud, a_component, a_spec
from tests.providers.sm_rich import make_rich

LEVELS = ("scan", "observe", "manage")
# Rights that AWS asks for within a call, and one that every key has.
IMPLIED = {"iam:PassRole", "iam:CreateServiceLinkedRole"}
FREE = {"sts:GetCallerIdentity"}
KNOWN = {action(*key) for key in HANDLERS}


def policy(level: str) -> dict[str, Any]:
    text = files("orchestrator.providers.sagemaker").joinpath("iam", f"{level}.json").read_text()
    found: dict[str, Any] = json.loads(text)
    return found


def actions(level: str) -> set[str]:
    statements = policy(level)["Statement"]
    return {action for statement in statements for action in statement["Action"]}


def used(cloud: SmCloud) -> set[str]:
    """The rights that the calls so far have needed."""
    parts = [call.path.rsplit("/", 2)[-2:] for call in cloud.world.calls]
    return {action(service, operation) for service, operation in parts} - FREE


def limited(level: str) -> SmCloud:
    """An account with a classic endpoint and a component, whose key has one of the policies."""
    cloud = SmCloud()
    make_rich(cloud, secret=True)
    cloud.create(a_component(name="small"), minutes=6)
    cloud.aws.deny(ACCOUNT, *(KNOWN - actions(level)))
    cloud.world.calls.clear()
    return cloud


def provider(cloud: SmCloud) -> Provider:
    hooks = ProviderHooks(
        clock=cloud,
        resolve=lambda _: f"{KEY}:secret-of-the-sandbox",
        sleep=lambda _: None,
        transport=cloud,
    )
    return make_provider(ProviderAccount("1", "main", "sagemaker", ACCOUNT, REGION, "env:X"), hooks)


class TestFiles:
    """They are valid, and each has all of the one before."""

    @pytest.mark.parametrize("level", LEVELS)
    def test_every_action_is_one_of_aws(self, level: str) -> None:
        services = {
            "tag": "resourcegroupstaggingapi",
            "servicequotas": "service-quotas",
        }
        session = botocore.session.get_session()
        for name in actions(level) - IMPLIED:
            prefix, operation = name.split(":")
            model = session.get_service_model(services.get(prefix, prefix))
            assert operation in model.operation_names

    def test_each_level_adds_to_the_one_before(self) -> None:
        scan, observe, manage = (actions(level) for level in LEVELS)
        assert scan < observe < manage

    @pytest.mark.parametrize("level", LEVELS)
    def test_no_action_is_named_twice_or_by_pattern(self, level: str) -> None:
        named = [name for row in policy(level)["Statement"] for name in row["Action"]]
        assert len(named) == len(set(named))
        assert not any("*" in name for name in named)
        assert policy(level)["Version"] == "2012-10-17"

    @pytest.mark.parametrize("level", ["scan", "observe"])
    def test_looking_cannot_change_anything(self, level: str) -> None:
        verbs = ("Describe", "List", "Get")
        assert all(name.split(":")[1].startswith(verbs) for name in actions(level))

    def test_a_scan_cannot_read_environments(self) -> None:
        assert "sagemaker:DescribeModel" not in actions("scan")

    def test_roles_are_passed_to_sagemaker_alone(self) -> None:
        rows = {row["Sid"]: row for row in policy("manage")["Statement"]}
        assert rows["PassExecutionRole"]["Action"] == ["iam:PassRole"]
        assert rows["PassExecutionRole"]["Condition"] == {
            "StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}
        }
        others = [row for row in rows.values() if row["Sid"] != "PassExecutionRole"]
        assert not any("iam:PassRole" in row["Action"] for row in others)

    def test_what_is_asked_about_is_what_is_given(self) -> None:
        asked = {probe.action for probe in (*READS, *CHANGES)}
        assert asked == actions("manage") - {"iam:CreateServiceLinkedRole"}


class TestLooking:
    """With each policy the driver sees what that level promises."""

    @staticmethod
    def scan(driver: Provider) -> None:
        assert driver.identity().problems == ()
        listing = driver.list_endpoints()
        assert listing.complete
        prices = {offer.hardware.key: offer.nano_per_hour for offer in driver.hardware()}
        for row in listing.sightings:
            snapshot = row.snapshot()
            assert snapshot.billed.expected >= 1
            assert prices[snapshot.hardware.key]

    def test_scan(self) -> None:
        cloud = limited("scan")
        self.scan(provider(cloud))
        assert actions("scan") <= used(cloud)

    def test_observe(self) -> None:
        cloud = limited("observe")
        driver = provider(cloud)
        self.scan(driver)
        now = cloud.now()
        driver.usage(["demo", "small"], now - timedelta(hours=1), now)
        for name in ("demo", "small"):
            snapshot = driver.get_endpoint(name)
            assert snapshot is not None
            assert snapshot.gaps == ()
        assert used(cloud) == actions("observe")

    def test_quotas_and_models_need_the_second_level(self) -> None:
        cloud = limited("scan")
        snapshot = provider(cloud).get_endpoint("demo")
        assert snapshot is not None
        assert any("model" in gap for gap in snapshot.gaps)


class TestChanging:
    """Everything that the driver does, with the rights of the policy and no other."""

    def test_manage(self) -> None:
        cloud = limited("manage")
        desk = replace(cloud.desk, rights=lambda _, __: ())
        driver = provider(cloud)
        driver.identity()
        TestLooking.scan(driver)
        driver.usage(["demo"], cloud.now() - timedelta(hours=1), cloud.now())
        for flow in FLOWS:
            for _ in flow(desk, cloud):
                cloud.wait(6)
        assert used(cloud) == actions("manage") - IMPLIED


def _classic(desk: Desk, _: SmCloud) -> Iterator[None]:
    create(desk, a_spec(name="new", scaling=Scaling(1, 2)))
    yield
    create(desk, a_spec(name="new", scaling=Scaling(1, 2)))
    yield
    update(desk, "new", EndpointChange(scaling=Scaling(2, 2)))
    yield
    smaller = Hardware("sagemaker", REGION, "ml.inf2.xlarge", "x1")
    update(desk, "new", EndpointChange(hardware=smaller, tags=("a=b",), environment={}))
    yield
    delete(desk, "new", {})


def _recreated(desk: Desk, _: SmCloud) -> Iterator[None]:
    kept = read_contract(desk, "demo").document
    pause(desk, "demo", kept)
    yield
    resume(desk, "demo", kept)
    yield
    restore(desk, "demo", kept)


def _component(desk: Desk, cloud: SmCloud) -> Iterator[None]:
    for _ in range(3):
        create(desk, a_component(name="other", scaling=Scaling(0, 2)))
        yield
    update(desk, "other", EndpointChange(environment={"MODE": "b"}))
    yield
    components_to_zero(desk, "other")
    yield
    pause(desk, "other", {})
    yield
    resume(desk, "other", {})
    yield
    for _ in range(4):
        try:
            delete(desk, "other", {})
        except BusyError:
            cloud.wait(6)


FLOWS: tuple[Callable[[Desk, SmCloud], Iterator[None]], ...] = (_classic, _recreated, _component)
