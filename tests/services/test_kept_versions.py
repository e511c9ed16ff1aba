"""A rule that is saved and replaced between two passes is kept as it was each time."""

from __future__ import annotations

from datetime import timedelta

import pytest

from orchestrator.domain.schedules.text import parse_window
from orchestrator.services import policies, scheduling
from orchestrator.services.scheduling import Parts
from orchestrator.services.selectors import Selector
from orchestrator.store import history
from orchestrator.store.database import Database
from tests.support.stage import Stage, open_stage


@pytest.fixture
def stage(sqlite_database: Database) -> Stage:
    stage = open_stage(sqlite_database)
    stage.add("chat")
    stage.step()
    stage.adopt("chat")
    stage.step()
    return stage


def versions(stage: Stage, rule_id: str) -> list[int]:
    with stage.database.read() as session:
        return [row.version for row in history.revisions_of(session, rule_id)]


def test_each_version_of_a_schedule_is_kept_when_it_is_saved(stage: Stage) -> None:
    def draft(window: str) -> scheduling.Draft:
        windows = scheduling.make("Europe/Berlin", Parts(windows=[parse_window(window)]))
        return scheduling.Draft("Office", windows, Selector(account_id=stage.account.id))

    with stage.database.write() as session:
        made = scheduling.create(session, draft("mon-fri 08:00-18:00"), stage.asked()).schedule
    stage.clock.set(stage.clock.now() + timedelta(seconds=5))
    with stage.database.write() as session:
        row = scheduling.find(session, made.id)
        scheduling.replace(session, row, draft("mon-fri 09:00-18:00"), stage.asked())
    assert versions(stage, made.id) == [1, 2]
    stage.step()
    assert versions(stage, made.id) == [1, 2]  # a pass knows it by the same digest


def test_each_version_of_an_idle_policy_is_kept_when_it_is_saved(stage: Stage) -> None:
    def draft(minutes: int) -> policies.Draft:
        return policies.Draft("Nap", minutes, 5, "pause", Selector(account_id=stage.account.id))

    with stage.database.write() as session:
        made = policies.create(session, draft(20), stage.asked()).policy
    with stage.database.write() as session:
        policies.replace(session, policies.find(session, made.id), draft(40), stage.asked())
    stage.step()
    assert versions(stage, made.id) == [1, 2]
