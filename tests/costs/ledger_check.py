"""What makes a ledger right: no gap, no overlap, the true bill within narrow bounds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise

from orchestrator.costs.days import epoch
from orchestrator.costs.observe import observe
from orchestrator.costs.rates import reprice
from orchestrator.costs.stretch import whole_second
from orchestrator.costs.sums import Span, Sum, until
from orchestrator.domain.money import amount_for
from orchestrator.domain.status import Status
from orchestrator.store.ledger import Stretch
from tests.costs.histories import GAP_LIMIT_S, MAX_REPLICAS
from tests.costs.reference_cloud import (
    T0,
    Books,
    DiskBooks,
    Disks,
    Planner,
    Repricer,
    Scenario,
    bill,
    ceil_second_ms,
    to_ms,
)

MINUTE_S = 60


def kept(scenario: Scenario, planner: Planner = observe, repricer: Repricer = reprice) -> Books:
    books = Books(scenario, planner, repricer)
    books.run()
    return books


def added_up(rows: Sequence[Stretch], end: int) -> Sum:
    total = Sum()
    for row in rows:
        last = end if row.ended_at is None else min(end, epoch(row.ended_at))
        span = Span(
            epoch(row.started_at),
            row.replicas,
            row.burn_low,
            row.burn,
            row.burn_high,
            row.rounding_nano,
        )
        total.add(until(span, last))
    return total


def measured_end(books: Books) -> int:
    """The end of the measured time in true milliseconds: the last look, or the deletion."""
    confirmed = to_ms(whole_second(T0 + timedelta(milliseconds=books.confirmed or 0)))
    ended = books.rows[-1].ended_at
    return confirmed if ended is None else max(confirmed, to_ms(ended))


def faults(
    scenario: Scenario, planner: Planner = observe, repricer: Repricer = reprice
) -> list[str]:
    """What is wrong with the ledger of a scenario in which the clock was never set."""
    return _faults(kept(scenario, planner, repricer), scenario)


def kept_disks(scenario: Scenario, disks: Disks, planner: Planner = observe) -> DiskBooks:
    books = DiskBooks(scenario, planner, disks=disks)
    books.run()
    return books


def disk_faults(scenario: Scenario, disks: Disks, planner: Planner = observe) -> list[str]:
    """What is wrong with the ledger of the disks of such a scenario."""
    return _faults(kept_disks(scenario, disks, planner), disks.history(scenario))


def _faults(books: Books, scenario: Scenario) -> list[str]:
    if not books.rows:
        return []
    found = shape_faults(books.rows)
    end = measured_end(books)
    total = added_up(books.rows, epoch(T0) + end // 1000)
    true = bill(scenario, to_ms(books.rows[0].started_at), end)
    slack = len(books.rows)
    if not total.low - slack <= true <= total.high + slack:
        found.append(f"bill {float(true)} outside {total.low}..{total.high}")
    if not total.low <= total.nano <= total.high:
        found.append("expected outside bounds")
    return found


def shape_faults(rows: Sequence[Stretch]) -> list[str]:
    found = [
        f"{one.ended_at} then {two.started_at}"
        for one, two in pairwise(rows)
        if one.ended_at != two.started_at
    ]
    found += [
        f"no length: {each}"
        for each in rows
        if each.ended_at is not None and each.ended_at <= each.started_at
    ]
    found += ["an open row that is not the last" for each in rows[:-1] if each.ended_at is None]
    found += [
        f"bounds out of order: {each}"
        for each in rows
        if not (each.burn_low or 0) <= (each.burn or 0) <= (each.burn_high or 0)
        or not each.replicas_low <= each.replicas <= each.replicas_high
    ]
    return found


def clock_faults(scenario: Scenario) -> list[str]:
    """What is wrong with the ledger of a scenario in which the clock was set now and then."""
    books = kept(scenario)
    label = epoch(whole_second(scenario.local(books.confirmed or 0)))
    total = added_up(books.rows, max(label, epoch(books.rows[-1].started_at) + 1))
    true = bill(scenario, ceil_second_ms(scenario.looks[0].answered), scenario.looks[-1].asked)
    unseen = sum(min(abs(by) // 1000, GAP_LIMIT_S) + 2 for _, by in scenario.steps)
    slack = amount_for(MAX_REPLICAS * 3_800_000_000, unseen)
    within = total.low - slack <= true <= total.high + slack
    wrong = f"bill {float(true)} outside {total.low}..{total.high} by more than {slack}"
    return shape_faults(books.rows) + ([] if within else [wrong])


def certain(status: Status) -> Status:
    """A state of which it is known how many replicas are billed."""
    return Status.RUNNING if status is Status.INITIALIZING else status


def doubtful_seconds(scenario: Scenario) -> int:
    """Gaps with a change or beyond the limit, in seconds, with the rounding of one run each."""
    marks = [each.at for each in scenario.changes]
    marks += [] if scenario.deleted is None else [scenario.deleted]
    looks = [each for each in scenario.looks if not each.lost]
    seconds = 2 * MINUTE_S
    for one, two in pairwise(looks):
        length = two.answered - one.asked
        changed = any(one.asked <= mark <= two.answered for mark in marks)
        if changed or length > GAP_LIMIT_S * 1000:
            seconds += length // 1000 + 3 + 2 * MINUTE_S
    return seconds
