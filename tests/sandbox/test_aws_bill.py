"""The bill of the simulated AWS."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from decimal import Decimal

import pytest

from orchestrator.sandbox.aws.bill import AwsBillLine
from orchestrator.sandbox.aws.switches import AwsSwitches
from tests.sandbox.aws_scene import ACCOUNT, INF, REGION, AwsScene


def _seconds(aws: AwsScene, product: str = INF) -> dict[str, int]:
    found: Counter[str] = Counter()
    for line in aws.aws.bill(ACCOUNT):
        if line.product == product:
            found[line.status] += line.unit_seconds
    return dict(found)


def _cost(lines: list[AwsBillLine]) -> int:
    return sum(line.nano_usd for line in lines)


def test_an_hour_of_inf2() -> None:
    aws = AwsScene()
    aws.add(volume_gb=512, count=2)
    aws.pass_time(hours=1)
    lines = {line.usage_type: line for line in aws.aws.bill(ACCOUNT, REGION)}
    assert lines["USE1-Host:ml.inf2.xlarge"].nano_usd == 1_980_000_000
    disk = lines["USE1-Host:VolumeUsage.gp2"]
    assert (disk.units, disk.unit_seconds) == (1024, 1024 * 3600)
    assert disk.nano_usd == round(Decimal("0.14") * 1024 * 10**9 / 730)
    assert aws.aws.bill(ACCOUNT, "eu-west-1") == []


def test_a_type_with_its_own_disk_has_no_volume() -> None:
    aws = AwsScene()
    aws.add(instance_type="ml.g5.xlarge", environment={"HF_MODEL_ID": "acme/chat-1b"})
    aws.pass_time(hours=1)
    assert {line.product for line in aws.aws.bill(ACCOUNT)} == {"ml.g5.xlarge"}


def test_nothing_while_paused_by_delete() -> None:
    aws = AwsScene()
    aws.add()
    aws.pass_time(hours=1)
    aws.call("DeleteEndpoint", EndpointName="chat")
    aws.pass_time(hours=9)
    aws.call("CreateEndpoint", EndpointName="chat", EndpointConfigName="chat")
    aws.settle()
    aws.pass_time(hours=1)
    found = _seconds(aws)
    assert 7200 <= found["InService"] <= 7206
    assert found.keys() == {"InService", "Creating"}


@pytest.mark.parametrize(
    ("way", "low", "high"), [("free", 0, 0), ("instances", 90, 150), ("wanted", 200, 205)]
)
def test_creating(way: str, low: int, high: int) -> None:
    aws = AwsScene(AwsSwitches(creating_billed=way))  # type: ignore[arg-type] # parametrized
    aws.add(state=None, startup_s=200)
    aws.settle()
    assert low <= _seconds(aws).get("Creating", 0) <= high


@pytest.mark.parametrize("billed", [False, True])
def test_failed_and_deleting(billed: bool) -> None:
    aws = AwsScene(AwsSwitches(failed_billed=billed, deleting_billed=billed))
    aws.aws.break_starts(ACCOUNT, REGION, "chat", "fail")
    aws.add(state=None)
    aws.settle()
    aws.pass_time(hours=1)
    aws.call("DeleteEndpoint", EndpointName="chat")
    aws.pass_time(hours=1)
    found = _seconds(aws)
    assert ("Failed" in found, "Deleting" in found) == (billed, billed)


@pytest.mark.parametrize(("both", "fleets"), [(True, 2), (False, 1)])
def test_updating(both: bool, fleets: int) -> None:
    aws = AwsScene(AwsSwitches(updating_bills_both=both))
    aws.add(startup_s=300)
    document = aws.call("DescribeEndpointConfig", EndpointConfigName="chat")
    rows = document["ProductionVariants"]
    aws.call("CreateEndpointConfig", EndpointConfigName="new", ProductionVariants=rows)
    aws.call("UpdateEndpoint", EndpointName="chat", EndpointConfigName="new")
    aws.pass_time(seconds=200)
    last = aws.aws.bill(ACCOUNT, start=aws.world.now - timedelta(seconds=10))
    assert sum(one.unit_seconds for one in last if one.product == INF) == 10 * fleets


def test_a_price_change_cuts_the_line() -> None:
    aws = AwsScene()
    aws.add()
    at = aws.world.now + timedelta(minutes=30)
    aws.aws.set_price(REGION, INF, Decimal("1.99"), at=at)
    aws.pass_time(hours=1)
    lines = [line for line in aws.aws.bill(ACCOUNT) if line.product == INF]
    assert [(line.usd, line.unit_seconds) for line in lines] == [
        (Decimal("0.99"), 1800),
        (Decimal("1.99"), 1800),
    ]
    assert _cost(lines) == 1_490_000_000


def test_an_unknown_price_is_not_zero() -> None:
    aws = AwsScene()
    aws.add(instance_type="ml.trn2.48xlarge")
    aws.pass_time(hours=1)
    line = next(one for one in aws.aws.bill(ACCOUNT) if one.product == "ml.trn2.48xlarge")
    assert (line.usd, line.unit_seconds) == (None, 3600)


def test_parts_add_up() -> None:
    aws = AwsScene()
    aws.add_component()
    aws.add()
    aws.pass_time(hours=3)
    middle = aws.world.now - timedelta(minutes=100, seconds=7)
    whole = sum(one.unit_seconds for one in aws.aws.bill(ACCOUNT))
    parts = [*aws.aws.bill(ACCOUNT, end=middle), *aws.aws.bill(ACCOUNT, start=middle)]
    assert sum(one.unit_seconds for one in parts) == whole
