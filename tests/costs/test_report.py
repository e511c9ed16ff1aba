"""Cost reports: figures, groupings that add up, days, and nothing that was not measured."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import SQLModel

from orchestrator.costs.figures import Burn, Figure
from orchestrator.costs.report import (
    CostReport,
    burn_now,
    check_grouping,
    cost_report,
    daily_series,
    month_to_date,
)
from orchestrator.domain.status import Status
from orchestrator.store.database import Database
from orchestrator.store.ledger_reads import SpanFilter
from orchestrator.store.tables import Endpoint, MeterInterval
from tests.costs.fleet import A100, DOLLAR, L4, START, Fleet, after, gone, seen

RUNNING, PAUSED, ZERO = Status.RUNNING, Status.PAUSED, Status.SCALED_TO_ZERO
BERLIN = ZoneInfo("Europe/Berlin")
FAR = after(days=40)


def report(
    fleet: Fleet,
    group_by: str = "endpoint",
    *,
    start: datetime = START,
    end: datetime = FAR,
    now: datetime = FAR,
    filters: SpanFilter | None = None,
    by_day: bool = False,
    zone: ZoneInfo | None = None,
) -> CostReport:
    with fleet.database.read() as session:
        return cost_report(
            session,
            start=start,
            end=end,
            now=now,
            group_by=group_by,
            filters=filters,
            by_day=by_day,
            zone=zone or ZoneInfo("UTC"),
        )


@pytest.fixture
def hour(priced: Fleet) -> Fleet:
    """One endpoint of one dollar per hour that ran for an hour and is seen running still."""
    priced.endpoints("acc", "ep", labels={"team": "search"})
    priced.look("acc", START, [seen("ep", RUNNING, 1)])
    priced.looks("acc", until=after(hours=1))
    return priced


def test_an_hour_of_one_replica_costs_its_price_give_or_take_a_rounded_minute(hour: Fleet) -> None:
    found = report(hour)
    minute = 16_666_667
    assert found.total == Figure(DOLLAR, DOLLAR - minute, DOLLAR + minute)
    assert [(each.name, each.billed_seconds, each.replica_seconds) for each in found.items] == [
        ("name of ep", 3600, 3600)
    ]


def test_what_came_after_the_last_look_is_not_counted_but_stated(hour: Fleet) -> None:
    found = report(hour, now=after(hours=5))
    assert found.total.nano == DOLLAR
    assert found.measured_until == after(hours=1)


def test_a_range_that_was_measured_whole_says_so(hour: Fleet) -> None:
    found = report(hour, end=after(minutes=30))
    assert found.measured_until == after(minutes=30)
    assert found.total.nano == DOLLAR // 2


def test_an_account_that_was_never_read_makes_a_report_unmeasured(priced: Fleet) -> None:
    priced.endpoints("acc", "ep")
    with priced.database.write() as session:
        session.add(
            MeterInterval(
                endpoint_id="ep",
                account_id="acc",
                started_at=START,
                status="running",
                evidence="observed",
                hardware_key=L4.key,
                replicas_low=1,
                replicas=1,
                replicas_high=1,
                burn_low=DOLLAR,
                burn=DOLLAR,
                burn_high=DOLLAR,
            )
        )
    found = report(priced)
    assert (found.total, found.measured_until) == (Figure(), None)


def test_a_missing_endpoint_is_measured_until_it_was_seen_last(hour: Fleet) -> None:
    with hour.database.write() as session:
        endpoint = session.get_one(Endpoint, "ep")
        endpoint.confirmed_at = after(minutes=30)
        endpoint.missing_since = after(minutes=31)
        session.add(endpoint)
    found = report(hour)
    assert found.measured_until == after(minutes=30)
    assert found.total.nano == DOLLAR // 2


def test_deleted_endpoints_stay_in_reports(hour: Fleet) -> None:
    hour.look("acc", after(hours=1, minutes=1), [gone("ep")])
    with hour.database.write() as session:
        endpoint = session.get_one(Endpoint, "ep")
        endpoint.deleted_at = after(hours=1, minutes=1)
        session.add(endpoint)
    assert report(hour).total.nano >= DOLLAR
    with hour.database.read() as session:
        assert burn_now(session).endpoints == {}


def test_hardware_without_price_makes_a_report_incomplete_and_names_it(fleet: Fleet) -> None:
    fleet.account("acc")
    fleet.endpoints("acc", "ep")
    fleet.look("acc", START, [seen("ep", RUNNING, 1, hardware=A100)])
    fleet.looks("acc", until=after(minutes=10))
    found = report(fleet)
    assert not found.complete
    assert found.total == Figure(unpriced_seconds=600)
    assert [(each.name, each.hardware_key, each.seconds) for each in found.unpriced] == [
        ("name of ep", A100.key, 600)
    ]


class TestGroups:
    @pytest.fixture
    def mixed(self, priced: Fleet) -> Fleet:
        """Two accounts; one endpoint moves to other hardware."""
        priced.account("other")
        priced.prices("other", START, (L4, 2 * DOLLAR))
        priced.endpoints("acc", "one", labels={"team": "search"})
        priced.endpoints("acc", "two", labels={"team": "ads"})
        priced.endpoints("other", "three")
        priced.look("acc", START, [seen("one", RUNNING, 1), seen("two", RUNNING, 2)])
        priced.look("other", START, [seen("three", RUNNING, 1)])
        priced.look("acc", after(minutes=1), [seen("two", RUNNING, 1, hardware=A100)])
        priced.looks("acc", until=after(hours=20))
        priced.looks("other", until=after(hours=20))
        return priced

    @pytest.mark.parametrize(
        ("group_by", "names"),
        [
            ("endpoint", ["name of two", "name of three", "name of one"]),
            ("account", ["name of acc", "name of other"]),
            ("hardware", [A100.key, L4.key]),
            ("label:team", ["ads", "(none)", "search"]),
            ("day", ["2026-03-02", "2026-03-03"]),
        ],
    )
    def test_groups_have_names_and_come_dearest_first(
        self, mixed: Fleet, group_by: str, names: list[str]
    ) -> None:
        found = report(mixed, group_by, now=after(hours=20))
        assert [each.name for each in found.items] == names
        assert sum((each.figure for each in found.items), Figure()) == found.total

    @pytest.mark.parametrize(
        ("filters", "endpoints"),
        [
            (SpanFilter(account_id="other"), ["three"]),
            (SpanFilter(labels={"team": "ads"}), ["two"]),
            (SpanFilter(labels={"team": "ads"}, account_id="other"), []),
            (SpanFilter(endpoint_ids=["one", "three"]), ["three", "one"]),
            (SpanFilter(endpoint_ids=[]), []),
            (SpanFilter(endpoint_ids=["one", *map(str, range(600))]), ["one"]),
            (SpanFilter(hardware_key=A100.key), ["two"]),
        ],
    )
    def test_filters_narrow_a_report(
        self, mixed: Fleet, filters: SpanFilter, endpoints: list[str]
    ) -> None:
        found = report(mixed, filters=filters)
        assert [each.key for each in found.items] == endpoints

    def test_each_group_may_have_its_days(self, mixed: Fleet) -> None:
        found = report(mixed, by_day=True, now=after(hours=20))
        for line in found.items:
            assert sum((each.figure for each in line.days), Figure()) == line.figure
        assert [each.day for each in found.days] == [date(2026, 3, 2), date(2026, 3, 3)]
        assert sum((each.figure for each in found.days), Figure()) == found.total

    def test_what_is_being_spent_now(self, mixed: Fleet) -> None:
        with mixed.database.read() as session:
            whole, other = burn_now(session), burn_now(session, account_id="other")
        assert whole.total == Burn(7 * DOLLAR, 7 * DOLLAR, 7 * DOLLAR)
        assert other.endpoints == {"three": Burn(2 * DOLLAR, 2 * DOLLAR, 2 * DOLLAR)}

    def test_an_unpriced_burn_is_counted_apart(self, mixed: Fleet) -> None:
        mixed.look("other", after(hours=21), [seen("three", RUNNING, 1, hardware=A100)])
        with mixed.database.read() as session:
            assert burn_now(session).total.unpriced == 1


@pytest.mark.parametrize("wrong", ["team", "label:", "", "endpoints"])
def test_an_unknown_grouping_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="group_by"):
        check_grouping(wrong)


def test_a_report_cannot_end_before_it_starts(fleet: Fleet) -> None:
    with pytest.raises(ValueError, match="before it starts"):
        report(fleet, start=after(hours=1), end=START)


class TestDays:
    def test_days_are_those_of_the_zone(self, priced: Fleet) -> None:
        evening = datetime(2026, 3, 28, 22, tzinfo=UTC)  # 23:00 in Berlin, before a short day
        priced.endpoints("acc", "ep")
        priced.look("acc", evening, [seen("ep", RUNNING, 1)])
        priced.looks("acc", until=evening + timedelta(days=2))
        now = evening + timedelta(days=2)
        found = report(priced, "day", start=evening, end=now, now=now, zone=BERLIN)
        hours = [(each.name, each.billed_seconds // 3600) for each in found.items]
        assert hours == [("2026-03-28", 1), ("2026-03-29", 23), ("2026-03-30", 24)]

    def test_the_month_so_far_begins_in_the_zone(self, hour: Fleet) -> None:
        with hour.database.read() as session:
            found = month_to_date(session, after(hours=1), zone=BERLIN)
            none = month_to_date(session, after(hours=1), endpoint_ids=[])
        assert found.start == datetime(2026, 2, 28, 23, tzinfo=UTC)
        assert found.endpoints["ep"] == found.total
        assert found.total.nano == DOLLAR
        assert none.total == Figure()

    def test_a_series_has_every_day_up_to_today(self, hour: Fleet) -> None:
        with hour.database.read() as session:
            series = daily_series(session, 3, after(hours=1))
        assert [(each.day.day, each.figure.nano) for each in series] == [
            (28, 0),
            (1, 0),
            (2, DOLLAR),
        ]


INTERVAL = st.tuples(
    st.integers(1, 200_000),
    st.integers(0, 3),
    st.integers(0, 2),
    st.integers(0, 2),
    st.sampled_from([33_333_333, 800_000_001, 3_799_999_999]),
    st.integers(0, 90_000_000),
    st.booleans(),
)
LEDGERS = st.lists(st.lists(INTERVAL, max_size=6), min_size=1, max_size=5)


def stored(
    database: Database, ledgers: list[list[tuple[int, int, int, int, int, int, bool]]]
) -> None:
    """Fill a store with ledgers of any content, also such as no meter would write."""
    fleet = Fleet(database)
    fleet.account("a0")
    fleet.account("a1")
    rows = []
    for index, ledger in enumerate(ledgers):
        # Every other ledger is that of the disk of the endpoint before it.
        owner, disk = index - index % 2, index % 2 == 1
        endpoint_id, account_id = f"ep{owner}", f"a{owner // 2 % 2}"
        if not disk:
            fleet.endpoints(account_id, endpoint_id, labels={"team": "x"} if index % 3 else {})
        at, units = START, 50 if disk else 1
        for length, low, more, most, price, rounding, priced in ledger:
            counts = (low * units, (low + more) * units, (low + more + most) * units)
            burns = [count * price if priced or not count else None for count in counts]
            rows.append(
                MeterInterval(
                    endpoint_id=endpoint_id,
                    account_id=account_id,
                    started_at=at,
                    ended_at=at + timedelta(seconds=length),
                    status="running",
                    evidence="observed",
                    component="disk" if disk else "compute",
                    units=units,
                    hardware_key="ssd" if disk else f"hw{price % 2}",
                    replicas_low=counts[0],
                    replicas=counts[1],
                    replicas_high=counts[2],
                    burn_low=burns[0],
                    burn=burns[1],
                    burn_high=burns[2],
                    rounding_nano=rounding,
                )
            )
            at += timedelta(seconds=length)
    with database.write() as session:
        session.add_all(rows)


def replica_time(found: CostReport) -> tuple[int, int]:
    """Seconds with a replica, and those times replicas; the time of disks is not added to it."""
    lines = [each for each in found.items if each.key not in ("disk", "ssd")]
    return sum(each.billed_seconds for each in lines), sum(each.replica_seconds for each in lines)


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(LEDGERS, st.integers(-90_000, 300_000), st.integers(1, 900_000), st.integers(0, 900_000))
def test_all_groupings_and_all_splits_add_up_to_the_same_total(
    ledgers: list[list[tuple[int, int, int, int, int, int, bool]]],
    start: int,
    length: int,
    cut: int,
) -> None:
    database = Database("sqlite://")
    SQLModel.metadata.create_all(database.engine)
    stored(database, ledgers)
    fleet = Fleet(database)
    first, last = after(seconds=start), after(seconds=start + length)
    middle = min(last, after(seconds=start + cut))
    whole = report(fleet, start=first, end=last)
    for group_by in ("endpoint", "account", "day", "hardware", "component", "label:team"):
        for zone in (ZoneInfo("UTC"), BERLIN):
            found = report(fleet, group_by, start=first, end=last, zone=zone, by_day=True)
            assert found.total == whole.total
            assert sum((each.figure for each in found.items), Figure()) == whole.total
            assert sum((each.figure for each in found.days), Figure()) == whole.total
            assert sum((each.figure for each in found.components), Figure()) == whole.total
            assert replica_time(found) == replica_time(whole)
    parts = (
        report(fleet, start=first, end=middle).total + report(fleet, start=middle, end=last).total
    )
    assert parts == whole.total
    assert whole.total.low <= whole.total.nano <= whole.total.high
    database.dispose()
