"""I1 against the clouds' own bills: what they charge lies inside the ledger's band."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime

from sqlmodel import col, select

from orchestrator.costs.report import CostReport, cost_report
from orchestrator.sandbox.world import World
from orchestrator.store.database import Database
from orchestrator.store.ledger_reads import last_looks
from orchestrator.store.tables import Endpoint, MeterInterval
from tests.simulator.places import AWS_ACCOUNT, REGION, SAGEMAKER, START, Cloud
from tests.simulator.tally import TALLY
from tests.simulator.universe import Universe

# Amounts are rounded once on either side.
ROUNDING_NANO = 2
# While SageMaker does not yet show a new configuration, up to 20 s, its disks are not known.
UNSEEN_DISKS_NANO = 100_000
# What a second of the dearest endpoint may cost, where our clock was wrong by some.
NANO_PER_SECOND = 20_000_000_000 // 3600


def check_bill(universe: Universe, clouds: tuple[Cloud, ...]) -> None:
    """Fail where a cloud charges what the ledger does not allow for, endpoint by endpoint."""
    since, now = START, universe.wall.now()
    if now <= since:
        return  # our clock was set back so far
    report = _report(universe.database, since, now, now)
    end = report.measured_until
    if end is None or end <= since or report.unpriced:
        return
    _compare(universe, clouds, end)
    TALLY.add("bills compared", "all")
    until, names = _seen_last(universe.database, end, now)
    if names:
        _compare(universe, clouds, until, names)
        TALLY.add("bills compared", "of what was looked at after the whole")


def _compare(
    universe: Universe, clouds: tuple[Cloud, ...], end: datetime, only: set[str] | None = None
) -> None:
    report = _report(universe.database, START, end, universe.wall.now())
    disks = UNSEEN_DISKS_NANO if SAGEMAKER in clouds else 0
    slack = ROUNDING_NANO + disks + int(universe.wrong.total_seconds() * NANO_PER_SECOND)
    charged = billed(universe.world, clouds, START, end)
    band: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for item in report.items:
        band[item.name][0] += item.figure.low
        band[item.name][1] += item.figure.high
    later = _roundings_after(universe.database, end)
    for name in {*charged, *band} if only is None else only:
        low, high = band[name][0], band[name][1] + later.get(name, 0)
        assert low - slack <= charged[name] <= high + slack, (name, low, charged[name], high, end)


def _seen_last(database: Database, end: datetime, now: datetime) -> tuple[datetime, set[str]]:
    """Return the newest look at single endpoints after the last whole one, and at which."""
    with database.read() as session:
        looks = [each for each in last_looks(session) if each.live and end < each.until <= now]
    last = max((each.until for each in looks), default=end)
    return last, {each.name for each in looks if each.until == last}


def _roundings_after(database: Database, end: datetime) -> dict[str, int]:
    """Return the roundings that the ledger keeps just behind `end` for runs inside of it.

    It says so: what ends inside the gap in which a run began may not yet hold its rounding.
    """
    query = (
        select(Endpoint.name, MeterInterval)
        .join(MeterInterval, col(MeterInterval.endpoint_id) == col(Endpoint.id))
        .where(MeterInterval.started_at >= end)
        .order_by(col(MeterInterval.started_at).desc())
    )
    with database.read() as session:
        # Of several behind it only the first of each stream may hold what belongs before.
        first = {(row.endpoint_id, row.component): (name, row) for name, row in session.exec(query)}
    found: dict[str, int] = defaultdict(int)
    for name, row in first.values():
        found[name] += row.rounding_nano
    return found


def _report(database: Database, start: datetime, end: datetime, now: datetime) -> CostReport:
    with database.read() as session:
        return cost_report(session, start=start, end=end, now=now)


def billed(
    world: World, clouds: tuple[Cloud, ...], start: datetime, end: datetime
) -> dict[str, int]:
    """Return what the clouds charge between two instants, by endpoint, in nano-dollars."""
    found: dict[str, int] = defaultdict(int)
    for cloud in clouds:
        lines = (
            world.aws.bill(AWS_ACCOUNT, REGION, start, end)
            if cloud is SAGEMAKER
            else world.bill(cloud.namespace, start=start, end=end)
        )
        for line in lines:
            found[line.name] += line.nano_usd
    return found
