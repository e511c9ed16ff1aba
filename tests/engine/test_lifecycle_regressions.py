"""Histories that the simulator found, each told once more by name."""

from __future__ import annotations

from datetime import timedelta

import pytest

from orchestrator.engine.engine import Cadence
from orchestrator.services import tokens
from orchestrator.services.tokens import Scope
from orchestrator.store.database import Database
from tests.simulator.person import Answer, Asked, Person
from tests.support.aws_stage import AwsStage, open_aws_stage

CALM = Cadence(rest=timedelta(minutes=8), transition=timedelta(seconds=50), rates=timedelta(days=1))


@pytest.fixture
def stage(sqlite_database: Database) -> AwsStage:
    """Return a region with a managed endpoint that may be stopped by deleting it."""
    made = open_aws_stage(sqlite_database, cadence=CALM)
    made.add("web")
    made.run(minutes=5)
    made.adopt("web")
    made.allow("web")
    return made


def ask(stage: AwsStage, method: str, path: str, body: object) -> Answer:
    with stage.database.write() as session:
        secret = tokens.issue(
            session,
            name="bea",
            scope=Scope.ADMIN,
            expires_at=None,
            actor="test",
            now=stage.clock.now(),
        ).secret
    return Person(secret).send(stage.context, Asked(method, path, body))


class TestRefusals:
    def test_a_leave_that_is_refused_before_its_transaction_is_on_record(
        self, stage: AwsStage
    ) -> None:
        stage.click("pause", "web")
        stage.run(minutes=30)
        path = f"/v1/endpoints/{stage.endpoint('web').id}/allow-recreate"
        answer = ask(stage, "PUT", path, {"digest": "none", "reason": "fine"})
        assert (answer.status, answer.code) == (409, "paused_by_deletion")
        told = stage.events("request.refused")
        assert [(event.actor, event.data["code"]) for event in told] == [
            ("bea", "paused_by_deletion")
        ]
