"""The rest of an endpoint's life on AWS: creating, idling, being found again by an empty store."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestrator.costs.report import cost_report
from orchestrator.domain.endpoints import EndpointSpec, Hardware, Scaling
from orchestrator.engine.engine import Cadence, Engine
from orchestrator.providers.account import ProviderAccount, ProviderHooks
from orchestrator.providers.sagemaker.factory import make_sagemaker
from orchestrator.sandbox import faults
from orchestrator.sandbox.traffic import Traffic
from orchestrator.services import adoption, creation, deletion, running
from orchestrator.store import migrate
from orchestrator.store.database import Database
from orchestrator.store.ids import new_id
from orchestrator.store.tables import Account, Endpoint
from tests.support.aws_stage import AWS_ACCOUNT, KEY, REGION, AwsStage, open_aws_stage
from tests.support.stage import Killed

CALM = Cadence(rest=timedelta(minutes=8), transition=timedelta(seconds=50), rates=timedelta(days=1))
ROLE = f"arn:aws:iam::{AWS_ACCOUNT}:role/sagemaker-execution"
IMAGE = (
    "763104351884.dkr.ecr.us-east-1.amazonaws.com/huggingface-pytorch-tgi-inference:"
    "2.7.0-optimum3.3.6-neuronx-py310-ubuntu22.04"
)


@pytest.fixture
def stage(sqlite_database: Database) -> AwsStage:
    return open_aws_stage(sqlite_database, cadence=CALM)


def spec(**changes: Any) -> EndpointSpec:
    chosen: dict[str, Any] = {
        "name": "chat",
        "repository": "org/model-1b",
        "hardware": Hardware("sagemaker", REGION, "ml.inf2.8xlarge", "x1", "neuron"),
        "scaling": Scaling(1, 1),
        "image": {"uri": IMAGE},
        "environment": {
            "HF_NUM_CORES": "2",
            "HF_AUTO_CAST_TYPE": "bf16",
            "MAX_BATCH_SIZE": "4",
            "MAX_INPUT_TOKENS": "3686",
            "MAX_TOTAL_TOKENS": "4096",
        },
        "tags": ("team=search",),
        "options": {"execution_role": ROLE},
        **changes,
    }
    return EndpointSpec(**chosen)


def create(stage: AwsStage, wanted: EndpointSpec) -> None:
    stage.run(minutes=5)  # the price list has been read
    warnings = creation.checked(stage.context, stage.account, wanted)
    with stage.database.write() as session:
        creation.request_create(
            session,
            session.get_one(Account, stage.account.id),
            wanted,
            stage.asked(),
            labels={"team": "search"},
            owner="ana",
            warnings=warnings,
        )


class TestCreating:
    def test_what_is_created_comes_up_and_is_managed(self, stage: AwsStage) -> None:
        create(stage, spec())
        stage.run(hours=1)
        row = stage.endpoint("chat")
        assert (row.status, row.managed, row.owner) == ("running", True, "ana")
        assert row.hardware_key == f"sagemaker/{REGION}/ml.inf2.8xlarge/x1"
        (operation,) = stage.operations("chat")
        assert operation.status == "succeeded"

    @pytest.mark.parametrize(
        "lost", ["CreateModel", "CreateEndpointConfig", "CreateEndpoint", "DescribeEndpoint"]
    )
    @pytest.mark.parametrize(
        "fault", [faults.drop_after(), faults.timeout_before(), faults.error(500)]
    )
    def test_it_is_made_once_whatever_is_lost(
        self, stage: AwsStage, lost: str, fault: faults.Fault
    ) -> None:
        stage.world.faults.add(fault, path=f"/{lost}$", count=2)
        create(stage, spec())
        stage.run(hours=1)
        assert stage.endpoint("chat").status == "running"
        assert stage.changes() == ["chat create"]
        place = stage.aws.place(AWS_ACCOUNT, REGION)
        assert (len(place.models), len(place.configs), len(place.endpoints)) == (1, 1, 1)

    def test_a_component_is_made_in_its_steps(self, stage: AwsStage) -> None:
        gpu = "huggingface-pytorch-tgi-inference:2.7.0-tgi3.3.6-gpu-py311-cu124-ubuntu22.04"
        wanted = spec(
            name="vision",
            hardware=Hardware("sagemaker", REGION, "ml.g5.xlarge", "x1", "gpu"),
            image={"uri": f"763104351884.dkr.ecr.us-east-1.amazonaws.com/{gpu}"},
            environment={},
            scaling=Scaling(0, 2, 15),
            options={
                "execution_role": ROLE,
                "inference_components": True,
                "min_memory_mb": 1024,
            },
        )
        create(stage, wanted)
        stage.run(minutes=25)
        row = stage.endpoint("vision")
        assert (row.status, row.unfinished, row.stop, row.to_zero) == (
            "running",
            "",
            "pause",
            True,
        )
        (operation,) = stage.operations("vision")
        assert operation.status == "succeeded"
        stage.run(hours=2)  # nobody calls it: its own target tracking sends it to zero
        assert stage.endpoint("vision").status == "scaled_to_zero"

    def test_a_start_without_capacity_is_made_again(self, stage: AwsStage) -> None:
        stage.aws.exhaust_capacity(REGION, "ml.inf2.8xlarge")
        create(stage, spec())
        stage.run(hours=3)
        (operation,) = stage.operations("chat")
        assert operation.status in ("running", "confirming")
        assert operation.outcome.startswith("waiting for capacity")
        stage.aws.restore_capacity(REGION, "ml.inf2.8xlarge")
        stage.run(hours=2)
        assert stage.endpoint("chat").status == "running"
        assert stage.operations("chat")[0].status == "succeeded"

    def test_deleting_it_leaves_nothing_of_ours(self, stage: AwsStage) -> None:
        create(stage, spec())
        stage.run(hours=1)
        with stage.database.write() as session:
            deletion.request_delete(
                session, stage.row(session, "chat"), stage.asked(), confirm="chat"
            )
        stage.run(hours=1)
        assert stage.endpoint("chat").status == "deleted"
        place = stage.aws.place(AWS_ACCOUNT, REGION)
        assert (len(place.models), len(place.configs), len(place.endpoints)) == (0, 0, 0)


class TestIdling:
    def quiet(self, stage: AwsStage, **changes: Any) -> None:
        stage.add("chat", traffic=None)
        stage.run(minutes=2)
        stage.adopt("chat")
        stage.allow("chat")
        stage.idle_policy(30, action="pause", **changes)

    def test_what_nobody_calls_is_paused_where_its_owner_opted_in(self, stage: AwsStage) -> None:
        self.quiet(stage)
        stage.run(hours=2)
        assert stage.endpoint("chat").status == "paused"
        (operation,) = stage.operations("chat")
        assert operation.rule.startswith("idle")
        assert "counts" in operation.reason

    def test_what_is_called_stays_awake(self, stage: AwsStage) -> None:
        stage.add("chat", traffic=Traffic.recorded("m-large-066", seed=3))
        stage.run(minutes=2)
        stage.adopt("chat")
        stage.allow("chat")
        stage.idle_policy(30, action="pause")
        stage.run(hours=6)
        assert stage.changes() == []

    def test_denied_metrics_prove_nothing(self, stage: AwsStage) -> None:
        stage.aws.deny(AWS_ACCOUNT, "cloudwatch:GetMetricData")
        self.quiet(stage)
        stage.run(hours=6)
        assert stage.changes() == []

    def test_to_zero_is_refused_where_no_request_wakes_it(self, stage: AwsStage) -> None:
        stage.add("chat")
        stage.run(minutes=2)
        stage.adopt("chat")
        stage.idle_policy(30)
        stage.run(hours=3)
        assert stage.changes() == []
        assert "no request could wake it" in stage.events("decision.refused")[0].message

    def test_what_reading_costs_is_stored_and_stays_under_its_cap(self, stage: AwsStage) -> None:
        self.quiet(stage)
        stage.run(minutes=10)
        with stage.database.read() as session:
            watch = session.get_one(Account, stage.account.id).usage_watch
        assert watch["endpoints"] == 1
        assert 0 < watch["month_nano"] <= watch["cap_nano"]


def test_an_empty_store_finds_what_another_has_paused(stage: AwsStage, tmp_path: Path) -> None:
    stage.add("chat", instance_type="ml.inf2.8xlarge", startup_s=60)
    stage.run(minutes=2)
    stage.adopt("chat")
    stage.allow("chat")
    stage.click("pause", "chat")
    stage.run(hours=1)
    fresh = Database(f"sqlite:///{tmp_path}/fresh.db", durable=False)
    try:
        migrate.upgrade(fresh)
        second = reopened(stage, fresh)
        second.run(minutes=5)
        row = second.endpoint("chat")
        assert (row.status, row.managed, row.stop) == ("paused", False, "recreate")
        assert "before this store knew of it" in second.events("endpoint.recovered")[0].message
        with fresh.write() as session:
            held = session.get_one(Endpoint, row.id)
            adoption.adopt(session, held, second.asked())
        second.click("resume", "chat")
        second.run(hours=1)
        assert second.endpoint("chat").status == "running"
        assert second.endpoint("chat").kept == {}
    finally:
        fresh.dispose()


def reopened(stage: AwsStage, database: Database) -> AwsStage:
    """Return the same cloud under another store, as after a loss of the first."""
    context = stage.context
    context.database = database
    account = Account(
        **{**stage.account.model_dump(), "id": new_id("acc", stage.clock.now())}
        | {"confirmed_at": None, "observed_at": None}
    )
    with database.write() as session:
        session.add(account)
    engine = Engine(context, stage.cadence)
    return AwsStage(
        database,
        stage.world,
        stage.clock,
        engine,
        context,
        account,
        stage.wire,
        stage.cadence,
        stage.started,
    )


def test_figures_of_components_reach_to_their_own_last_read(stage: AwsStage) -> None:
    """A listing tells nothing of copies that come and go, so it vouches for none."""
    stage.add_component("vision")
    stage.step()
    stage.step()
    read_at = stage.endpoint("vision").confirmed_at
    stage.clock.set(stage.clock.now() + timedelta(seconds=60))
    stage.engine.nudge()
    stage.step()
    now = stage.clock.now()
    assert stage.endpoint("vision").confirmed_at == read_at < now
    with stage.database.read() as session:
        report = cost_report(session, start=stage.started, end=now, now=now)
    assert report.measured_until == read_at


def test_what_others_delete_as_soon_as_it_is_found_is_not_made_again(
    sqlite_database: Database,
) -> None:
    """We died over its creation, a part of which is still due, and find it twenty minutes later."""
    stage = open_aws_stage(sqlite_database, cadence=CALM, seed=15)
    create(stage, spec(scaling=Scaling(1, 3)))
    stage.wire.after = lambda request: request.headers.get("x-amz-target", "").endswith(
        "CreateEndpoint"
    )
    with pytest.raises(Killed):
        stage.step()
    stage.wire.after = lambda _: False
    stage.clock.set(stage.clock.now() + timedelta(minutes=20))
    stage.restart()
    stage.step()
    assert stage.endpoint("chat").unfinished
    stage.clock.set(stage.clock.now() + timedelta(seconds=3))
    stage.call("DeleteEndpoint", EndpointName="chat")
    stage.run(minutes=30)
    assert stage.changes("chat") == ["chat create"]
    assert stage.operations("chat")[-1].status == "failed"
    assert stage.endpoint("chat").deleted_at is not None


def test_what_a_refused_creation_has_made_after_all_is_ours(stage: AwsStage) -> None:
    """AWS said that it was throttled, and carried it out: it bears our mark."""
    create(stage, spec())
    fault = faults.aws_error("ThrottlingException", after_commit=True)
    stage.world.faults.add(fault, path="/CreateEndpoint$", count=1)
    stage.run(hours=1)
    assert stage.changes("chat") == ["chat create"]
    assert stage.operations("chat")[-1].status == "succeeded"
    assert stage.endpoint("chat").managed


def test_a_refused_creation_that_is_cancelled_is_looked_for_before_it_ends(
    stage: AwsStage,
) -> None:
    """It was carried out after all, and bills: so it is found, and deleted."""
    create(stage, spec())
    fault = faults.aws_error("ThrottlingException", after_commit=True)
    stage.world.faults.add(fault, path="/CreateEndpoint$", count=1)
    stage.step()
    with stage.database.write() as session:
        running.cancel(session, stage.operations("chat")[0].id, stage.asked("a mistake"))
    stage.run(hours=1)
    assert stage.changes("chat") == ["chat create", "chat delete"]
    ended = {operation.kind: operation.status for operation in stage.operations("chat")}
    assert ended == {"create": "cancelled", "delete": "succeeded"}


def test_what_another_installation_has_made_is_not_taken_for_ours(stage: AwsStage) -> None:
    """It made the same at the same time, while our call was lost."""
    create(stage, spec())
    stage.world.faults.add(faults.timeout_before(), path="/CreateEndpoint$", count=1)
    stage.step()
    hooks = ProviderHooks(
        clock=stage.clock,
        resolve=lambda _: f"{KEY}:secret-of-the-stage",
        transport=stage.wire,
        digest_key=b"k" * 32,
        installation="store_of_others",
    )
    account = ProviderAccount("acc", "theirs", "sagemaker", AWS_ACCOUNT, REGION, "env:THEIRS")
    make_sagemaker(account, hooks).create_endpoint(spec())
    stage.run(minutes=30)
    assert stage.changes("chat") == ["chat create"]  # theirs
    operation = stage.operations("chat")[0]
    assert (operation.status, operation.outcome) == ("failed", "the name chat is taken")
    assert not stage.endpoint("chat").managed
