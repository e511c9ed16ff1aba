"""What survives of the simulated AWS: snapshots, and the journal."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.sandbox.aws.calls import AwsCall
from orchestrator.sandbox.aws.endpoints import describe_endpoint
from orchestrator.sandbox.aws.errors import AwsError
from orchestrator.sandbox.journal import Journal
from orchestrator.sandbox.record import replay
from orchestrator.sandbox.traffic import Traffic
from orchestrator.sandbox.world import World
from tests.sandbox.aws_scene import ACCOUNT, INF, REGION, AwsScene

_COMPONENT = {"InferenceComponentName": "lab-model"}
_TARGET = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "inference-component/lab-model",
    "ScalableDimension": "sagemaker:inference-component:DesiredCopyCount",
}
_CALLS: list[tuple[str, str, dict[str, Any]]] = [
    ("DeleteEndpoint", "sagemaker", {"EndpointName": "chat"}),
    ("CreateEndpoint", "sagemaker", {"EndpointName": "chat", "EndpointConfigName": "chat"}),
    ("UpdateEndpoint", "sagemaker", {"EndpointName": "chat", "EndpointConfigName": "more"}),
    (
        "UpdateEndpointWeightsAndCapacities",
        "sagemaker",
        {
            "EndpointName": "chat",
            "DesiredWeightsAndCapacities": [
                {"VariantName": "AllTraffic", "DesiredInstanceCount": 2}
            ],
        },
    ),
    (
        "UpdateInferenceComponentRuntimeConfig",
        "sagemaker",
        {**_COMPONENT, "DesiredRuntimeConfig": {"CopyCount": 0}},
    ),
    (
        "UpdateInferenceComponentRuntimeConfig",
        "sagemaker",
        {**_COMPONENT, "DesiredRuntimeConfig": {"CopyCount": 2}},
    ),
    (
        "InvokeEndpoint",
        "sagemaker-runtime",
        {"EndpointName": "lab", **_COMPONENT, "Body": b"\x00{}"},
    ),
    (
        "PutScheduledAction",
        "application-autoscaling",
        {**_TARGET, "ScheduledActionName": "plan", "Schedule": "rate(20 minutes)"},
    ),
    (
        "RegisterScalableTarget",
        "application-autoscaling",
        {**_TARGET, "MinCapacity": 1, "SuspendedState": {"DynamicScalingOutSuspended": True}},
    ),
    ("DeleteInferenceComponent", "sagemaker", _COMPONENT),
    ("DescribeEndpoint", "sagemaker", {"EndpointName": "chat"}),
]
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.floats(0, 1500)),
        st.tuples(st.just("call"), st.integers(0, len(_CALLS) - 1)),
        st.tuples(st.just("world"), st.integers(0, 5)),
    ),
    max_size=14,
)


def _scene() -> AwsScene:
    scene = AwsScene()
    scene.add(traffic=Traffic.recorded("m-mid-098", seed=3))
    scene.add("more", count=2, state="paused-by-delete")
    scene.add_component(traffic=Traffic.recorded("m-mid-098", seed=4))
    return scene


def _take(scene: AwsScene, step: tuple[str, Any]) -> None:
    match step:
        case "wait", seconds:
            scene.pass_time(seconds=seconds)
        case "call", number:
            operation, service, params = _CALLS[number]
            scene.aws.call(ACCOUNT, REGION, operation, service, **params)
        case "world", number:
            _disturb(scene, number)


def _disturb(scene: AwsScene, number: int) -> None:
    aws, now = scene.aws, scene.world.now
    match number:
        case 0:
            aws.exhaust_capacity(REGION, INF, until=now + timedelta(minutes=9))
        case 1:
            aws.restore_capacity(REGION, INF)
        case 2:
            aws.break_starts(ACCOUNT, REGION, "chat", "fail")
        case 3:
            aws.set_price(REGION, INF, Decimal("0.91"), at=now)
        case 4:
            aws.deny(ACCOUNT, "sagemaker:CreateEndpoint")
        case 5:
            aws.set_quota(ACCOUNT, REGION, INF, 1)


def _state(world: World) -> str:
    return json.dumps(world.snapshot(), sort_keys=True)


@given(_STEPS)
def test_snapshot_restores_the_same_world(steps: list[tuple[str, Any]]) -> None:
    scene = _scene()
    for step in steps:
        with suppress(AwsError):
            _take(scene, step)
    copy = World.restore(json.loads(_state(scene.world)))
    assert _state(copy) == _state(scene.world)
    later = scene.world.now + timedelta(hours=3)
    copy.advance_to(later)
    scene.world.advance_to(later)
    assert _state(copy) == _state(scene.world)
    assert copy.aws.bill(ACCOUNT) == scene.aws.bill(ACCOUNT)


@given(_STEPS)
def test_journal_replays_to_the_same_world(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, Any]]
) -> None:
    path = tmp_path_factory.mktemp("journal") / "world.jsonl"
    scene = _scene()
    Journal(path).attach(scene.world)
    for step in steps:
        with suppress(AwsError):
            _take(scene, step)
    copy = Journal(path).load()
    copy.advance_to(scene.world.now)
    assert _state(copy) == _state(scene.world)


def test_journal_writes_changes_and_what_left_a_trace(tmp_path: Path) -> None:
    path = tmp_path / "world.jsonl"
    scene = AwsScene()
    Journal(path).attach(scene.world)
    scene.add_component(state="zero")
    scene.call("ListEndpoints")
    scene.refused("DeleteEndpoint", EndpointName="nobody")
    request = {"EndpointName": "lab", **_COMPONENT, "Body": b"{}"}
    scene.refused("InvokeEndpoint", "sagemaker-runtime", **request)
    lines = [json.loads(line) for line in path.read_text().splitlines()[1:]]
    assert [line["op"] for line in lines] == ["aws.add_component_endpoint", "aws.apply"]


def test_replay_calls_nothing_but_recorded_changes() -> None:
    scene = AwsScene()
    for name in ("aws.run_until", "aws.nothing", "nobody.apply", "seed.apply"):
        with pytest.raises(ValueError, match="not a recorded change"):
            replay(scene.world, {"op": name, "args": [1], "with": {}})


def test_a_snapshot_without_aws_is_still_read() -> None:
    state = AwsScene().world.snapshot()
    del state["aws"]
    assert World.restore(state).aws.accounts == {}


def test_reads_can_show_the_past() -> None:
    scene = _scene()
    before = scene.world.instant
    scene.pass_time(hours=1)
    scene.call("DeleteEndpoint", EndpointName="chat")
    scene.pass_time(minutes=5)
    call = AwsCall(
        cloud=scene.aws,
        account=scene.aws.accounts[ACCOUNT],
        region=REGION,
        service="sagemaker",
        operation="DescribeEndpoint",
        params={"EndpointName": "chat"},
        instant=before,
        past=True,
    )
    assert describe_endpoint(call)["EndpointStatus"] == "InService"
    scene.refused("DescribeEndpoint", EndpointName="chat")
