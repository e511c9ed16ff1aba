"""What the first page and `/v1/overview` show: money first, then what runs and why.

A fixed number of statements, whatever the size of the fleet; no clock, no network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from sqlmodel import Session

from orchestrator.costs import report
from orchestrator.costs.figures import Burn, Figure
from orchestrator.costs.report import NO_LABEL, BurnNow, CostReport
from orchestrator.store import accounts, freeze, holds, ledger_reads, operations
from orchestrator.store import overview as reads
from orchestrator.store.freeze import Freeze
from orchestrator.store.ledger_reads import SpanFilter
from orchestrator.store.overview import TEAM, FleetQuery, FleetRecord
from orchestrator.store.tables import Account, Endpoint, Hold, Operation
from orchestrator.store.vouching import vouched_for

STALE_AFTER = timedelta(minutes=2)
DAYS = 30
PAGE_SIZE = 100
HEALTHY = frozenset({"ok", "new"})


@dataclass(frozen=True, slots=True)
class AccountLine:
    """An account and how old what we know of it is; `measured_at` is None before the first look."""

    id: str
    name: str
    provider: str
    namespace: str
    health: str
    health_detail: str
    health_since: datetime | None
    measured_at: datetime | None
    endpoints: int
    stale: bool
    frozen: Freeze | None

    @property
    def healthy(self) -> bool:
        """Whether the last look at it went well, or none has been made yet."""
        return self.health in HEALTHY


@dataclass(frozen=True, slots=True)
class TeamLine:
    """A team's endpoints, what they burn now, and their cost of this month; empty: no team."""

    team: str
    endpoints: int
    burn: Burn
    month: Figure


@dataclass(frozen=True, slots=True)
class DayLine:
    """The cost of one UTC day, whole and by team."""

    day: date
    total: Figure
    teams: Mapping[str, Figure]


@dataclass(frozen=True, slots=True)
class FleetRow:
    """One endpoint of the table with all that its row shows."""

    record: FleetRecord
    month: Figure
    operation: Operation | None
    holds: Sequence[Hold]
    rules: Sequence[str]
    confirmed_at: datetime
    stale: bool


@dataclass(frozen=True, slots=True)
class Fleet:
    """One page of the table; `total` counts what matches on all pages."""

    rows: tuple[FleetRow, ...]
    total: int
    page: int
    pages: int


@dataclass(frozen=True, slots=True)
class Overview:
    """The whole picture at one instant; burn is nano-dollars per hour, figures nano-dollars."""

    now: datetime
    month_start: datetime
    month_end: datetime
    accounts: tuple[AccountLine, ...]
    counts: Mapping[str, int]
    unmanaged: int
    burn: Burn
    billed: int
    month: Figure
    teams: tuple[TeamLine, ...]
    days: tuple[DayLine, ...]
    measured_until: datetime | None
    frozen: Freeze | None
    fleet: Fleet

    @property
    def endpoints(self) -> int:
        """How many live endpoints there are."""
        return sum(self.counts.values())

    @property
    def burn_per_day(self) -> int:
        """What a day costs at the present rate, in nano-dollars."""
        return self.burn.nano * 24

    @property
    def month_at_rate(self) -> int:
        """What the month will have cost if the present rate stays, in nano-dollars."""
        left = (self.month_end - self.now) // timedelta(seconds=1)
        return self.month.nano + self.burn.nano * left // 3600


def month_bounds(now: datetime) -> tuple[datetime, datetime]:
    """Return the first instants of the UTC month of `now` and of the next one."""
    start = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return start, (start + timedelta(days=32)).replace(day=1)


def overview(
    session: Session, now: datetime, query: FleetQuery, page: int = 1, *, days: int = DAYS
) -> Overview:
    """Return the overview with one page of the endpoints that match; pages count from 1.

    The ledger is read once, from the earlier of the month's start and `days` days ago; 0 leaves
    the days out.
    """
    start, end = month_bounds(now)
    known = accounts.live(session)
    burning = report.burn_now(session)
    spent = _spent(session, start, now, days)
    month = _since(spent, start)
    return Overview(
        now=now,
        month_start=start,
        month_end=end,
        accounts=tuple(account_line(account, now) for account in known),
        counts=reads.state_counts(session),
        unmanaged=sum(reads.unmanaged(session).values()),
        burn=burning.total,
        billed=sum(1 for burn in burning.endpoints.values() if burn.high or burn.unpriced),
        month=sum(month.values(), Figure()),
        teams=_teams(session, burning, month),
        days=_last(spent, now, days) if days else (),
        measured_until=min((a.confirmed_at for a in known if a.confirmed_at), default=None),
        frozen=freeze.everywhere(session),
        fleet=fleet(session, now, query, page, {one.id: one for one in known}),
    )


def account_line(account: Account, now: datetime) -> AccountLine:
    """Return an account with the age of what is known of it."""
    fresh_from = account.confirmed_at or account.created_at
    return AccountLine(
        id=account.id,
        name=account.name,
        provider=account.provider,
        namespace=account.namespace,
        health=account.health,
        health_detail=account.health_detail,
        health_since=account.health_since,
        measured_at=account.confirmed_at,
        endpoints=account.endpoint_count,
        stale=now - fresh_from > STALE_AFTER,
        frozen=freeze.of_account(account),
    )


def fleet(
    session: Session,
    now: datetime,
    query: FleetQuery,
    page: int,
    known: Mapping[str, Account],
) -> Fleet:
    """Return one page of the endpoints that match; a page past the end is the last one."""
    total = reads.fleet_count(session, query)
    pages = max(1, -(-total // PAGE_SIZE))
    page = min(max(page, 1), pages)
    first = (page - 1) * PAGE_SIZE
    if query.sort.removeprefix("-") == "month":
        ids = reads.fleet_ids(session, query)
        ids = _by_month(session, now, ids, descending=query.sort.startswith("-"))
        shown = ids[first : first + PAGE_SIZE]
    else:
        shown = reads.fleet_ids(session, query, limit=PAGE_SIZE, offset=first)
    return Fleet(_rows(session, now, shown, known), total, page, pages)


def _by_month(
    session: Session, now: datetime, ids: Sequence[str], *, descending: bool
) -> list[str]:
    spent = report.month_to_date(session, now).endpoints
    order = -1 if descending else 1
    return sorted(ids, key=lambda one: order * spent.get(one, Figure()).nano)


def _rows(
    session: Session, now: datetime, ids: Sequence[str], known: Mapping[str, Account]
) -> tuple[FleetRow, ...]:
    if not ids:
        return ()
    spent = report.month_to_date(session, now, endpoint_ids=ids).endpoints
    under_way = operations.active_of(session, ids)
    held = holds.active_of(session, ids, now)
    rules = reads.bound_rules(session, ids)
    return tuple(
        FleetRow(
            record=record,
            month=spent.get(record.endpoint.id, Figure()),
            operation=under_way.get(record.endpoint.id),
            holds=held.get(record.endpoint.id, ()),
            rules=rules.get(record.endpoint.id, ()),
            confirmed_at=(seen := confirmed_at(record.endpoint, known)),
            stale=now - seen > STALE_AFTER,
        )
        for record in reads.fleet_records(session, ids)
    )


def confirmed_at(endpoint: Endpoint, known: Mapping[str, Account]) -> datetime:
    """Return when an endpoint was last seen: itself, or in a whole listing of its account."""
    return vouched_for(known.get(endpoint.account_id), endpoint)


def _teams(session: Session, burning: BurnNow, spent: Mapping[str, Figure]) -> tuple[TeamLine, ...]:
    """Teams by cost of the month; the endpoints without a team come last."""
    sizes = reads.team_sizes(session)
    burns = _burn_by_team(session, burning)
    lines = [
        TeamLine(team, sizes.get(team, 0), burns.get(team, Burn()), spent.get(team, Figure()))
        for team in sizes.keys() | spent.keys() | burns.keys()
    ]
    return tuple(sorted(lines, key=lambda one: (not one.team, -one.month.nano, one.team)))


def _burn_by_team(session: Session, burning: BurnNow) -> dict[str, Burn]:
    team_of = ledger_reads.labels_of(session, TEAM)
    burns: dict[str, Burn] = {}
    for endpoint_id, burn in burning.endpoints.items():
        team = team_of.get(endpoint_id, "")
        burns[team] = burns.get(team, Burn()) + burn
    return burns


def _team(key: str) -> str:
    return "" if key == NO_LABEL else key


def _spent(session: Session, month: datetime, now: datetime, days: int) -> CostReport:
    """Return what each team cost on each day since the month began, and for `days` days at least.

    The parts of any split add up, so that the month is the sum of its days to the nano-dollar.
    """
    start = min(month, _midnight(now) - timedelta(days=days - 1)) if days else month
    return report.cost_report(
        session,
        start=start,
        end=now,
        now=now,
        group_by=f"label:{TEAM}",
        by_day=bool(days),
        filters=SpanFilter(idle=False),
    )


def _since(spent: CostReport, start: datetime) -> dict[str, Figure]:
    """Return what each team cost since an instant at which a day began."""
    if not spent.days:
        return {_team(line.key): line.figure for line in spent.items}
    return {
        _team(line.key): sum(
            (cost.figure for cost in line.days if cost.day >= start.date()), Figure()
        )
        for line in spent.items
    }


def _last(spent: CostReport, now: datetime, days: int) -> tuple[DayLine, ...]:
    first = (_midnight(now) - timedelta(days=days - 1)).date()
    teams: dict[date, dict[str, Figure]] = {}
    for line in spent.items:
        for cost in line.days:
            teams.setdefault(cost.day, {})[_team(line.key)] = cost.figure
    return tuple(
        DayLine(cost.day, cost.figure, teams.get(cost.day, {}))
        for cost in spent.days
        if cost.day >= first
    )


def _midnight(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
