"""The demo's past: a day with both clouds, lived through by the real engine and drivers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import select

from orchestrator import logs
from orchestrator.cli import demo, demo_story
from orchestrator.sandbox.fleet_aws import AWS_ACCOUNT, AWS_REGIONS, COMPONENTS, LLAMA_70B
from orchestrator.sandbox.journal import Journal
from orchestrator.sandbox.world import World
from orchestrator.store.database import Database
from orchestrator.store.tables import Account, Endpoint, Event, MeterInterval, Operation

# A Thursday evening: office hours have ended, and the 70B model with them.
EVENING = datetime(2026, 11, 19, 18, 30, tzinfo=UTC)
DAYS = 1


@dataclass(frozen=True)
class Past:
    """What is left of a history: the store and the world."""

    database: Database
    world: World

    def endpoint(self, name: str) -> Endpoint:
        with self.database.read() as session:
            return session.exec(select(Endpoint).where(Endpoint.name == name)).one()

    def events(self, kind: str) -> list[str]:
        with self.database.read() as session:
            return [
                event.message for event in session.exec(select(Event).where(Event.kind == kind))
            ]


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Past]:
    logs.configure("error")
    with pytest.MonkeyPatch.context() as patch:
        for variable in demo_story.VARIABLES.values():
            patch.setenv(variable, "")
        demo.set_credentials()
        folder = demo.DemoFolder(tmp_path_factory.mktemp("demo") / "kept")
        folder.reset()
        settings = demo.demo_settings(folder, 8080)
        demo.make_history(folder, settings, DAYS, until=EVENING)
    database = Database(settings.database_url)
    yield Past(database, Journal(folder.world).load())
    database.dispose()


def test_both_clouds_are_connected_and_well(past: Past) -> None:
    with past.database.read() as session:
        accounts = {row.name: row for row in session.exec(select(Account))}
    assert set(accounts) == {
        *demo_story.NAMESPACES,
        *(f"aws-{region}" for region in AWS_REGIONS),
    }
    assert {row.health for row in accounts.values()} == {"ok"}


def test_the_70b_was_deleted_to_pause_it_with_its_owners_leave(past: Past) -> None:
    row = past.endpoint(LLAMA_70B)
    assert (row.status, row.allow_recreate, row.billed_high) == ("paused", True, 0)
    assert row.kept["digest"]
    assert LLAMA_70B not in past.world.aws.place(AWS_ACCOUNT, AWS_REGIONS[0]).endpoints
    assert any(LLAMA_70B in message for message in past.events("endpoint.recreate_allowed"))


def test_the_component_slept_and_woke_by_itself(past: Past) -> None:
    told = [text for text in past.events("endpoint.status_changed") if COMPONENTS in text]
    assert any("to scaled_to_zero" in text for text in told)
    assert any("to running" in text for text in told)
    with past.database.read() as session:
        asked = select(Operation).where(Operation.endpoint_name == COMPONENTS)
        assert session.exec(asked).all() == []


def test_what_nobody_claimed_and_what_cannot_be_handled_is_only_observed(past: Past) -> None:
    for name in ("workshop-gpu-34b", "hackathon-8b", "rerank-compare", "intake-forms"):
        assert not past.endpoint(name).managed, name
    assert past.endpoint("rerank-compare").observe_only
    assert past.endpoint("translate-trainium").managed


def test_the_bill_of_aws_lies_inside_the_ledger(past: Past) -> None:
    low, high = _bounds(past)
    billed: defaultdict[tuple[str, str], int] = defaultdict(int)
    start, now = EVENING - timedelta(days=DAYS), past.world.now
    for line in past.world.aws.bill(AWS_ACCOUNT, None, start, now):
        part = "disk" if line.product == "gp2" else "compute"
        billed[line.name, part] += line.nano_usd
    assert {key for key, amount in billed.items() if amount} <= high.keys()
    for key, amount in billed.items():
        assert low[key] <= amount <= high[key], key
    assert sum(high.values()) - sum(low.values()) < sum(billed.values()) / 50


def _bounds(past: Past) -> tuple[dict[tuple[str, str], int], dict[tuple[str, str], int]]:
    """Return the least and most by endpoint and component, in nano-dollars."""
    low: defaultdict[tuple[str, str], int] = defaultdict(int)
    high: defaultdict[tuple[str, str], int] = defaultdict(int)
    with past.database.read() as session:
        query = select(MeterInterval, Endpoint.name).join(Endpoint).join(Account)
        for row, name in session.exec(query.where(Account.provider == "sagemaker")):
            seconds = int(((row.ended_at or past.world.now) - row.started_at).total_seconds())
            low[name, row.component] += (row.burn_low or 0) * seconds // 3600 - row.rounding_nano
            high[name, row.component] += (
                (row.burn_high or 0) * seconds // 3600 + row.rounding_nano + 1
            )
    return low, high


def test_the_story_of_a_longer_past_connects_aws_before_its_end() -> None:
    start = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)
    scenes = demo_story.scenes(start, start + timedelta(days=15))
    times = [scene.at for scene in scenes]
    assert times == sorted(times)
    assert start + timedelta(days=15 - demo_story.AWS_DAYS) in times
    assert start in [scene.at for scene in demo_story.scenes(start, start + timedelta(days=5))]
