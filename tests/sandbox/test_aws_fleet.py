"""The AWS side of the demo's fleet is what it says it is, also to the real driver."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import boto3
import pytest

from orchestrator.sandbox.aws.place import Place
from orchestrator.sandbox.fleet import demo_world
from orchestrator.sandbox.fleet_aws import (
    AWS_ACCOUNT,
    AWS_KEY,
    AWS_REGIONS,
    AWS_SECRET,
    COMPONENTS,
    LLAMA_70B,
    WITHOUT_CAPACITY,
)
from orchestrator.sandbox.record import encode
from orchestrator.sandbox.server import SandboxServer
from orchestrator.sandbox.world import World
from tests.sandbox.scene import START

HOME, AWAY = AWS_REGIONS
WEEK = timedelta(days=7)


@pytest.fixture
def world() -> World:
    return demo_world(START)


def place(world: World, region: str = HOME) -> Place:
    return world.aws.place(AWS_ACCOUNT, region)


def variants(world: World, name: str) -> list[dict[str, Any]]:
    found = place(world).configs[name].document["ProductionVariants"]
    assert isinstance(found, list)
    return found


def tags(world: World, name: str) -> dict[str, str]:
    return dict(place(world).endpoints[name].tags)


def test_has_a_dozen_endpoints_in_one_region_and_a_forgotten_one_in_another(world: World) -> None:
    assert 12 <= len(place(world).endpoints) <= 14
    (forgotten,) = place(world, AWAY).endpoints.values()
    assert forgotten.tags == {}
    assert forgotten.demand.traffic is None


def test_has_neuron_gpu_and_cpu_machines(world: World) -> None:
    types = {
        one.instance_type for found in place(world).endpoints.values() for one in found.variants
    }
    assert types >= {"ml.inf2.48xlarge", "ml.inf2.8xlarge", "ml.trn1.2xlarge", "ml.m5.xlarge"}
    assert sum(kind.startswith(("ml.g5.", "ml.g6.", "ml.g6e.")) for kind in types) >= 4


def test_all_images_are_of_their_own_region(world: World) -> None:
    for region in AWS_REGIONS:
        for model in place(world, region).models.values():
            assert f".ecr.{region}." in model.document["PrimaryContainer"]["Image"]


def test_the_70b_is_as_large_as_it_is_in_the_world(world: World) -> None:
    (variant,) = variants(world, LLAMA_70B)
    assert variant["InstanceType"] == "ml.inf2.48xlarge"
    assert variant["VolumeSizeInGB"] == 512
    assert variant["ContainerStartupHealthCheckTimeoutInSeconds"] == 3600
    assert place(world).endpoints[LLAMA_70B].startup_s == 32 * 60


def test_the_70b_is_the_dearest(world: World) -> None:
    world.advance_to(START + timedelta(days=1))
    cost: Counter[str] = Counter()
    for line in world.aws.bill(AWS_ACCOUNT, None, START):
        cost[line.name] += line.nano_usd
    (dearest, most), (_, second) = cost.most_common(2)
    assert dearest == LLAMA_70B
    assert most > 2 * second


def test_what_is_only_observed_is_there(world: World) -> None:
    assert len(variants(world, "rerank-compare")) == 2
    assert "ServerlessConfig" in variants(world, "intake-forms")[0]
    stack = "aws:cloudformation:stack-name"
    assert [name for name in place(world).endpoints if stack in tags(world, name)] == [
        "contracts-14b"
    ]


def test_some_name_a_team_and_some_do_not(world: World) -> None:
    named = [bool(tags(world, name).get("team")) for name in place(world).endpoints]
    assert named.count(True) >= 8
    assert named.count(False) >= 2


def test_the_one_without_capacity_stays_without(world: World) -> None:
    found = place(world).endpoints[WITHOUT_CAPACITY]
    assert found.status == "Failed"
    assert "InsufficientInstanceCapacity" in found.stretch.failure
    world.aws.call(AWS_ACCOUNT, HOME, "DeleteEndpoint", EndpointName=WITHOUT_CAPACITY)
    world.advance_to(START + timedelta(hours=1))
    again = {"EndpointName": WITHOUT_CAPACITY, "EndpointConfigName": WITHOUT_CAPACITY}
    world.aws.call(AWS_ACCOUNT, HOME, "CreateEndpoint", **again)
    world.advance_to(START + timedelta(hours=2))
    assert place(world).endpoints[WITHOUT_CAPACITY].status == "Failed"


def test_the_component_sleeps_and_wakes_with_its_traffic(world: World) -> None:
    world.advance_to(START + WEEK)
    component = place(world).components[f"{COMPONENTS}-model"]
    copies = [one.current for one in component.placements]
    wakes = sum(before == 0 < after for before, after in itertools.pairwise(copies))
    assert wakes >= 5


def test_one_scales_by_its_load(world: World) -> None:
    world.advance_to(START + WEEK)
    counts = {
        one.instances
        for stretch in place(world).endpoints["support-chat-8b"].stretches
        for one in stretch.variants
    }
    assert counts >= {1, 2}


def test_it_comes_back_from_a_snapshot(world: World) -> None:
    world.advance_to(START + timedelta(days=1))
    again = World.restore(world.snapshot())
    for each in (world, again):
        each.advance_to(START + timedelta(days=3))
    assert encode(again.snapshot()) == encode(world.snapshot())


@pytest.fixture
def url(world: World) -> Iterator[str]:
    with SandboxServer(world) as server:
        yield server.url


def test_its_key_opens_it_over_http(url: str) -> None:
    session = boto3.Session(aws_access_key_id=AWS_KEY, aws_secret_access_key=AWS_SECRET)
    client = session.client("sagemaker", region_name=AWAY, endpoint_url=url)
    (row,) = client.list_endpoints()["Endpoints"]
    assert row["EndpointName"] == "hackathon-8b"
    client.close()
