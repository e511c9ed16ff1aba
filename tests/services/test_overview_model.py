from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event

from orchestrator.costs import report
from orchestrator.costs.figures import Figure
from orchestrator.services.overview import Overview, month_bounds, overview
from orchestrator.services.views import views
from orchestrator.store.database import Database
from orchestrator.store.endpoints import all_live
from orchestrator.store.overview import FleetQuery
from orchestrator.store.tables import Endpoint, Label
from tests.pages.fleet_seed import A100, HOUR, Seed, office
from tests.support import rows

NOW = datetime(2026, 11, 19, 15, 2, 30, tzinfo=UTC)


@contextmanager
def _counted(database: Database) -> Iterator[list[str]]:
    seen: list[str] = []

    def note(*arguments: Any) -> None:
        seen.append(arguments[2])

    event.listen(database.engine, "before_cursor_execute", note)
    yield seen
    event.remove(database.engine, "before_cursor_execute", note)


def _office(database: Database) -> None:
    with database.write() as session:
        office(session, NOW)


def _read(database: Database, page: int = 1, **query: Any) -> Overview:
    with database.read() as session:
        return overview(session, NOW, FleetQuery(**query), page)


def _names(view: Overview) -> list[str]:
    return [row.record.endpoint.name for row in view.fleet.rows]


def test_totals_are_those_of_the_reports_and_parts_add_up(database: Database) -> None:
    _office(database)
    view = _read(database)
    with database.read() as session:
        assert view.month == report.month_to_date(session, NOW).total
        assert view.burn == report.burn_now(session).total
        days = report.daily_series(session, 30, NOW)
    assert [(one.day, one.total) for one in view.days] == [(d.day, d.figure) for d in days]
    assert sum((one.month for one in view.teams), Figure()).nano == view.month.nano
    assert sum(one.burn.nano for one in view.teams) == view.burn.nano
    assert sum((row.month for row in view.fleet.rows), Figure()).nano == view.month.nano
    for one in view.days:
        assert sum(figure.nano for figure in one.teams.values()) == one.total.nano


def test_counts_and_teams(database: Database) -> None:
    _office(database)
    view = _read(database)
    assert view.counts == {
        "running": 4,
        "scaled_to_zero": 1,
        "paused": 1,
        "initializing": 1,
        "failed": 1,
    }
    assert (view.endpoints, view.unmanaged, view.billed) == (8, 1, 5)
    sizes = {one.team: one.endpoints for one in view.teams}
    assert sizes == {"search": 3, "media": 3, "research": 1, "": 1}
    assert view.teams[-1].team == ""


def test_statements_do_not_grow_with_the_fleet(database: Database) -> None:
    _office(database)
    with _counted(database) as few:
        _read(database)
    with database.write() as session:
        seed = Seed(session, NOW)
        account = seed.account("many")
        for number in range(60):
            endpoint = seed.endpoint(account, f"m-{number:02d}", team=f"team-{number}")
            seed.metered(endpoint, NOW - HOUR, None)
            seed.hold(endpoint, "running", HOUR)
    with _counted(database) as many:
        assert len(_read(database).fleet.rows) == 68
    assert len(many) == len(few) <= 32


def _with_disk(seed: Seed, endpoint: Endpoint, burn: int | None) -> None:
    """A disk of 500 gigabytes that has been billed for ten hours."""
    seed.session.add(
        rows.interval(
            endpoint_id=endpoint.id,
            account_id=endpoint.account_id,
            started_at=NOW - 10 * HOUR,
            component="disk",
            units=500,
            hardware_key="aws/us-east-1/ssd/gb",
            replicas_low=500,
            replicas=500,
            replicas_high=500,
            burn_low=burn,
            burn=burn,
            burn_high=burn,
        )
    )


def test_a_disk_adds_to_its_endpoint_and_makes_no_row_of_its_own(database: Database) -> None:
    with database.write() as session:
        seed = Seed(session, NOW)
        account = seed.account("acme")
        chat, bare, odd = (seed.endpoint(account, one, hardware=A100) for one in ("c", "b", "o"))
        for one in (chat, bare, odd):
            seed.metered(one, NOW - 10 * HOUR, None)
        _with_disk(seed, chat, 10**9)
        _with_disk(seed, odd, None)
    view = _read(database, sort="-burn")
    shown = [(row.record.endpoint.name, row.record.burn, row.record.unpriced) for row in
             view.fleet.rows]  # fmt: skip
    assert shown == [("c", 9 * 10**9, 0), ("b", 8 * 10**9, 0), ("o", 8 * 10**9, 1)]
    assert (view.fleet.total, view.endpoints, view.billed, view.unmanaged) == (3, 3, 3, 0)
    assert (view.burn.nano, view.burn.unpriced) == (25 * 10**9, 1)
    assert view.burn_per_day == 25 * 24 * 10**9
    assert view.teams[0].burn == view.burn
    months = {row.record.endpoint.name: row.month for row in view.fleet.rows}
    assert months["c"].nano - months["b"].nano == pytest.approx(months["b"].nano / 8, abs=2)
    assert (months["o"].nano, months["o"].unpriced_seconds) == (months["b"].nano, 10 * 3600 - 20)
    with database.read() as session:
        found = {one.endpoint.name: one for one in views(session, all_live(session), NOW)}
    assert {name: one.burn for name, one in found.items()} == {
        "c": 9 * 10**9,
        "b": 8 * 10**9,
        "o": 8 * 10**9,
    }
    assert [(one.component, one.units, one.burn) for one in found["o"].components] == [
        ("compute", 1, 8 * 10**9),
        ("disk", 500, None),
    ]


def test_projections_follow_the_rate(database: Database) -> None:
    with database.write() as session:
        seed = Seed(session, NOW)
        endpoint = seed.endpoint(seed.account("acme"), "chat", hardware=A100)
        seed.metered(endpoint, NOW - 10 * HOUR, None)
    view = _read(database)
    start, end = month_bounds(NOW)
    assert (start.day, end.month, end.day) == (1, 12, 1)
    assert view.burn_per_day == 8 * 24 * 10**9
    left = (end - NOW).total_seconds()
    assert view.month_at_rate == view.month.nano + int(8 * 10**9 * left / 3600)


def test_december_ends_with_the_year() -> None:
    start, end = month_bounds(datetime(2026, 12, 31, 23, 59, tzinfo=UTC))
    assert (start.year, start.month, end.year, end.month) == (2026, 12, 2027, 1)


@pytest.mark.parametrize(
    ("sort", "first", "last"),
    [
        ("-burn", "qwen2-vl-7b", "sdxl-thumbnails"),
        ("-month", "llama-3-70b-chat", "qwen2-vl-7b"),
        ("month", "qwen2-vl-7b", "llama-3-70b-chat"),
        ("-name", "whisper-large-v3", "bge-large-embeddings"),
        ("next", "bge-large-embeddings", "whisper-large-v3"),
        ("account", "bge-large-embeddings", "whisper-large-v3"),
        ("nonsense", "bge-large-embeddings", "whisper-large-v3"),
    ],
)
def test_orders_are_the_same_on_both_databases(
    database: Database, sort: str, first: str, last: str
) -> None:
    _office(database)
    names = _names(_read(database, sort=sort))
    assert (names[0], names[-1]) == (first, last)


def test_pages_cover_all_once(database: Database) -> None:
    with database.write() as session:
        seed = Seed(session, NOW)
        account = seed.account("acme")
        for number in range(205):
            seed.endpoint(account, f"m-{number:03d}", "paused")
    seen = [name for page in (1, 2, 3) for name in _names(_read(database, page, sort="status"))]
    assert len(seen) == 205
    assert sorted(seen) == seen
    assert _read(database, 99).fleet.page == 3


def test_words_must_all_be_found_and_are_taken_literally(database: Database) -> None:
    _office(database)
    assert _names(_read(database, text="LLAMA nvidia-a100")) == ["llama-3-70b-chat"]
    assert _names(_read(database, text="llama paused")) == []
    assert _names(_read(database, text="%")) == []
    assert _names(_read(database, text="_")) == []


def test_teams_and_their_absence(database: Database) -> None:
    _office(database)
    assert _names(_read(database, team="")) == ["legacy-classifier"]
    assert set(_names(_read(database, team="search", statuses=("running",)))) == {
        "llama-3-70b-chat",
        "bge-large-embeddings",
    }
    assert _names(_read(database, managed=False)) == ["legacy-classifier"]


def test_a_label_of_the_cloud_is_no_team(database: Database) -> None:
    _office(database)
    with database.write() as session:
        row = _read(database, team="").fleet.rows[0].record.endpoint
        session.add(Label(endpoint_id=row.id, key="cloud:team", value="x", source="cloud"))
    assert _names(_read(database, team="")) == ["legacy-classifier"]
    assert "x" not in {one.team for one in _read(database).teams}


def test_rows_carry_what_hangs_on_them(database: Database) -> None:
    _office(database)
    rows = {row.record.endpoint.name: row for row in _read(database).fleet.rows}
    assert [one.wish for one in rows["bge-large-embeddings"].holds] == ["running"]
    operation = rows["whisper-large-v3"].operation
    assert operation is not None
    assert operation.kind == "resume"
    assert rows["reranker-v2"].rules == ["Idle half an hour"]
    assert rows["llama-3-70b-chat"].rules == ["Office hours"]
    assert rows["sdxl-thumbnails"].operation is None


def test_what_is_gone_is_not_listed_and_still_counted(database: Database) -> None:
    _office(database)
    before = _read(database)
    with database.write() as session:
        row = next(r for r in before.fleet.rows if r.record.endpoint.name == "sdxl-thumbnails")
        gone = session.merge(row.record.endpoint, load=True)
        gone.deleted_at = NOW
    after = _read(database)
    assert "sdxl-thumbnails" not in _names(after)
    assert after.month == before.month
    assert after.endpoints == before.endpoints - 1


def test_age_is_that_of_the_last_look(database: Database) -> None:
    with database.write() as session:
        seed = Seed(session, NOW)
        fresh = seed.account("fresh")
        old = seed.account("old", confirmed_at=NOW - HOUR, health="unreachable")
        never = seed.account("never", confirmed_at=None, created_at=NOW - timedelta(minutes=1))
        early = NOW - 2 * HOUR
        seed.endpoint(fresh, "a", confirmed_at=early)
        seed.endpoint(old, "b", confirmed_at=early)
        seed.endpoint(fresh, "missing", confirmed_at=early, missing_since=NOW - HOUR)
    view = _read(database)
    rows = {row.record.endpoint.name: row for row in view.fleet.rows}
    assert rows["a"].confirmed_at == fresh.confirmed_at
    assert (rows["a"].stale, rows["b"].stale, rows["missing"].stale) == (False, True, True)
    lines = {one.name: one for one in view.accounts}
    assert (lines["fresh"].stale, lines["old"].stale, lines["never"].stale) == (False, True, False)
    assert not lines["old"].healthy
    assert lines["never"].measured_at is never.confirmed_at is None
    assert view.measured_until == NOW - HOUR
