"""The watch over updates can fail: one that its cloud never had is seen, on both clouds."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlmodel import Session, select

from orchestrator.domain.endpoints import EndpointChange
from orchestrator.services import creation
from orchestrator.store import migrate
from orchestrator.store.database import Database
from orchestrator.store.tables import Endpoint, Operation
from tests.simulator.bystander import Bystander
from tests.simulator.watch_updates import UpdateWatch
from tests.support.aws_stage import AWS_ACCOUNT, REGION, open_aws_stage
from tests.support.stage import NAMESPACE, Stage, open_stage


def played(folder: Path, cloud: str, *, broken: bool) -> tuple[Stage, UpdateWatch]:
    """Play one update; return the watch, which has not looked at its end yet."""
    path = folder / "store.db"
    database = Database(f"sqlite:///{path}", durable=False)
    migrate.upgrade(database)
    if cloud == "sagemaker":
        stage: Stage = open_aws_stage(database)
        stage.add("chat", startup_s=60)
    else:
        stage = open_stage(database)
        stage.add("chat", startup_s=60)
    stage.run(minutes=3)
    stage.adopt("chat")
    watch = UpdateWatch(Bystander(path), stage.world, stage.clock.now())
    if broken and cloud == "sagemaker":
        stage.world.aws.break_starts(AWS_ACCOUNT, REGION, "chat", "fail")
    elif broken:
        stage.world.break_starts(NAMESPACE, "chat", "fail")
    with database.write() as session:
        row = session.get_one(Endpoint, stage.endpoint("chat").id)
        creation.request_update(
            session, row, EndpointChange(environment={"MODE": "new"}), stage.asked()
        )
    watch.check(stage.clock.now())
    stage.run(minutes=40)
    return stage, watch


def say_it_succeeded(session: Session) -> None:
    operation = session.exec(select(Operation)).one()
    assert operation.status == "failed"
    operation.status = "succeeded"
    session.add(operation)


@pytest.mark.parametrize("cloud", ["huggingface", "sagemaker"])
def test_an_update_that_its_cloud_never_had_is_seen(tmp_path: Path, cloud: str) -> None:
    stage, watch = played(tmp_path, cloud, broken=True)
    with stage.database.write() as session:
        say_it_succeeded(session)
    with pytest.raises(AssertionError, match="never was as was asked"):
        watch.check(stage.clock.now())


@pytest.mark.parametrize("cloud", ["huggingface", "sagemaker"])
def test_one_that_it_has_is_no_fault(tmp_path: Path, cloud: str) -> None:
    stage, watch = played(tmp_path, cloud, broken=False)
    assert stage.operations("chat")[0].status == "succeeded"
    watch.check(stage.clock.now())
    assert list(watch.since.values()) == [None]
