"""Answers of a strange form, through the whole engine, on both clouds."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import select

from orchestrator.providers.huggingface import listing as hf_listing
from orchestrator.providers.sagemaker import listing as sm_listing
from orchestrator.sandbox import faults
from orchestrator.sandbox.faults import Fault
from orchestrator.store.database import Database
from orchestrator.store.tables import Endpoint
from tests.support.aws_stage import open_aws_stage
from tests.support.stage import Stage, open_stage

FLEET = 7
OPEN: dict[str, Callable[[Database], Stage]] = {
    "huggingface": open_stage,
    "sagemaker": open_aws_stage,
}
READ = {"huggingface": r"/endpoint/acme/e", "sagemaker": "/DescribeEndpoint$"}
LIST = {"huggingface": r"/endpoint/acme$", "sagemaker": "/ListEndpoints$"}
NAME = {"huggingface": "name", "sagemaker": "EndpointName"}
COUNT = {
    "huggingface": "status.readyReplica",
    "sagemaker": "ProductionVariants.0.CurrentInstanceCount",
}
STRANGE: list[Any] = ["7", [], {}, None, -1, 1.5, math.nan, math.inf, 1e308, 10**30, True]


@pytest.fixture(params=OPEN)
def cloud(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def stage(cloud: str, sqlite_database: Database) -> Stage:
    made = OPEN[cloud](sqlite_database)
    for number in range(FLEET):
        made.add(f"e{number}")
    return made


def rows(stage: Stage) -> list[tuple[str, str]]:
    with stage.database.read() as session:
        return sorted((row.name, row.status) for row in session.exec(select(Endpoint)))


ALL = [(f"e{number}", "running") for number in range(FLEET)]


@pytest.mark.parametrize("fault", [faults.shifting_pages(), faults.shifting_pages(repeat=True)])
def test_pages_that_shift_lose_and_double_nothing(
    stage: Stage, cloud: str, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hf_listing, "PAGE_LIMIT", 2)
    monkeypatch.setattr(sm_listing, "PAGE_LIMIT", 2)
    stage.run(minutes=2)
    assert rows(stage) == ALL
    stage.world.faults.add(fault, path=LIST[cloud])
    stage.run(minutes=6)
    assert rows(stage) == ALL
    assert stage.events("endpoint.deleted") == []


def test_an_answer_about_another_endpoint_is_no_answer(stage: Stage, cloud: str) -> None:
    stage.run(minutes=2)
    stage.world.faults.add(faults.empty_listing(), path=LIST[cloud])
    stage.world.faults.add(faults.wrong_type(NAME[cloud], "other"), path=READ[cloud])
    stage.run(minutes=20)
    assert rows(stage) == ALL
    stage.world.faults.clear()
    stage.run(minutes=5)
    assert rows(stage) == ALL


def test_numbers_and_types_that_cannot_be_stop_nobody(stage: Stage, cloud: str) -> None:
    stage.run(minutes=2)
    for value in STRANGE:
        stage.world.faults.add(faults.wrong_type(COUNT[cloud], value, name="e1"))
        stage.clock.set(stage.clock.now() + timedelta(minutes=16))
        stage.step()
        stage.world.faults.clear()
    stage.clock.set(stage.clock.now() + timedelta(minutes=16))
    stage.step()
    assert rows(stage) == ALL
    assert stage.events("account.failing") == []


def test_a_configuration_that_was_answered_without_its_variants_is_asked_for_again(
    sqlite_database: Database,
) -> None:
    """They tell what it hosts; without them its copies would go unseen for as long as we run."""
    stage = open_aws_stage(sqlite_database)
    stage.world.faults.add(
        faults.missing_field("ProductionVariants"), path="/DescribeEndpointConfig$", count=1
    )
    stage.add_component("chat")
    stage.run(minutes=8)
    stage.adopt("chat")
    stage.run(minutes=2)
    stage.click("pause", "chat")
    stage.run(minutes=20)
    assert stage.operations("chat")[-1].status == "succeeded"
    assert stage.endpoint("chat").status == "paused"
    assert stage.intervals("chat")[-1].replicas_high == 0
