"""The whole picture in one answer."""

from __future__ import annotations

from pydantic import Field

from orchestrator.api.schemas.accounts import FreezeOut, freeze_out
from orchestrator.api.schemas.base import Answer, Instant
from orchestrator.api.schemas.money import Money, decimal_text, money
from orchestrator.costs.figures import Burn
from orchestrator.services.overview import AccountLine, Overview, TeamLine


class BurnOut(Answer):
    """Dollars per hour with bounds; `unpriced` endpoints run at unknown prices beside it."""

    amount: str = Field(examples=["12.300000000"])
    low: str
    high: str
    currency: str = "USD"
    unpriced: int


class TeamOut(Answer):
    """What a team has and spends; the empty name is for endpoints without a team."""

    team: str
    endpoints: int
    burn_per_hour: BurnOut
    month_to_date: Money


class AccountLineOut(Answer):
    """An account, and how old what we know of it is."""

    id: str
    name: str
    provider: str
    namespace: str
    health: str
    health_detail: str
    observed_at: Instant | None
    stale: bool
    endpoints: int
    frozen: FreezeOut | None


class OverviewOut(Answer):
    """What runs, what it costs, and how fresh that is."""

    now: Instant
    burn_per_hour: BurnOut
    month_start: Instant
    month_to_date: Money
    measured_until: Instant | None
    endpoints: int
    unmanaged: int
    counts: dict[str, int] = Field(examples=[{"running": 3, "paused": 5}])
    by_team: list[TeamOut]
    accounts: list[AccountLineOut]
    frozen: FreezeOut | None


def overview_out(found: Overview) -> OverviewOut:
    """Return the overview as it is answered."""
    return OverviewOut(
        now=found.now,
        burn_per_hour=_burn(found.burn),
        month_start=found.month_start,
        month_to_date=money(found.month),
        measured_until=found.measured_until,
        endpoints=found.endpoints,
        unmanaged=found.unmanaged,
        counts=dict(found.counts),
        by_team=[_team(line) for line in found.teams],
        accounts=[_account(line) for line in found.accounts],
        frozen=freeze_out(found.frozen),
    )


def _burn(burn: Burn) -> BurnOut:
    return BurnOut(
        amount=decimal_text(burn.nano),
        low=decimal_text(burn.low),
        high=decimal_text(burn.high),
        unpriced=burn.unpriced,
    )


def _team(line: TeamLine) -> TeamOut:
    return TeamOut(
        team=line.team,
        endpoints=line.endpoints,
        burn_per_hour=_burn(line.burn),
        month_to_date=money(line.month),
    )


def _account(line: AccountLine) -> AccountLineOut:
    return AccountLineOut(
        id=line.id,
        name=line.name,
        provider=line.provider,
        namespace=line.namespace,
        health=line.health,
        health_detail=line.health_detail,
        observed_at=line.measured_at,
        stale=line.stale,
        endpoints=line.endpoints,
        frozen=freeze_out(line.frozen),
    )
