"""Endpoints with all that is shown of them, gathered in a fixed number of statements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from orchestrator.costs.figures import Figure
from orchestrator.costs.report import month_to_date
from orchestrator.domain.decide import Considered, Decision, Rule, decide
from orchestrator.domain.status import Wish
from orchestrator.services.clicks import facts_of
from orchestrator.store import accounts, endpoints, holds, operations
from orchestrator.store.tables import Account, Endpoint, Hold, Label, MeterInterval, Operation

_NOT_SO = {
    Rule.NOT_MANAGED: "it is managed",
    Rule.FROZEN: "nothing is frozen",
    Rule.DELETION: "nobody asked for its deletion",
}


@dataclass(frozen=True, slots=True)
class EndpointView:
    """One endpoint; `burn` is nano-dollars per hour, None where it runs at an unknown price."""

    endpoint: Endpoint
    account: Account
    labels: Sequence[Label]
    holds: Sequence[Hold]
    operation: Operation | None
    burn: int | None
    month: Figure


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why an endpoint is wanted so at an instant, and what comes next."""

    decision: Decision
    considered: tuple[Considered, ...]
    next_at: datetime | None
    next_wish: Wish | None


def views(session: Session, rows: Sequence[Endpoint], now: datetime) -> list[EndpointView]:
    """Return endpoints with what is shown of them, in the order given."""
    ids = [row.id for row in rows]
    owners = accounts.by_ids(session, {row.account_id for row in rows})
    labels = endpoints.labels_of(session, ids)
    held = holds.active_of(session, ids, now)
    active = operations.active_of(session, ids)
    metered = endpoints.open_intervals(session, ids)
    months = month_to_date(session, now, endpoint_ids=ids).endpoints if ids else {}
    return [
        EndpointView(
            endpoint=row,
            account=owners[row.account_id],
            labels=labels.get(row.id, []),
            holds=held.get(row.id, []),
            operation=active.get(row.id),
            burn=_burn(row, metered.get(row.id)),
            month=months.get(row.id, Figure()),
        )
        for row in rows
    ]


def view(session: Session, row: Endpoint, now: datetime) -> EndpointView:
    """Return one endpoint with what is shown of it."""
    return views(session, [row], now)[0]


def explain(session: Session, row: Endpoint, at: datetime) -> Explanation:
    """Return what the rules of today say of an endpoint at an instant, and why."""
    account = accounts.by_ids(session, [row.account_id])[row.account_id]
    decision = decide(facts_of(session, account, row, at), at)
    edge = decision.next_edge
    after = None if edge is None else decide(facts_of(session, account, row, edge), edge)
    return Explanation(decision, _in_order(decision), edge, None if after is None else after.wish)


def _burn(row: Endpoint, interval: MeterInterval | None) -> int | None:
    """An endpoint that is known to be asleep burns nothing; one that runs unmetered is unknown."""
    if interval is not None:
        return interval.burn
    return 0 if row.billed_high == 0 else None


def _in_order(decision: Decision) -> tuple[Considered, ...]:
    """Return every rule in order of precedence, also those that were not reached."""
    found: list[Considered] = []
    reached = True
    for rule in Rule:
        noted = [item for item in decision.considered if item.rule is rule]
        if noted:
            found += noted
        elif reached and rule in _NOT_SO:
            found.append(Considered(rule, "no_opinion", _NOT_SO[rule]))
        else:
            found.append(Considered(rule, "not_reached", "an earlier rule decided"))
        reached = reached and rule is not decision.rule
    return tuple(found)
