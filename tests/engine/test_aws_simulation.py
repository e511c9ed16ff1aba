"""Random histories over a cloud that can only stop most endpoints by deleting them.

The same promises as in `test_simulation`: the ledger holds the bill, nothing is lost or made
twice, everything reaches its wish, and what was never adopted is never touched.
"""

from __future__ import annotations

import os
import tempfile
from collections import defaultdict
from datetime import timedelta

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from sqlmodel import select

from orchestrator.costs.report import cost_report
from orchestrator.engine.engine import Cadence
from orchestrator.sandbox import faults
from orchestrator.sandbox.aws.errors import AwsError
from orchestrator.sandbox.aws.switches import AwsSwitches
from orchestrator.store import migrate
from orchestrator.store.tables import Endpoint, MeterInterval
from tests.engine.test_simulation import (
    Act,
    History,
    MortalDatabase,
    check_explained,
    check_seams,
    settled,
)
from tests.support.aws_stage import GONE, AwsStage, open_aws_stage

# A history takes some seconds; `make soak` plays many more of them.
EXAMPLES = 500 if os.environ.get("HYPOTHESIS_PROFILE") == "soak" else 12
CLASSIC, COMPONENT, FOREIGN = "web", "vision", "foreign"
NAMES = (CLASSIC, COMPONENT, FOREIGN)
FAULTS = (
    faults.timeout_before(),
    faults.timeout_after(),
    faults.drop_before(),
    faults.drop_after(),
    faults.truncate(),
    faults.error(500),
    faults.error(503, after_commit=True),
    faults.error(400, "ThrottlingException"),
)
CHANGING = (
    "(Create|Delete|Update)(Endpoint|InferenceComponentRuntimeConfig)$",
    "(AddTags|RegisterScalableTarget|PutScalingPolicy)$",
)

acts = st.one_of(
    st.builds(Act, st.just("run"), number=st.integers(5, 90)),
    st.builds(
        Act,
        st.just("click"),
        st.sampled_from([CLASSIC, COMPONENT]),
        st.sampled_from(["pause", "resume"]),
    ),
    st.builds(Act, st.just("by_hand"), st.sampled_from(NAMES), number=st.integers(0, 2)),
    st.builds(Act, st.just("fault"), number=st.integers(0, len(FAULTS) - 1), flag=st.booleans()),
    st.builds(Act, st.just("die_at_call"), number=st.integers(1, 25), flag=st.booleans()),
    st.builds(Act, st.just("die_at_commit"), number=st.integers(1, 14), flag=st.booleans()),
    st.builds(Act, st.just("down"), number=st.integers(1, 60)),
)
switches = st.builds(
    AwsSwitches,
    creating_billed=st.sampled_from(["free", "instances", "wanted"]),
    deleting_billed=st.booleans(),
    updating_bills_both=st.booleans(),
    config_lag_s=st.sampled_from([0.0, 20.0]),
)


class AwsHistory(History):
    """The acts that are other calls in this cloud."""

    stage: AwsStage

    def _by_hand(self, act: Act) -> None:
        """Somebody scales or tags it in the cloud's own console.

        A count that somebody sets is looked at before anything else happens: more instances than
        any look saw are bounded by nothing.
        """
        self.stage.world.faults.clear()
        try:
            if act.name == COMPONENT or act.number == 0:
                arn = self.stage.call("DescribeEndpoint", EndpointName=act.name)["EndpointArn"]
                tag = {"Key": "touched", "Value": str(act.number)}
                self.stage.call("AddTags", ResourceArn=arn, Tags=[tag])
            else:
                wanted = {"VariantName": "AllTraffic", "DesiredInstanceCount": act.number}
                self.stage.call(
                    "UpdateEndpointWeightsAndCapacities",
                    EndpointName=act.name,
                    DesiredWeightsAndCapacities=[wanted],
                )
        except AwsError as refused:
            event(f"by hand refused: {refused.code}")
        self.stage.run(minutes=15)

    def _fault(self, act: Act) -> None:
        fault = FAULTS[act.number]
        event(f"fault: {fault.kind}")
        path = CHANGING[0] if act.flag else None
        self.stage.world.faults.add(fault, path=path, count=2)


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
@given(switches=switches, history=st.lists(acts, min_size=5, max_size=16))
def test_promises_hold_where_a_stop_is_a_deletion(
    switches: AwsSwitches, history: list[Act]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = MortalDatabase(f"sqlite:///{folder}/store.db", durable=False)
        try:
            stage = _prepared(database, switches)
            teller = AwsHistory(stage, database)
            for act in history:
                teller.play(act)
            teller.calm_down()
            event(f"deaths: {min(stage.deaths, 5)}")
            check_ledger(stage)
            check_convergence(stage)
            assert stage.changes(FOREIGN) == []
            check_explained(stage)
        finally:
            database.dispose()


def _prepared(database: MortalDatabase, switches: AwsSwitches) -> AwsStage:
    migrate.upgrade(database)
    cadence = Cadence(rest=timedelta(minutes=4), transition=timedelta(seconds=30))
    stage = open_aws_stage(database, switches=switches, cadence=cadence)
    stage.add(CLASSIC, instance_type="ml.inf2.8xlarge", volume_gb=100, tags={"team": "web"})
    stage.add_component(COMPONENT)
    stage.add(FOREIGN, instance_type="ml.g5.xlarge")
    stage.run(minutes=1)
    stage.adopt(CLASSIC, COMPONENT)
    stage.allow(CLASSIC)
    stage.schedule(
        selector={"endpoint": stage.endpoint(CLASSIC).id}, windows_text=["daily 01:00-03:10"]
    )
    return stage


def check_ledger(stage: AwsStage) -> None:
    """I1: no overlap, no gap, and the bill inside the band."""
    now = stage.clock.now()
    with stage.database.read() as session:
        report = cost_report(session, start=stage.started, end=now, now=now)
        rows = session.exec(select(MeterInterval).order_by(MeterInterval.started_at)).all()  # type: ignore[arg-type]  # a column
        names = {row.id: row.name for row in session.exec(select(Endpoint))}
    check_seams(rows)
    billed: dict[str, int] = defaultdict(int)
    for line in stage.aws_bill():
        billed[line.name] += line.nano_usd
    for item in report.items:
        figure, name = item.figure, names[item.key]
        assert figure.low - 2 <= billed[name] <= figure.high + 2, (name, figure, billed[name])


def check_convergence(stage: AwsStage) -> None:
    """Each is in the cloud as it is stored: away and kept, or there and nothing kept."""
    for row in settled(stage, NAMES):
        away = row.name == CLASSIC and row.status == "paused"
        assert (stage.state(row.name) == GONE) is away, row.name
        assert bool(row.kept) is (row.status == "paused"), row.name
