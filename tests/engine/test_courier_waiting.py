"""Warnings that must be told and concern nobody: they wait for a target as long as it matters."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlmodel import select

from orchestrator.engine.courier import KEPT_FOR, Courier
from orchestrator.store import events
from orchestrator.store.database import Database
from orchestrator.store.tables import Notice
from tests.support.stage import Stage, open_stage


@pytest.fixture
def stage(sqlite_database: Database) -> Stage:
    stage = open_stage(sqlite_database)
    stage.context.settings = stage.context.settings.with_overrides(require_delivered_warnings=True)
    stage.add("search")
    stage.step()
    stage.adopt("search")
    with stage.database.write() as session:
        events.record(
            session,
            at=stage.clock.now(),
            kind="endpoint.deletion_announced",
            actor="ada",
            message="search is deleted tomorrow",
            account_id=stage.account.id,
            endpoint_id=stage.endpoint("search").id,
        )
    return stage


def waits(stage: Stage, after: timedelta) -> bool:
    Courier(stage.context).run(stage.clock.now() + after)
    with stage.database.read() as session:
        found = session.exec(select(Notice).where(Notice.kind == "endpoint.deletion_announced"))
        return any(one.expanded_at is None for one in found)


def change(stage: Stage, name: str) -> None:
    with stage.database.write() as session:
        row = session.merge(stage.endpoint("search"))
        setattr(row, name, stage.clock.now())


LONG = KEPT_FOR + timedelta(days=1)


def test_a_warning_of_a_deletion_that_is_due_waits_however_long(stage: Stage) -> None:
    change(stage, "delete_after")
    assert waits(stage, LONG)


def test_a_warning_of_one_that_was_called_off_waits_a_month(stage: Stage) -> None:
    assert waits(stage, timedelta(days=1))
    assert not waits(stage, LONG)


def test_a_warning_of_what_is_gone_does_not_wait(stage: Stage) -> None:
    change(stage, "deleted_at")
    assert not waits(stage, timedelta(0))
