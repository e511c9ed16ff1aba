"""Calendars in the course of time: what is stored stays, later years come, differences are told."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from sqlmodel import select

from orchestrator.clock import ManualClock
from orchestrator.domain.calendars import crowded_years, difference
from orchestrator.engine.housekeeping import Housekeeper
from orchestrator.services import calendar_sources as sources
from orchestrator.services import calendar_upkeep, calendars
from orchestrator.services.calendar_sources import Made, Source
from orchestrator.services.context import Context, ProviderPool
from orchestrator.services.errors import ServiceError
from orchestrator.services.requests import Asked
from orchestrator.settings import Settings
from orchestrator.store import calendars as rows
from orchestrator.store.database import Database
from orchestrator.store.tables import Event
from tests.support.rows import NOON


def never(account: object) -> None:
    raise AssertionError(f"nobody asks for the cloud of {account}")


@pytest.fixture
def context(store: Database, tmp_path: Path) -> Context:
    pool = ProviderPool(never)  # type: ignore[arg-type] # no driver is made here
    return Context(store, ManualClock(NOON), Settings(state_dir=tmp_path), pool)


def save(context: Context, name: str, source: Source) -> None:
    now = context.clock.now()
    draft = calendars.Draft(name, source, sources.make(source, now.date()))
    with context.database.write() as session:
        calendars.create(session, draft, Asked("ada", now))


def stored(context: Context, name: str) -> tuple[str, dict[str, str], int]:
    with context.database.read() as session:
        row = calendars.find(session, name)
        return row.covers_to, row.dates, row.version


def told(context: Context, kind: str) -> list[str]:
    with context.database.read() as session:
        return [one.message for one in session.exec(select(Event)) if one.kind == kind]


def at(year: int) -> datetime:
    return datetime(year, 2, 3, 4, 5, tzinfo=UTC)


def test_later_years_are_added_and_nothing_else(context: Context) -> None:
    save(context, "bavaria", sources.of_holidays("DE", subdivision="BY"))
    before = stored(context, "bavaria")
    calendar_upkeep.tend(context)
    assert stored(context, "bavaria") == before
    context.clock = ManualClock(at(2029))
    calendar_upkeep.tend(context)
    covers_to, dates, version = stored(context, "bavaria")
    assert (before[0], covers_to, version) == ("2030-12-31", "2033-12-31", 2)
    assert {day: name for day, name in dates.items() if day <= "2030-12-31"} == before[1]
    assert "2033-12-25" in dates
    assert told(context, "calendar.extended") == [
        "the calendar bavaria was extended from 2030-12-31 to 2033-12-31"
    ]
    calendar_upkeep.tend(context)
    assert stored(context, "bavaria") == (covers_to, dates, version)


def test_housekeeping_does_it(context: Context) -> None:
    save(context, "bavaria", sources.of_holidays("DE", subdivision="BY"))
    save(context, "ours", sources.of_dates({"2026-12-24": ""}))
    context.clock = ManualClock(at(2029))
    Housekeeper(context).step()
    assert stored(context, "bavaria")[0] == "2033-12-31"
    assert stored(context, "ours")[0] == "2026-12-31"


def test_a_newer_library_changes_nothing_and_its_differences_are_told_once(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(context, "bavaria", sources.of_holidays("DE", subdivision="BY"))
    before = stored(context, "bavaria")
    real = sources.holiday_dates

    def newer(parameters: dict[str, object], start: date, end: date) -> object:
        found = real(parameters, start, end)
        names = {**found.names, "2026-05-08": "Liberation"}
        del names["2026-12-26"]
        return type(found)(names, found.covers_from, found.covers_to, found.extends)

    monkeypatch.setattr(sources, "holiday_dates", newer)
    monkeypatch.setattr(sources, "LIBRARY", "holidays 99")
    for _ in range(2):
        calendar_upkeep.tend(context)
    assert stored(context, "bavaria") == before
    (message,) = told(context, "calendar.differs")
    assert message.startswith("holidays 99 has other dates than the calendar bavaria")
    assert "+ 2026-05-08 Liberation, - 2026-12-26" in message
    with context.database.write() as session:
        row = calendars.find(session, "bavaria")
        made = sources.make(calendars.source_of(row), date(2026, 6, 1))
        calendars.refresh(session, row, made, Asked("ada", datetime(2026, 6, 1, tzinfo=UTC)))
    _, dates, version = stored(context, "bavaria")
    # What has gone by stays as it was acted upon.
    assert ("2026-05-08" in dates, "2026-12-26" in dates, version) == (False, False, 2)


def test_what_a_library_does_not_know_any_more_stays_in_force(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(context, "bavaria", sources.of_holidays("DE", subdivision="BY"))
    before = stored(context, "bavaria")

    def gone(source: Source, today: date) -> Made:
        raise NotImplementedError(f"{source} {today}")

    monkeypatch.setattr(sources, "make", gone)
    context.clock = ManualClock(at(2029))
    calendar_upkeep.tend(context)
    assert stored(context, "bavaria") == before


def test_days_off_are_united_and_the_first_calendar_names_a_date(context: Context) -> None:
    save(context, "bavaria", sources.of_holidays("DE", subdivision="BY", language="en_US"))
    save(context, "ours", sources.of_dates({"2026-12-24": "Eve", "2026-12-25": "closed"}))
    with context.database.read() as session:
        found = calendars.days_off(
            session, ["ours", "gone", "bavaria"], date(2026, 12, 24), date(2026, 12, 26)
        )
        assert found == {
            date(2026, 12, 24): "Eve",
            date(2026, 12, 25): "closed",
            date(2026, 12, 26): "Second Day of Christmas",
        }
        (gap,) = calendars.uncovered(
            session, ["ours", "bavaria"], date(2026, 1, 1), date(2027, 6, 1)
        )
        assert gap == "the calendar ours knows days off from 2026-01-01 to 2026-12-31 only"
        assert [row.name for row in rows.known(session)] == ["bavaria", "ours"]


def test_an_unknown_calendar_is_refused_with_the_nearest(context: Context) -> None:
    with context.database.read() as session, pytest.raises(ServiceError) as none:
        calendars.check_names(session, ["bavaria"])
    assert "POST /v1/calendars" in (none.value.remedy or "")
    save(context, "bavaria", sources.of_holidays("DE", subdivision="BY"))
    with context.database.read() as session:
        calendars.check_names(session, ["bavaria"])
        with pytest.raises(ServiceError) as error:
            calendars.check_names(session, ["bavaria", "bavraia"], "windows.calendars")
    assert (error.value.status, error.value.field) == (422, "windows.calendars.1")
    assert error.value.remedy == "Did you mean 'bavaria'?"


def test_a_difference_is_told_by_date_and_crowded_years_are_noticed() -> None:
    changes = difference(
        {"2026-01-01": "a", "2026-01-02": "b"}, {"2026-01-02": "c", "2026-01-03": "d"}
    )
    assert calendars.changed_text(changes) == "- 2026-01-01 a, ~ 2026-01-02 c, + 2026-01-03 d"
    assert calendars.changed_text(changes, 1) == "- 2026-01-01 a, and 2 more"
    every_day = {f"2026-{month:02}-{day:02}": "" for month in range(1, 13) for day in range(1, 29)}
    assert crowded_years({**every_day, "2027-01-01": ""}) == {2026: 336}
