"""Disks beside replicas: streams of their own, which go with the endpoint and add to its cost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event

from orchestrator.costs.figures import Burn, Figure
from orchestrator.costs.meter import stop_metering
from orchestrator.costs.observe import Observation
from orchestrator.costs.report import CostReport, burn_now, cost_report
from orchestrator.domain.endpoints import Extra
from orchestrator.domain.status import Status
from orchestrator.store.observation import burns
from orchestrator.store.tables import Account, MeterInterval
from tests.costs.fleet import A100, CENT, DOLLAR, L4, SSD, START, Fleet, after, gone, seen

RUNNING, PAUSED, ZERO = Status.RUNNING, Status.PAUSED, Status.SCALED_TO_ZERO
MILLI = DOLLAR // 1000
Shape = tuple[int, int | None, str, tuple[int, int, int]]


@pytest.fixture
def disks(priced: Fleet) -> Fleet:
    """Return a fleet with one endpoint, and a price of a tenth of a cent for a gigabyte-hour."""
    priced.prices("acc", START, (SSD, MILLI))
    priced.endpoints("acc", "ep")
    return priced


def shapes(fleet: Fleet, component: str = "disk", endpoint_id: str = "ep") -> list[Shape]:
    """Seconds from the start, evidence and bounds of gigabytes of each interval."""
    return [
        (
            seconds(each.started_at),
            None if each.ended_at is None else seconds(each.ended_at),
            each.evidence,
            (each.replicas_low, each.replicas, each.replicas_high),
        )
        for each in fleet.ledger(endpoint_id, component)
    ]


def seconds(instant: datetime) -> int:
    return (instant - START) // timedelta(seconds=1)


def everything(fleet: Fleet, *ids: str) -> list[MeterInterval]:
    return [row for one in ids for kind in ("compute", "disk") for row in fleet.ledger(one, kind)]


def report(fleet: Fleet, group_by: str = "endpoint", **more: Any) -> CostReport:
    far = after(days=40)
    with fleet.database.read() as session:
        return cost_report(session, start=START, end=far, now=far, group_by=group_by, **more)


class TestStreams:
    def test_each_billed_replica_has_its_gigabytes(self, disks: Fleet) -> None:
        disks.look("acc", START, [seen("ep", RUNNING, 2, disk=500)])
        (row,) = disks.ledger("ep", "disk")
        assert (row.replicas, row.units, row.hardware_key) == (1000, 500, SSD.key)
        assert (row.burn_low, row.burn, row.burn_high) == (DOLLAR, DOLLAR, DOLLAR)
        assert [each.burn for each in disks.ledger("ep")] == [2 * DOLLAR]

    def test_scaling_moves_both_within_the_same_bounds(self, disks: Fleet) -> None:
        disks.look("acc", START, [seen("ep", RUNNING, 1, disk=100)])
        disks.look("acc", after(seconds=60), [seen("ep", RUNNING, 2, disk=100)])
        compute = shapes(disks, "compute")
        assert [each[:3] for each in shapes(disks)] == [each[:3] for each in compute]
        assert [each[3] for each in shapes(disks)] == [
            (100 * low, 100 * middle, 100 * high) for *_, (low, middle, high) in compute
        ]

    def test_another_size_is_bounded_by_all_replicas_at_the_larger_one(self, disks: Fleet) -> None:
        disks.look("acc", START, [seen("ep", RUNNING, 1, disk=500)])
        smaller = seen("ep", RUNNING, 1, disk=100, moved=True, updated_at=after(seconds=20))
        disks.look("acc", after(seconds=60), [smaller])
        assert shapes(disks) == [
            (0, 20, "transition", (0, 500, 1000)),
            (20, 60, "transition", (0, 100, 1000)),
            (60, None, "observed", (100, 100, 100)),
        ]

    def test_other_gigabytes_are_bounded_by_the_dearer_price(self, disks: Fleet) -> None:
        disks.look("acc", START, [seen("ep", RUNNING, 1, disk=1)])
        extra = Extra("disk", A100.key, 1)
        now = Observation(
            endpoint_id="ep",
            status=RUNNING,
            billed=seen("ep", RUNNING, 1).billed,
            hardware_key=L4.key,
            moved=True,
            extras=(extra,),
        )
        disks.look("acc", after(seconds=60), [now])
        burns = [(each.burn_low, each.burn, each.burn_high) for each in disks.ledger("ep", "disk")]
        assert burns[0] == (0, MILLI, 2 * 4 * DOLLAR)
        assert burns[-1] == (4 * DOLLAR, 4 * DOLLAR, 4 * DOLLAR)

    def test_a_disk_that_is_gone_costs_nothing_and_leaves_no_hole(self, disks: Fleet) -> None:
        disks.look("acc", START, [seen("ep", RUNNING, 1, disk=100)])
        disks.look("acc", after(seconds=60), [seen("ep", RUNNING, 1, moved=True)])
        without = shapes(disks)
        assert without[-1] == (60, None, "observed", (0, 0, 0))
        disks.looks("acc", until=after(minutes=10))
        back = seen("ep", RUNNING, 1, disk=100, moved=True)
        disks.look("acc", after(minutes=11), [back])
        assert shapes(disks) == [
            *without[:-1],
            (60, 600, "observed", (0, 0, 0)),
            (600, 630, "transition", (0, 0, 200)),
            (630, 660, "transition", (0, 100, 200)),
            (660, None, "observed", (100, 100, 100)),
        ]

    def test_a_disk_that_is_new_began_since_the_last_look(self, disks: Fleet) -> None:
        disks.look("acc", START, [seen("ep", RUNNING, 1)])
        assert shapes(disks) == []
        disks.looks("acc", until=after(minutes=10))
        disks.look("acc", after(minutes=11), [seen("ep", RUNNING, 1, disk=100, moved=True)])
        assert shapes(disks) == [
            (600, 630, "transition", (0, 0, 200)),
            (630, 660, "transition", (0, 100, 200)),
            (660, None, "observed", (100, 100, 100)),
        ]

    def test_two_disks_of_one_component_cannot_be_told_apart(self) -> None:
        one = Extra("disk", SSD.key, 10)
        for extras in ((one, one), (Extra("compute", SSD.key, 1),), (Extra("disk", "x", -1),)):
            with pytest.raises(ValueError, match="extras need a component each"):
                Observation(endpoint_id="ep", status=RUNNING, extras=extras)


class TestEnds:
    def test_a_disk_ends_with_its_endpoint(self, disks: Fleet) -> None:
        disks.look("acc", START, [seen("ep", RUNNING, 1, disk=100)])
        disks.look("acc", after(seconds=60), [gone("ep")])
        disks.look("acc", after(seconds=120), [gone("ep")])
        assert shapes(disks) == [
            (0, 30, "transition", (0, 100, 200)),
            (30, 60, "transition", (0, 0, 200)),
        ]
        assert [each[:2] for each in shapes(disks, "compute")] == [(0, 30), (30, 60)]

    def test_an_endpoint_that_is_back_leaves_no_hole(self, disks: Fleet) -> None:
        disks.look("acc", START, [seen("ep", RUNNING, 1, disk=100)])
        disks.look("acc", after(seconds=60), [gone("ep")])
        disks.looks("acc", until=after(minutes=9))
        disks.look("acc", after(minutes=10), [seen("ep", RUNNING, 1, disk=100)])
        for component in ("compute", "disk"):
            ends = [each[:2] for each in shapes(disks, component)]
            assert ends == [(0, 30), (30, 60), (60, 330), (330, 600), (600, None)]

    def test_an_account_that_is_given_up_burns_nothing_more(self, disks: Fleet) -> None:
        disks.look("acc", START, [seen("ep", RUNNING, 1, disk=100)])
        with disks.database.write() as session:
            ended = stop_metering(session, account_id="acc", confirmed_at=after(hours=1))
        assert ended == {"ep": after(hours=1)}
        assert shapes(disks) == [(0, 3600, "observed", (100, 100, 100))]
        with disks.database.read() as session:
            assert burn_now(session).total.high == 0


class TestLooks:
    def test_looks_at_an_unchanged_account_write_nothing(self, disks: Fleet) -> None:
        same = seen("ep", RUNNING, 1, disk=100)
        disks.look("acc", START, [same])
        before = everything(disks, "ep")
        disks.look("acc", after(minutes=1))
        disks.look("acc", after(minutes=2), [same])
        assert everything(disks, "ep") == before

    def test_a_long_gap_is_unobserved_and_told_once(self, disks: Fleet) -> None:
        disks.endpoints("acc", "two")
        both = [seen("ep", RUNNING, 1, disk=100), seen("two", ZERO, disk=10)]
        disks.look("acc", START, both)
        notes = disks.look("acc", after(hours=2), [seen("two", RUNNING, 2, disk=10)])
        assert shapes(disks) == [
            (0, 7200, "unobserved", (0, 100, 200)),
            (7200, None, "observed", (100, 100, 100)),
        ]
        assert [each[3] for each in shapes(disks, endpoint_id="two")] == [
            (0, 0, 20),
            (0, 20, 20),
            (20, 20, 20),
        ]
        assert [each.endpoint_ids for each in notes] == [("two", "ep")]

    def test_a_disk_that_was_gone_before_a_long_gap_is_not_guessed_at(self, disks: Fleet) -> None:
        disks.look("acc", START, [seen("ep", RUNNING, 1, disk=100)])
        disks.look("acc", after(seconds=60), [seen("ep", RUNNING, 1, moved=True)])
        disks.look("acc", after(hours=2))
        assert shapes(disks)[-2:] == [
            (60, 7200, "unobserved", (0, 0, 0)),
            (7200, None, "observed", (0, 0, 0)),
        ]

    def test_a_paused_endpoint_keeps_its_disk_in_mind_at_no_cost(self, disks: Fleet) -> None:
        disks.look("acc", START, [seen("ep", PAUSED, disk=100)])
        assert disks.look("acc", after(hours=2)) == []
        assert shapes(disks) == [(0, None, "observed", (0, 0, 0))]

    def test_nothing_is_vouched_for_what_the_look_did_not_show(self, disks: Fleet) -> None:
        disks.look("acc", START, [seen("ep", RUNNING, 1, disk=100)])
        disks.look("acc", after(hours=2), unseen=["ep"])
        assert shapes(disks) == [(0, None, "observed", (100, 100, 100))]

    def test_the_same_pass_twice_writes_nothing_new(self, disks: Fleet) -> None:
        disks.endpoints("acc", "two")
        disks.look("acc", START, [seen("ep", RUNNING, 1, disk=9), seen("two", RUNNING, 1)])
        late = [seen("ep", RUNNING, 2, disk=8), seen("two", RUNNING, 1, disk=7)]
        disks.look("acc", after(hours=2), late)
        before = everything(disks, "ep", "two")
        with disks.database.write() as session:
            account = session.get_one(Account, "acc")
            account.confirmed_at = START
            session.add(account)
        disks.look("acc", after(hours=2), late)
        assert everything(disks, "ep", "two") == before

    def test_a_clock_set_back_widens_both(self, disks: Fleet) -> None:
        disks.look("acc", after(hours=1), [seen("ep", RUNNING, 1, disk=1000)])
        notes = disks.look("acc", START)
        assert [each.rounding_nano >= DOLLAR for each in everything(disks, "ep")] == [True, True]
        assert [(each.kind, each.endpoint_ids) for each in notes] == [
            ("meter.clock_went_back", ("ep",))
        ]


class TestPrices:
    def test_a_price_of_disks_touches_disks_alone(self, disks: Fleet) -> None:
        disks.look("acc", START, [seen("ep", RUNNING, 1, disk=100)])
        before = disks.ledger("ep")
        (change,) = disks.prices("acc", after(hours=1), (L4, DOLLAR), (SSD, 2 * MILLI))
        assert (change.hardware_key, change.endpoints) == (SSD.key, 1)
        assert disks.ledger("ep") == before
        burns = [(each.burn_low, each.burn, each.burn_high) for each in disks.ledger("ep", "disk")]
        assert burns == [
            (100 * MILLI, 100 * MILLI, 200 * MILLI),
            (200 * MILLI, 200 * MILLI, 200 * MILLI),
        ]

    def test_a_price_of_hardware_leaves_disks_alone(self, disks: Fleet) -> None:
        disks.look("acc", START, [seen("ep", RUNNING, 1, disk=100)])
        before = disks.ledger("ep", "disk")
        disks.prices("acc", after(hours=1), (L4, 2 * DOLLAR))
        assert disks.ledger("ep", "disk") == before
        assert len(disks.ledger("ep")) == 2

    def test_a_disk_without_a_price_is_said_and_hides_nothing(self, priced: Fleet) -> None:
        priced.endpoints("acc", "ep")
        notes = priced.look("acc", START, [seen("ep", RUNNING, 1, disk=100)])
        assert [(each.kind, each.message) for each in notes] == [
            ("meter.unpriced", "No price is known for its disk.")
        ]
        priced.looks("acc", until=after(hours=1))
        found = report(priced)
        assert (found.total.nano, found.total.unpriced_seconds) == (DOLLAR, 3600)
        assert [(each.component, each.hardware_key, each.seconds) for each in found.unpriced] == [
            ("disk", SSD.key, 3600)
        ]
        assert [(each.key, each.figure.nano, each.figure.unpriced_seconds) for each in
                found.components] == [("compute", DOLLAR, 0), ("disk", 0, 3600)]  # fmt: skip
        with priced.database.read() as session:
            assert burn_now(session).endpoints["ep"] == Burn(DOLLAR, DOLLAR, DOLLAR, unpriced=1)
            assert burns(session, "acc") == {"ep": DOLLAR}

    def test_an_endpoint_without_any_price_counts_once(self, fleet: Fleet) -> None:
        fleet.account("acc")
        fleet.endpoints("acc", "ep")
        notes = fleet.look("acc", START, [seen("ep", RUNNING, 1, disk=100)])
        assert [each.message for each in notes] == [
            "No price is known for its hardware.",
            "No price is known for its disk.",
        ]
        with fleet.database.read() as session:
            assert burn_now(session).total == Burn(unpriced=1)
            assert burns(session, "acc") == {}


class TestReports:
    @pytest.fixture
    def spent(self, disks: Fleet) -> Fleet:
        """Return an hour of two replicas with 100 gigabytes each, beside one without a disk."""
        disks.endpoints("acc", "bare")
        both = [seen("ep", RUNNING, 2, disk=100), seen("bare", RUNNING, 1)]
        disks.look("acc", START, both)
        disks.looks("acc", until=after(hours=1))
        return disks

    def test_the_cost_of_an_endpoint_is_that_of_its_components(self, spent: Fleet) -> None:
        found = report(spent)
        assert [(each.key, each.figure.nano) for each in found.items] == [
            ("ep", 2 * DOLLAR + 20 * CENT),
            ("bare", DOLLAR),
        ]
        assert [(each.key, each.figure.nano) for each in found.components] == [
            ("compute", 3 * DOLLAR),
            ("disk", 20 * CENT),
        ]
        assert sum((each.figure for each in found.components), Figure()) == found.total

    def test_time_is_that_of_replicas_whatever_is_beside_them(self, spent: Fleet) -> None:
        for group_by, expected in (
            ("endpoint", [("ep", 3600, 7200), ("bare", 3600, 3600)]),
            ("component", [("compute", 7200, 10_800), ("disk", 3600, 7200)]),
            ("hardware", [(L4.key, 7200, 10_800), (SSD.key, 3600, 7200)]),
            ("account", [("acc", 7200, 10_800)]),
        ):
            found = report(spent, group_by)
            times = [(each.key, each.billed_seconds, each.replica_seconds) for each in found.items]
            assert times == expected

    def test_components_are_a_grouping(self, spent: Fleet) -> None:
        found = report(spent, "component", by_day=True)
        assert [(each.key, each.figure) for each in found.items] == [
            (each.key, each.figure) for each in found.components
        ]
        disk = found.items[1]
        assert sum((each.figure for each in disk.days), Figure()) == disk.figure
        assert sum((each.figure for each in found.items), Figure()) == report(spent).total

    def test_what_is_spent_now_counts_every_component(self, spent: Fleet) -> None:
        with spent.database.read() as session:
            now = burn_now(session)
            assert burns(session, "acc") == {"ep": 2 * DOLLAR + 20 * CENT, "bare": DOLLAR}
        assert now.total.nano == 3 * DOLLAR + 20 * CENT
        assert now.endpoints["ep"].nano == 2 * DOLLAR + 20 * CENT


class TestStatements:
    @contextmanager
    def counted(self, fleet: Fleet) -> Iterator[list[str]]:
        found: list[str] = []

        def note(*arguments: Any) -> None:
            found.append(arguments[2])

        event.listen(fleet.database.engine, "before_cursor_execute", note)
        yield found
        event.remove(fleet.database.engine, "before_cursor_execute", note)

    def statements(self, fleet: Fleet, count: int, disk: int | None) -> list[int]:
        """Statements of a first look, one that sees changes, a late one, and a new price."""
        ids = [f"{disk}-{count}-{number}" for number in range(count)]
        fleet.account(f"acc-{ids[0]}")
        account = f"acc-{ids[0]}"
        fleet.prices(account, START, (L4, DOLLAR), (SSD, MILLI))
        fleet.endpoints(account, *ids)
        found = []
        for at, replicas in ((START, 1), (after(minutes=1), 2), (after(hours=2), None)):
            looks = [seen(one, RUNNING, replicas, disk=disk) for one in ids if replicas]
            with self.counted(fleet) as counted:
                fleet.look(account, at, looks)
            found.append(len(counted))
        with self.counted(fleet) as counted:
            fleet.prices(account, after(hours=3), (L4, 2 * DOLLAR))
        return [*found, len(counted)]

    def test_disks_take_no_more_statements(self, fleet: Fleet) -> None:
        few = self.statements(fleet, 2, None)
        assert self.statements(fleet, 40, None) == few
        assert self.statements(fleet, 40, 100) == few
