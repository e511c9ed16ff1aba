"""Metering through the store: what looks write, and that looks at nothing new write nothing."""

from __future__ import annotations

from datetime import datetime, timedelta

from orchestrator.costs.meter import meter_endpoints, stop_metering
from orchestrator.costs.observe import Observation
from orchestrator.costs.report import burn_now
from orchestrator.domain.endpoints import BilledReplicas
from orchestrator.domain.status import Status
from orchestrator.store.tables import Account
from tests.costs.fleet import A100, DOLLAR, GAP_LIMIT, L4, START, Fleet, after, gone, seen

RUNNING, PAUSED, ZERO = Status.RUNNING, Status.PAUSED, Status.SCALED_TO_ZERO
Shape = tuple[int, int | None, str, tuple[int, int, int]]


def seconds(instant: datetime) -> int:
    return (instant - START) // timedelta(seconds=1)


def shapes(fleet: Fleet, endpoint_id: str = "ep") -> list[Shape]:
    """Seconds from the start, evidence and bounds of replicas of each interval."""
    return [
        (
            seconds(each.started_at),
            None if each.ended_at is None else seconds(each.ended_at),
            each.evidence,
            (each.replicas_low, each.replicas, each.replicas_high),
        )
        for each in fleet.ledger(endpoint_id)
    ]


class TestFirstSight:
    def test_the_first_look_at_an_account_opens_intervals_when_it_is_answered(
        self, priced: Fleet
    ) -> None:
        priced.endpoints("acc", "ep")
        priced.look("acc", START, [seen("ep", RUNNING, 1)], took=timedelta(milliseconds=700))
        assert shapes(priced) == [(1, None, "observed", (1, 1, 1))]

    def test_a_new_endpoint_may_have_run_since_the_look_that_did_not_show_it(
        self, priced: Fleet
    ) -> None:
        priced.look("acc", START)
        priced.endpoints("acc", "ep")
        new = seen("ep", RUNNING, 1, created_at=after(seconds=20))
        priced.look("acc", after(seconds=60), [new])
        assert shapes(priced) == [
            (0, 20, "transition", (0, 0, 2)),
            (20, 60, "transition", (0, 1, 2)),
            (60, None, "observed", (1, 1, 1)),
        ]

    def test_a_date_of_creation_shortens_the_doubt_after_a_long_gap(self, priced: Fleet) -> None:
        priced.look("acc", START)
        priced.endpoints("acc", "ep")
        priced.look("acc", after(hours=9), [seen("ep", RUNNING, 1, created_at=after(hours=8))])
        first = priced.ledger("ep")[0]
        assert (first.evidence, first.started_at) == ("unobserved", after(hours=7, minutes=59))

    def test_an_asleep_endpoint_is_metered_too_and_needs_no_price(self, priced: Fleet) -> None:
        priced.endpoints("acc", "ep")
        unknown = seen("ep", PAUSED, hardware=A100)
        priced.look("acc", START, [unknown])
        assert shapes(priced) == [(0, None, "observed", (0, 0, 0))]
        assert [each.burn_high for each in priced.ledger("ep")] == [0]

    def test_hardware_without_a_price_is_unpriced_and_said_so_once(self, fleet: Fleet) -> None:
        fleet.account("acc")
        fleet.endpoints("acc", "ep")
        notes = fleet.look("acc", START, [seen("ep", RUNNING, 1)])
        again = fleet.look("acc", after(minutes=1), [seen("ep", RUNNING, 2)])
        row = fleet.ledger("ep")[-1]
        assert (row.burn_low, row.burn, row.burn_high) == (None, None, None)
        assert [each.kind for each in notes + again] == ["meter.unpriced"]


class TestChange:
    def test_looks_at_an_unchanged_account_write_nothing(self, priced: Fleet) -> None:
        priced.endpoints("acc", "ep")
        same = seen("ep", RUNNING, 1)
        priced.look("acc", START, [same])
        before = priced.ledger("ep")
        priced.look("acc", after(minutes=1))
        priced.look("acc", after(minutes=2), [same])
        assert priced.ledger("ep") == before

    def test_scaling_by_itself_is_bounded_by_both_states(self, priced: Fleet) -> None:
        priced.endpoints("acc", "ep", most=9)
        priced.look("acc", START, [seen("ep", RUNNING, 1, most=9)])
        priced.look("acc", after(seconds=60), [seen("ep", RUNNING, 3, most=9)])
        assert shapes(priced) == [
            (0, 30, "transition", (1, 1, 3)),
            (30, 60, "transition", (1, 3, 3)),
            (60, None, "observed", (3, 3, 3)),
        ]

    def test_a_change_by_somebody_may_have_been_several(self, priced: Fleet) -> None:
        priced.endpoints("acc", "ep")
        priced.look("acc", START, [seen("ep", RUNNING, 1)])
        now = seen("ep", PAUSED, moved=True, updated_at=after(seconds=100))
        priced.look("acc", after(seconds=60))
        priced.look("acc", after(seconds=120), [now])
        assert shapes(priced) == [
            (0, 60, "observed", (1, 1, 1)),
            (60, 100, "transition", (0, 1, 2)),
            (100, 120, "transition", (0, 0, 2)),
            (120, None, "observed", (0, 0, 0)),
        ]

    def test_a_change_that_was_undone_between_two_looks_is_a_doubt(self, priced: Fleet) -> None:
        priced.endpoints("acc", "ep")
        priced.look("acc", START, [seen("ep", PAUSED)])
        priced.look("acc", after(seconds=60), [seen("ep", PAUSED, moved=True)])
        assert shapes(priced) == [
            (0, 60, "transition", (0, 0, 2)),
            (60, None, "observed", (0, 0, 0)),
        ]

    def test_new_hardware_is_bounded_by_the_dearer_price(self, priced: Fleet) -> None:
        priced.endpoints("acc", "ep")
        priced.look("acc", START, [seen("ep", RUNNING, 2)])
        now = seen("ep", RUNNING, 1, hardware=A100, moved=True, updated_at=after(seconds=30))
        priced.look("acc", after(seconds=60), [now])
        burns = [(each.burn_low, each.burn, each.burn_high) for each in priced.ledger("ep")]
        assert burns == [
            (0, 2 * DOLLAR, 8 * DOLLAR),
            (0, 4 * DOLLAR, 8 * DOLLAR),
            (4 * DOLLAR, 4 * DOLLAR, 4 * DOLLAR),
        ]

    def test_states_of_which_billing_is_unclear_carry_both_bounds(self, priced: Fleet) -> None:
        priced.endpoints("acc", "ep")
        pending = Observation(
            endpoint_id="ep",
            status=Status.PENDING,
            billed=BilledReplicas(0, 0, 1),
            hardware_key=L4.key,
        )
        priced.look("acc", START, [pending])
        row = priced.ledger("ep")[0]
        assert (row.burn_low, row.burn, row.burn_high) == (0, 0, DOLLAR)

    def test_a_run_may_be_rounded_to_whole_minutes(self, priced: Fleet) -> None:
        priced.endpoints("acc", "ep", most=1)
        priced.look("acc", START, [seen("ep", ZERO, most=1)])
        priced.look("acc", after(seconds=60), [seen("ep", RUNNING, 1, most=1)])
        priced.look("acc", after(seconds=900), [])
        roundings = [each.rounding_nano for each in priced.ledger("ep")]
        assert sum(roundings) >= DOLLAR // 60
        assert roundings[0] == 0, "what is not yet in the lower bound cannot be taken from it"

    def test_the_cause_is_kept_and_a_new_one_splits_without_doubt(self, priced: Fleet) -> None:
        priced.endpoints("acc", "ep")
        priced.look("acc", START, [seen("ep", RUNNING, 1, cause="schedule:Office")])
        priced.look("acc", after(seconds=60), [seen("ep", RUNNING, 1)])
        priced.look("acc", after(seconds=120), [seen("ep", RUNNING, 1, cause="person:ana")])
        causes = [(each.cause, each.evidence) for each in priced.ledger("ep")]
        assert causes == [("schedule:Office", "observed"), ("person:ana", "observed")]
        assert shapes(priced)[0][:2] == (0, 120)

    def test_a_deleted_endpoint_has_no_open_interval(self, priced: Fleet) -> None:
        priced.endpoints("acc", "ep")
        priced.look("acc", START, [seen("ep", RUNNING, 1)])
        priced.look("acc", after(seconds=60), [gone("ep")])
        priced.look("acc", after(seconds=120), [gone("ep")])
        assert shapes(priced) == [
            (0, 30, "transition", (0, 1, 2)),
            (30, 60, "transition", (0, 0, 2)),
        ]

    def test_a_run_that_is_deleted_in_the_second_in_which_it_was_seen_keeps_its_rounding(
        self, priced: Fleet
    ) -> None:
        priced.endpoints("acc", "ep", most=1)
        priced.look("acc", START, [seen("ep", PAUSED, most=1)])
        priced.look("acc", after(seconds=60), [seen("ep", RUNNING, 1, most=1, moved=True)])
        priced.look("acc", after(seconds=60), [gone("ep")])
        priced.look("acc", after(seconds=60), [gone("ep")])
        rows = priced.ledger("ep")
        assert shapes(priced)[-1] == (60, 61, "transition", (0, 0, 1))
        assert sum(each.rounding_nano for each in rows) >= DOLLAR // 60

    def test_an_endpoint_that_is_back_leaves_no_hole(self, priced: Fleet) -> None:
        priced.endpoints("acc", "ep")
        priced.look("acc", START, [seen("ep", RUNNING, 1)])
        priced.look("acc", after(seconds=60), [gone("ep")])
        priced.looks("acc", until=after(minutes=9))
        priced.look("acc", after(minutes=10), [seen("ep", RUNNING, 1)])
        ends = [(each[0], each[1]) for each in shapes(priced)]
        assert ends == [(0, 30), (30, 60), (60, 330), (330, 600), (600, None)]


class TestDowntime:
    def test_a_long_gap_is_unobserved_for_every_endpoint(self, priced: Fleet) -> None:
        priced.endpoints("acc", "one", "two")
        priced.look("acc", START, [seen("one", RUNNING, 1), seen("two", ZERO)])
        notes = priced.look("acc", after(hours=2), [seen("two", RUNNING, 2)])
        assert shapes(priced, "one") == [
            (0, 7200, "unobserved", (0, 1, 2)),
            (7200, None, "observed", (1, 1, 1)),
        ]
        assert [each[2:] for each in shapes(priced, "two")] == [
            ("unobserved", (0, 0, 2)),
            ("unobserved", (0, 2, 2)),
            ("observed", (2, 2, 2)),
        ]
        assert [(each.kind, each.endpoint_ids) for each in notes] == [
            ("meter.unobserved", ("two", "one"))
        ]

    def test_what_is_paused_before_and_after_without_a_trace_was_paused(
        self, priced: Fleet
    ) -> None:
        priced.endpoints("acc", "ep")
        priced.look("acc", START, [seen("ep", PAUSED)])
        notes = priced.look("acc", after(hours=2))
        assert shapes(priced) == [(0, None, "observed", (0, 0, 0))]
        assert notes == []

    def test_nothing_is_vouched_for_what_the_look_did_not_show(self, priced: Fleet) -> None:
        priced.endpoints("acc", "ep")
        priced.look("acc", START, [seen("ep", RUNNING, 1)])
        priced.look("acc", after(hours=2), unseen=["ep"])
        assert shapes(priced) == [(0, None, "observed", (1, 1, 1))]

    def test_the_same_pass_twice_writes_nothing_new(self, priced: Fleet) -> None:
        priced.endpoints("acc", "one", "two")
        priced.look("acc", START, [seen("one", RUNNING, 1), seen("two", RUNNING, 1)])
        priced.look("acc", after(hours=2), [seen("one", RUNNING, 2)])
        before = [*priced.ledger("one"), *priced.ledger("two")]
        with priced.database.write() as session:
            account = session.get_one(Account, "acc")
            account.confirmed_at = START
            session.add(account)
        priced.look("acc", after(hours=2), [seen("one", RUNNING, 2)])
        assert [*priced.ledger("one"), *priced.ledger("two")] == before


class TestClock:
    def test_a_clock_set_back_widens_and_tells(self, priced: Fleet) -> None:
        priced.endpoints("acc", "ep")
        priced.look("acc", after(hours=1), [seen("ep", RUNNING, 1)])
        notes = priced.look("acc", START)
        (row,) = priced.ledger("ep")
        assert row.rounding_nano >= DOLLAR, "an hour was lived twice"
        assert [each.kind for each in notes] == ["meter.clock_went_back"]

    def test_a_change_seen_before_the_interval_began_replaces_it(self, priced: Fleet) -> None:
        priced.endpoints("acc", "ep")
        priced.look("acc", after(hours=1), [seen("ep", RUNNING, 1)])
        priced.look("acc", START)
        priced.look("acc", after(minutes=1), [seen("ep", PAUSED, moved=True)])
        assert shapes(priced) == [(3600, None, "observed", (0, 0, 0))]


class TestSingleReads:
    def test_a_direct_read_meters_one_endpoint_and_leaves_the_others(self, priced: Fleet) -> None:
        priced.endpoints("acc", "one", "two")
        priced.look("acc", START, [seen("one", RUNNING, 1), seen("two", RUNNING, 1)])
        with priced.database.write() as session:
            meter_endpoints(
                session,
                account_id="acc",
                confirmed_at=START,
                seen_at=after(seconds=10),
                gap_limit=GAP_LIMIT,
                observations=[seen("one", PAUSED, moved=True, updated_at=after(seconds=5))],
            )
        assert [each[:2] for each in shapes(priced, "one")] == [(0, 5), (5, 10), (10, None)]
        assert [each[:2] for each in shapes(priced, "two")] == [(0, None)]

    def test_an_account_that_is_given_up_burns_nothing_more(self, priced: Fleet) -> None:
        priced.endpoints("acc", "ep")
        priced.look("acc", START, [seen("ep", RUNNING, 1)])
        with priced.database.write() as session:
            ended = stop_metering(session, account_id="acc", confirmed_at=after(hours=1))
        assert ended == {"ep": after(hours=1)}
        assert shapes(priced) == [(0, 3600, "observed", (1, 1, 1))]
        with priced.database.read() as session:
            assert burn_now(session).total.high == 0

    def test_an_account_that_is_given_up_at_once_keeps_the_rounding_of_what_ran(
        self, priced: Fleet
    ) -> None:
        priced.endpoints("acc", "ep")
        priced.look("acc", START, [seen("ep", RUNNING, 1)])
        with priced.database.write() as session:
            stop_metering(session, account_id="acc", confirmed_at=START)
        assert [each.rounding_nano for each in priced.ledger("ep")] == [-(-DOLLAR // 60)]
