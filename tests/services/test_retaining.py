"""How long things are kept: what is old goes, what the present rests on stays."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import col, select

from orchestrator.clock import ManualClock
from orchestrator.services import retaining
from orchestrator.services.context import Context, ProviderPool
from orchestrator.settings import Settings
from orchestrator.store import retention
from orchestrator.store.database import Database
from orchestrator.store.idempotency import IdempotentAnswer
from orchestrator.store.tables import (
    ApiToken,
    EndpointFacts,
    Event,
    Hold,
    MeterInterval,
    Operation,
    UsageSample,
    WebSession,
)
from tests.support.rows import NOON, account, endpoint, interval, operation

NOW = NOON + timedelta(days=500)
OLD, NEW = NOON, NOW - timedelta(days=1)


def never() -> bool:
    return False


@pytest.fixture
def context(database: Database) -> Context:
    with database.write() as session:
        session.add(account())
        session.flush()
        session.add(endpoint())
        session.add(endpoint("other"))
    pool = ProviderPool(lambda _: pytest.fail("no cloud is asked"))
    return Context(database, ManualClock(NOW), Settings(), pool)


Row = Operation | MeterInterval | Event | Hold | IdempotentAnswer | EndpointFacts


def add(context: Context, *rows: Row) -> None:
    with context.database.write() as session:
        session.add_all(rows)


def event(message: str, **values: Any) -> Event:
    given = {"at": OLD, "kind": "endpoint.seen", "actor": "engine", "endpoint_id": "ep_search"}
    return Event(message=message, **{**given, **values})


def drop(context: Context, **keep: int) -> dict[str, int]:
    settings = context.settings.with_overrides(**keep)
    narrowed = Context(context.database, context.clock, settings, context.providers)
    return retaining.drop_old(narrowed, NOW, never)


def messages(context: Context) -> list[str]:
    with context.database.read() as session:
        query = select(Event).where(Event.kind != "retention.dropped").order_by(col(Event.id))
        return [row.message for row in session.exec(query)]


def ids(context: Context) -> set[str]:
    with context.database.read() as session:
        return set(session.exec(select(Operation.id)))


def test_old_events_go_but_the_newest_of_each_kind_stays(context: Context) -> None:
    add(
        context,
        event("old"),
        event("last seen"),
        event("of the other", endpoint_id="ep_other"),
        event("account 1", endpoint_id=None, account_id="acc_lab", kind="account.ok"),
        event("account 2", endpoint_id=None, account_id="acc_lab", kind="account.ok"),
        event("everywhere", endpoint_id=None, kind="account.ok"),
        event("new", at=NEW, kind="other.kind"),
    )
    assert drop(context)["event"] == 2
    assert messages(context) == ["last seen", "of the other", "account 2", "everywhere", "new"]


def test_events_of_work_under_way_stay(context: Context) -> None:
    add(context, operation(1), operation(2, endpoint_id="ep_other", status="failed"))
    add(context, event("a", operation_id="op_1"), event("b", operation_id="op_2"), event("c"))
    drop(context)
    assert messages(context) == ["a", "c"]


def test_old_operations_go_but_not_the_last_nor_what_is_under_way(context: Context) -> None:
    ended = {"status": "succeeded", "finished_at": OLD}
    add(
        context,
        operation(1, **ended),
        operation(2, **ended),
        operation(3, status="running"),
        operation(4, **ended, endpoint_id="ep_other"),
        operation(5, **ended, endpoint_id=None, kind="create"),
        operation(6, status="failed", finished_at=NEW, endpoint_id=None),
    )
    assert drop(context)["operation"] == 3
    assert ids(context) == {"op_3", "op_4", "op_6"}


def test_a_key_that_may_be_repeated_keeps_its_operation_and_its_answer(context: Context) -> None:
    yesterday = {"status": "failed", "finished_at": NOW - timedelta(days=2), "endpoint_id": None}
    made = NOW - timedelta(days=3)
    add(
        context,
        operation(1, **yesterday, created_at=made, idempotency_key="k"),
        operation(2, **yesterday, created_at=made),
        *(
            IdempotentAnswer(
                actor="ada", key=f"{days}", request_digest="", status=200, body={}, created_at=at
            )
            for days in (6, 8)
            for at in (NOW - timedelta(days=days),)
        ),
    )
    drop(context, keep_operations_days=1)
    assert ids(context) == {"op_1"}
    with context.database.read() as session:
        assert session.exec(select(IdempotentAnswer.key)).all() == ["6"]


def test_the_ledger_is_kept_unless_told_otherwise(context: Context) -> None:
    add(
        context,
        interval(ended_at=OLD + timedelta(hours=1)),
        interval(started_at=OLD + timedelta(hours=1), ended_at=OLD + timedelta(hours=2)),
        interval(component="disk", ended_at=OLD + timedelta(hours=2)),
        interval(endpoint_id="ep_other"),
    )
    assert "meter_interval" not in drop(context)
    assert drop(context, keep_meter_days=100)["meter_interval"] == 1
    with context.database.read() as session:
        assert len(session.exec(select(MeterInterval)).all()) == 3


def test_what_was_dropped_is_told_with_the_instant(context: Context) -> None:
    add(context, *(event(f"{number}") for number in range(retaining.BATCH + 2)))
    assert drop(context)["event"] == retaining.BATCH + 1
    with context.database.read() as session:
        told = session.exec(select(Event).where(Event.kind == "retention.dropped")).one()
        before = retention.dropped_before(session, "event")
        assert retention.dropped_before(session, "operation") is None
    assert told.data["rows"] == retaining.BATCH + 1
    assert before is not None
    assert told.data["before"] == before.isoformat()
    assert NOW - timedelta(days=401) < before <= NOW - timedelta(days=400)
    empty = {"endpoint_facts": 0, "event": 0, "hold": 0, "operation": 0, "usage_sample": 0}
    assert drop(context) == empty


def test_what_was_known_goes_but_what_held_when_the_kept_time_began_stays(
    context: Context,
) -> None:
    def facts(digest: str, days: int, endpoint_id: str = "ep_search") -> EndpointFacts:
        at = NOON + timedelta(days=days)
        return EndpointFacts(endpoint_id=endpoint_id, at=at, digest=digest, body={})

    rows = [facts("a", 0), facts("b", 40), facts("c", 90), facts("d", 450)]
    add(context, *rows, facts("of the other", 5, "ep_other"))
    assert drop(context)["endpoint_facts"] == 2
    with context.database.read() as session:
        query = select(EndpointFacts.digest).order_by(col(EndpointFacts.id))
        assert session.exec(query).all() == ["c", "d", "of the other"]


def test_a_round_ends_when_it_is_asked_to(context: Context) -> None:
    add(context, *(event(f"{number}") for number in range(retaining.BATCH + 2)))
    dropped = retaining.drop_old(context, NOW, lambda: True)
    assert dropped["event"] == retaining.BATCH


def test_nothing_is_dropped_where_everything_is_kept(context: Context) -> None:
    add(context, event("old"), event("new"))
    assert drop(context, keep_events_days=0, keep_operations_days=0, keep_usage_days=0) == {}
    assert messages(context) == ["old", "new"]


def test_sessions_whose_time_is_over_go(context: Context) -> None:
    with context.database.write() as session:
        session.add(ApiToken(id="t", name="t", digest="d", scope="read", created_at=OLD))
        session.flush()
        for name, seconds in (("over", -1), ("open", 60)):
            until = NOW + timedelta(seconds=seconds)
            session.add(
                WebSession(
                    digest=name, csrf_digest="", token_id="t", created_at=OLD, expires_at=until
                )
            )
    drop(context)
    with context.database.read() as session:
        assert session.exec(select(WebSession.digest)).all() == ["open"]


def test_one_process_at_a_time(postgres_database: Database) -> None:
    with postgres_database.write() as one, postgres_database.write() as other:
        assert retention.is_my_turn(one)
        assert not retention.is_my_turn(other)
    with postgres_database.write() as session:
        assert retention.is_my_turn(session)


def test_rows_dated_ahead_do_not_end_it(context: Context) -> None:
    ahead = NOW + timedelta(days=3650)
    add(context, *(event("ahead", at=ahead) for _ in range(retaining.BATCH + 2)))
    add(context, *(event(f"{number}") for number in range(10)))
    assert drop(context)["event"] == 9


def test_recorded_use_goes_when_all_of_its_day_is_old(context: Context) -> None:
    """A row may stand for a day, so that it is kept for a day longer."""
    with context.database.write() as session:
        session.add_all(
            UsageSample(
                endpoint_id="ep_search",
                start=NOW - timedelta(days=days),
                requests=0,
                covered_s=600,
                source="last_use",
            )
            for days in (9, 10, 11, 12, 40)
        )
    assert drop(context, keep_usage_days=10)["usage_sample"] == 2
    with context.database.read() as session:
        left = session.exec(select(UsageSample)).all()
    assert sorted((NOW - row.start).days for row in left) == [9, 10, 11]


def test_holds_that_are_over_go_but_the_newest_of_an_endpoint_stays(context: Context) -> None:
    def hold(name: str, source: str = "lease", **values: Any) -> Hold:
        given = {"starts_at": OLD, "until": OLD + timedelta(hours=1), "wish": "running"}
        by = {"actor": "ci", "reason": "eval", "endpoint_id": "ep_search", "source": source}
        return Hold(id=name, **{**given, **by, **values})

    young = NOW - timedelta(days=3)
    add(
        context,
        hold("lse_1", ended_at=OLD),
        hold("lse_2", noted_at=OLD),
        hold("lse_3", ended_at=young),
        hold("lse_4", until=NOW + timedelta(days=1)),
        hold("hld_1", "click", ended_at=OLD),
        hold("hld_2", "click", ended_at=OLD),
        hold("lse_5", ended_at=OLD, endpoint_id="ep_other"),
    )
    assert drop(context)["hold"] == 3
    assert drop(context)["hold"] == 0
    with context.database.read() as session:
        kept = session.exec(select(Hold.id).order_by(Hold.id)).all()
    assert kept == ["hld_2", "lse_3", "lse_4", "lse_5"]
