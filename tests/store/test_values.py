"""Instants and ids as the store keeps them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import StatementError
from sqlmodel import col, select

from orchestrator.store.database import Database
from orchestrator.store.ids import new_id
from orchestrator.store.tables import Setting
from tests.support.rows import NOON

INSTANTS = st.timedeltas(timedelta(0), timedelta(days=30_000)).map(lambda later: NOON + later)


def kept(database: Database, instant: datetime) -> datetime:
    with database.write() as session:
        session.merge(Setting(key="instant", updated_at=instant))
    with database.read() as session:
        return session.get_one(Setting, "instant").updated_at


@pytest.mark.parametrize(
    "instant",
    [
        NOON,
        NOON.replace(microsecond=123_456),
        datetime(2026, 3, 29, 3, 30, tzinfo=ZoneInfo("Europe/Berlin")),
        datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1),
        datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=14))),
    ],
)
def test_an_instant_comes_back_the_same_and_in_utc(database: Database, instant: datetime) -> None:
    found = kept(database, instant)
    assert found == instant.astimezone(UTC)
    assert found.tzinfo is UTC


def test_an_instant_without_a_zone_is_refused(database: Database) -> None:
    with pytest.raises(StatementError, match="naive datetime cannot be stored"):
        kept(database, NOON.replace(tzinfo=None))


def test_instants_are_ordered_and_compared_in_the_database(database: Database) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    instants = [NOON, NOON + timedelta(microseconds=1), NOON + timedelta(hours=1)]
    with database.write() as session:
        for number, instant in enumerate(reversed(instants)):
            session.add(Setting(key=str(number), updated_at=instant.astimezone(berlin)))
    with database.read() as session:
        query = select(Setting.updated_at).where(Setting.updated_at > NOON)
        assert session.exec(query.order_by(col(Setting.updated_at))).all() == instants[1:]


@given(INSTANTS, INSTANTS)
def test_ids_sort_by_the_millisecond_of_their_making(first: datetime, second: datetime) -> None:
    early, late = sorted((first, second))
    if late - early >= timedelta(milliseconds=1):
        assert new_id("ep", early) < new_id("ep", late)


def test_ids_are_distinct_and_of_one_form() -> None:
    made = {new_id("op", NOON) for _ in range(1000)}
    assert len(made) == 1000
    assert all(len(one) == 29 and one.startswith("op_") and one[3:].isalnum() for one in made)
    assert len({one[:13] for one in made}) == 1
