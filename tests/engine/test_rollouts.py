"""Updates while both fleets may be billed: the ledger holds the bill, and says what doubled it."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from datetime import timedelta
from itertools import pairwise
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from orchestrator.costs.observe import UPDATE
from orchestrator.costs.report import cost_report
from orchestrator.domain.endpoints import EndpointChange, Hardware
from orchestrator.engine.engine import Cadence
from orchestrator.sandbox.aws.errors import AwsError
from orchestrator.sandbox.aws.switches import AwsSwitches
from orchestrator.sandbox.messages import ApiError
from orchestrator.sandbox.switches import Switches
from orchestrator.services import creation
from orchestrator.services.errors import ServiceError
from orchestrator.store import migrate
from orchestrator.store.database import Database
from orchestrator.store.tables import Endpoint, MeterInterval
from tests.support.aws_stage import AWS_ACCOUNT, REGION, AwsStage, open_aws_stage
from tests.support.stage import NAMESPACE, Stage, open_stage

MINUTES = Cadence(
    rest=timedelta(seconds=60), transition=timedelta(seconds=20), rates=timedelta(days=1)
)
# A history takes a second or two.
EXAMPLES = 3
FEW = settings(
    max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow], phases=[Phase.generate]
)
TYPES = ("nvidia-l4", "nvidia-a10g", "nvidia-a100", "nvidia-t4")
MACHINES = ("ml.inf2.8xlarge", "ml.inf2.xlarge", "ml.g5.2xlarge", "ml.g6.xlarge")
Step = tuple[Literal["hand", "ours", "same", "fail", "pause", "resume", "run"], int, int]

steps = st.lists(
    st.tuples(
        st.sampled_from(["hand", "ours", "same", "fail", "pause", "resume", "run"]),
        st.integers(0, 3),
        # Long enough that every fleet is looked at once.
        st.integers(65, 300),
    ),
    min_size=2,
    max_size=4,
)


@FEW
@given(
    switches=st.builds(
        Switches,
        initializing_billed=st.booleans(),
        update_doubles_billing=st.booleans(),
        draining_billed=st.booleans(),
        pending_billed=st.just(value=False),
        minute_rounding=st.sampled_from(["exact", "up"]),
    ),
    played=steps,
    seed=st.integers(1, 50),
)
def test_the_bill_of_updates_lies_within_the_ledger(
    switches: Switches, played: list[Step], seed: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/store.db", durable=False)
        migrate.upgrade(database)
        stage = open_stage(database, switches=switches, cadence=MINUTES, seed=seed)
        stage.add("web", max_replica=2)
        stage.run(minutes=2)
        stage.adopt("web")
        for step in played:
            play(stage, step)
            stage.run(seconds=step[2])
        stage.run(minutes=3)
        stage.step()
        check_ledger(stage, sum(line.nano_usd for line in stage.bill()))
        database.dispose()


def check_ledger(stage: Stage, billed: int) -> None:
    """The components have no gap and no overlap, and the bill lies inside their band."""
    now = stage.clock.now()
    with stage.database.read() as session:
        total = cost_report(session, start=stage.started, end=now, now=now).total
    by_component: dict[str, list[MeterInterval]] = {}
    for row in stage.intervals("web"):
        by_component.setdefault(row.component, []).append(row)
    for found in by_component.values():
        assert all(one.ended_at == two.started_at for one, two in pairwise(found)), found
    assert total.low - 2 <= billed <= total.high + 2, (total, billed)


def play(stage: Stage, step: Step) -> None:
    verb, number, _ = step
    stage.world.advance_to(stage.clock.now())
    with suppress(ApiError, ServiceError):  # what is refused in this state changes nothing
        if verb in ("hand", "fail"):
            if verb == "fail":
                stage.world.break_starts(NAMESPACE, "web", "fail")
            payload: dict[str, Any] = {
                "compute": {"instanceType": TYPES[number], "instanceSize": "x1"}
            }
            stage.world.act(NAMESPACE, "web", "update", payload=payload)
        elif verb == "same":
            payload = {"model": {"env": {"ROUND": str(stage.clock.now())}}}
            stage.world.act(NAMESPACE, "web", "update", payload=payload)
        elif verb == "ours":
            wanted = EndpointChange(hardware=Hardware("aws", "us-east-1", TYPES[number], "x1"))
            ask(stage, wanted)
        elif verb in ("pause", "resume"):
            stage.world.act(NAMESPACE, "web", verb)


def ask(stage: Stage, wanted: EndpointChange) -> None:
    with stage.database.write() as session:
        row = session.get_one(Endpoint, stage.endpoint("web").id)
        creation.request_update(session, row, wanted, stage.asked())


@FEW
@given(
    switches=st.builds(
        AwsSwitches,
        creating_billed=st.sampled_from(["free", "instances", "wanted"]),
        failed_billed=st.booleans(),
        deleting_billed=st.booleans(),
        updating_bills_both=st.booleans(),
        failed_update=st.sampled_from(["InService", "Failed", "UpdateRollbackFailed"]),
    ),
    played=steps,
    seed=st.integers(1, 50),
)
def test_the_bill_of_blue_green_updates_lies_within_the_ledger(
    switches: AwsSwitches, played: list[Step], seed: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/store.db", durable=False)
        migrate.upgrade(database)
        stage = open_aws_stage(database, switches=switches, cadence=MINUTES, seed=seed)
        stage.add("web", instance_type=MACHINES[0], volume_gb=50)
        stage.run(minutes=2)
        stage.adopt("web")
        for turn, step in enumerate(played):
            play_aws(stage, step, turn)
            stage.run(seconds=step[2])
        stage.run(minutes=3)
        stage.step()
        check_ledger(stage, sum(line.nano_usd for line in stage.aws_bill()))
        database.dispose()


def play_aws(stage: AwsStage, step: Step, turn: int) -> None:
    verb, number, _ = step
    with suppress(AwsError, ServiceError):
        if verb in ("hand", "same", "fail"):
            if verb == "fail":
                stage.world.aws.break_starts(AWS_ACCOUNT, REGION, "web", "fail")
            machine = MACHINES[0] if verb == "same" else MACHINES[number]
            deploy(stage, f"web-{turn}", machine, volume_gb=(30, 50, 80, 120)[number])
        elif verb == "ours":
            ask(
                stage,
                EndpointChange(hardware=Hardware("sagemaker", REGION, MACHINES[number], "x1")),
            )


def deploy(stage: AwsStage, config: str, machine: str, *, volume_gb: int) -> None:
    """Update the endpoint by hand, to a new configuration on other hardware and disks."""
    current = stage.call("DescribeEndpoint", EndpointName="web")["EndpointConfigName"]
    known = stage.call("DescribeEndpointConfig", EndpointConfigName=current)
    variant = {**known["ProductionVariants"][0], "InstanceType": machine}
    local = machine.startswith(("ml.g5", "ml.g6"))
    variant.pop("VolumeSizeInGB", None)
    if not local:
        variant["VolumeSizeInGB"] = volume_gb
    stage.call("CreateEndpointConfig", EndpointConfigName=config, ProductionVariants=[variant])
    stage.call("UpdateEndpoint", EndpointName="web", EndpointConfigName=config)


def lines(stage: Stage) -> dict[str, int]:
    """Return what was metered by component, in nano-dollars."""
    now = stage.clock.now()
    with stage.database.read() as session:
        report = cost_report(session, start=stage.started, end=now, now=now, group_by="component")
    return {line.key: line.figure.high for line in report.items}


def test_the_new_fleet_is_a_line_of_its_own_at_its_own_price(sqlite_database: Database) -> None:
    stage = open_aws_stage(sqlite_database, cadence=MINUTES)
    stage.add("web", instance_type=MACHINES[0], volume_gb=50, startup_s=600)
    stage.run(minutes=2)
    deploy(stage, "web-2", MACHINES[1], volume_gb=80)
    stage.run(minutes=4)
    rows = {row.component: row for row in stage.intervals("web") if row.ended_at is None}
    assert rows["compute"].hardware_key == f"sagemaker/{REGION}/{MACHINES[0]}/x1"
    assert rows[UPDATE].hardware_key == f"sagemaker/{REGION}/{MACHINES[1]}/x1"
    assert (rows[UPDATE].replicas_low, rows[UPDATE].replicas_high) == (0, 1)
    assert (rows["update_disk"].units, rows["update_disk"].replicas_high) == (80, 80)
    stage.run(minutes=30)
    over = {row.component: row for row in stage.intervals("web") if row.ended_at is None}
    assert over["compute"].hardware_key == f"sagemaker/{REGION}/{MACHINES[1]}/x1"
    assert (over[UPDATE].replicas_high, over["update_disk"].replicas_high) == (0, 0)
    assert lines(stage)[UPDATE] > 0


@pytest.mark.parametrize("fails", [False, True])
def test_what_serves_keeps_its_price_until_it_is_gone(
    sqlite_database: Database, *, fails: bool
) -> None:
    switches = Switches(update_doubles_billing=True)
    stage = open_stage(sqlite_database, switches=switches, cadence=MINUTES)
    stage.add("web", startup_s=150)
    stage.run(minutes=2)
    if fails:
        stage.world.break_starts(NAMESPACE, "web", "fail")
    play(stage, ("hand", 2, 0))
    stage.run(seconds=65)
    rows = {row.component: row for row in stage.intervals("web") if row.ended_at is None}
    assert "nvidia-l4" in rows["compute"].hardware_key
    assert "nvidia-a100" in rows[UPDATE].hardware_key
    stage.run(minutes=30)
    rows = {row.component: row for row in stage.intervals("web") if row.ended_at is None}
    assert ("nvidia-l4" in rows["compute"].hardware_key) is fails
    stage.step()
    check_ledger(stage, sum(line.nano_usd for line in stage.bill()))
