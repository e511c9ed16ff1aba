"""One endpoint: what it is, why it is so, what it cost, and what happened."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import APIRouter, Response
from sqlmodel import Session

from orchestrator.api.pages import charts, words
from orchestrator.api.pages.actions import actions_for
from orchestrator.api.pages.fleet import replicas, short_hardware
from orchestrator.api.pages.shell import PageOf, PageRoute
from orchestrator.api.pages.spending import axis
from orchestrator.costs import report
from orchestrator.costs.figures import Burn, Figure
from orchestrator.costs.report import CostReport, DayCost
from orchestrator.domain.decide import Rule
from orchestrator.domain.money import NANO
from orchestrator.services import expiry_policies, find, usual_times
from orchestrator.services.context import Context
from orchestrator.services.lengths import brief
from orchestrator.services.overview import STALE_AFTER, confirmed_at
from orchestrator.services.views import ComponentBurn, burning_components
from orchestrator.services.why import Line, Why, explain
from orchestrator.store import (
    accounts,
    endpoints,
    events,
    holds,
    ledger,
    operations,
    policies,
    schedules,
)
from orchestrator.store.endpoints import OURS
from orchestrator.store.events import EventFilter
from orchestrator.store.ledger import COMPUTE
from orchestrator.store.ledger_reads import SpanFilter
from orchestrator.store.operations import OperationFilter
from orchestrator.store.tables import (
    Binding,
    Endpoint,
    IdlePolicy,
    MeterInterval,
    Operation,
    Schedule,
)

router = APIRouter(route_class=PageRoute, include_in_schema=False)

TIMELINE = timedelta(days=7)
DAYS = 30
MOST_EVENTS = 30
MOST_LINES = 200
MOST_OPERATIONS = 10
_RULES = {
    Rule.NOT_MANAGED: "Managed?",
    Rule.FROZEN: "Freeze",
    Rule.DELETION: "Deletion",
    Rule.HOLD: "Holds",
    Rule.EXPIRED: "Expiry",
    Rule.SCHEDULE: "Schedules",
    Rule.IDLE: "Idle policies",
    Rule.STANDING: "Standing wish",
    Rule.QUOTA: "Quota",
}
_PRELIMINARY = frozenset({Rule.NOT_MANAGED, Rule.FROZEN, Rule.DELETION, Rule.EXPIRED})
_OUTCOMES = {
    "decided": "decides",
    "no_opinion": "says nothing",
    "not_yet": "not yet in force",
    "shadow": "would have decided (shadow)",
    "proposed": "proposes only: it is protected",
    "not_reached": "not reached",
}


@dataclass(frozen=True, slots=True)
class RuleLine:
    """One rule in the order in which they are asked."""

    name: str
    outcome: str
    said: str
    detail: str


@dataclass(frozen=True, slots=True)
class BoundRule:
    """A schedule or policy that binds the endpoint; `acts_from` is None where it acts already."""

    kind: str
    name: str
    link: str
    acts_from: datetime | None
    shadow: bool


@dataclass(frozen=True, slots=True)
class ComponentLine:
    """A component with its colour, what it costs now, if it runs, and in the days shown."""

    name: str
    fill: str
    now: ComponentBurn | None
    spent: Figure


@router.get("/endpoints/{ref:path}")
def endpoint_page(page: PageOf, ref: str) -> Response:
    """Show one endpoint, by id or by `account/name`."""
    with page.context.database.read() as session:
        endpoint = find.endpoint(session, ref)
        values = _values(session, endpoint, page.now)
    values["usual"] = _usual(page.context, values["operation"])
    return page.render("endpoint.html", "/", **values)


def _usual(context: Context, operation: Operation | None) -> str:
    """Return how long what is under way usually takes, where that is known."""
    if operation is None:
        return ""
    seconds = usual_times.usual_seconds(context, operation, make=False)
    return "" if seconds is None else brief(timedelta(seconds=seconds))


def _values(session: Session, endpoint: Endpoint, now: datetime) -> dict[str, Any]:
    account = accounts.by_ids(session, [endpoint.account_id])[endpoint.account_id]
    operation = operations.active_of(session, [endpoint.id]).get(endpoint.id)
    seen = confirmed_at(endpoint, {account.id: account})
    labels = endpoints.labels_of(session, [endpoint.id]).get(endpoint.id, [])
    why = None if endpoint.deleted_at else explain(session, endpoint, now, now)
    return {
        "at": endpoint,
        "account": account,
        "operation": operation,
        "stuck": words.stuck(operation, now) if operation else "",
        "actions": actions_for(endpoint, operation),
        "seen": seen,
        "stale": now - seen > STALE_AFTER,
        "hardware": short_hardware(endpoint.hardware_key, endpoint.accelerator),
        "replicas": replicas(endpoint),
        "labels": labels,
        "our_labels": ", ".join(f"{one.key}={one.value}" for one in labels if one.source == OURS),
        "why": why,
        "rules": rule_lines(why) if why else [],
        "bound": _bound(session, endpoint),
        "held": holds.active_of(session, [endpoint.id], now).get(endpoint.id, []),
        "spec": json.dumps(endpoint.spec, indent=2, sort_keys=True, ensure_ascii=False),
        **_history(session, endpoint),
        **_money(session, endpoint, now),
        **_timeline(session, endpoint, seen, now),
    }


def rule_lines(explanation: Why) -> list[RuleLine]:
    """Return the rules in order, without the preliminary ones that have nothing to say."""
    return [_rule_line(one) for one in explanation.lines if not _is_dull(one)]


def _is_dull(one: Line) -> bool:
    return one.rule in _PRELIMINARY and one.outcome == "no_opinion"


def _rule_line(one: Line) -> RuleLine:
    said = _OUTCOMES.get(one.outcome, one.outcome.replace("_", " "))
    detail = "" if one.outcome == "not_reached" else one.detail
    return RuleLine(_RULES[one.rule], one.outcome, said, detail)


def _bound(session: Session, endpoint: Endpoint) -> list[BoundRule]:
    bindings = schedules.bindings_of_endpoints(session, [endpoint.id]).get(endpoint.id, {})
    found = [_bound_rule(session, binding) for binding in bindings.values()]
    ends = [
        BoundRule("Expiry policy", row.name, f"/expiry-policies/{row.id}", None, shadow=False)
        for row in expiry_policies.covering(session, endpoint)
    ]
    return sorted([*ends, *(one for one in found if one)], key=lambda one: (one.kind, one.name))


def _bound_rule(session: Session, binding: Binding) -> BoundRule | None:
    rule: Schedule | IdlePolicy | None
    if binding.rule_kind == "schedule":
        link = f"/schedules/{binding.rule_id}"
        kind, rule = "Schedule", schedules.get(session, binding.rule_id)
    else:
        link = f"/policies/{binding.rule_id}"
        kind, rule = "Policy", policies.get(session, binding.rule_id)
    if rule is None or not rule.enabled:
        return None
    return BoundRule(kind, rule.name, link, binding.acts_from, rule.shadow)


def _history(session: Session, endpoint: Endpoint) -> dict[str, Any]:
    told = events.newest(session, EventFilter(endpoint_id=endpoint.id), MOST_EVENTS)
    wanted = OperationFilter(endpoint_id=endpoint.id)
    return {
        "events": told,
        "operations": operations.page(session, wanted, None, MOST_OPERATIONS),
    }


def _money(session: Session, endpoint: Endpoint, now: datetime) -> dict[str, Any]:
    ids = [endpoint.id]
    month = report.month_to_date(session, now, endpoint_ids=ids)
    spent = report.last_days(
        session, DAYS, now, group_by="component", filters=SpanFilter(endpoint_ids=ids)
    )
    running = endpoints.open_intervals(session, ids).get(endpoint.id, [])
    peak = max([0, *(one.figure.high for one in spent.days)])
    steps = [(step, axis(step)) for step in charts.scale_steps(peak, NANO)]
    slots = _slots(spent, now)
    return {
        "burn": burn_of(running),
        "month": month.endpoints.get(endpoint.id, Figure()),
        "month_name": f"{month.start:%B}",
        "days": spent.days[::-1],
        "total": spent.total,
        "components": component_lines(spent, running),
        "chart": charts.stack(slots, steps, width=600, height=170),
        "narrow_chart": charts.stack(charts.thinned(slots), steps, width=340, height=150),
    }


def burn_of(running: Sequence[MeterInterval]) -> Burn:
    """Return what an endpoint costs per hour, of all its components."""
    found = Burn()
    for one in running:
        known = one.burn_high is not None
        burn = Burn(one.burn or 0, one.burn_low or 0, one.burn_high or 0, 0 if known else 1)
        found = found.beside(burn)
    return found


def component_lines(spent: CostReport, running: Sequence[MeterInterval]) -> list[ComponentLine]:
    """Return what each component costs; nothing where there is compute alone."""
    now = {one.component: one for one in burning_components(running)}
    figures = {line.key: line.figure for line in spent.components}
    names = list(dict.fromkeys([*figures, *now]))
    if len(names) == 1:
        return []
    return [
        ComponentLine(name, f"fill-{index + 1}", now.get(name), figures.get(name, Figure()))
        for index, name in enumerate(names)
    ]


def _slots(spent: CostReport, now: datetime) -> list[charts.Slot]:
    """One column a day, its components above each other, compute at the foot."""
    of_group = {line.key: line.days for line in spent.items}
    found = []
    for index, one in enumerate(spent.days):
        parts = [
            (f"fill-{number + 1}", of_group[line.key][index].figure.nano)
            for number, line in enumerate(spent.components)
            if line.key in of_group
        ]
        found.append(_slot(one, parts, now))
    return found


def _slot(one: DayCost, parts: Sequence[tuple[str, int]], now: datetime) -> charts.Slot:
    today = one.day == now.astimezone(UTC).date()
    label = f"{one.day.day} {one.day:%b}" if one.day.day in {1, 8, 15, 22} else ""
    return charts.Slot(
        label="today" if today else label,
        parts=tuple(parts),
        low=one.figure.low,
        high=one.figure.high,
        title=f"{one.day:%a} {words.day(one.day)}: {words.money(one.figure)}",
        partial=today,
        incomplete=bool(one.figure.unpriced_seconds),
    )


def _timeline(
    session: Session, endpoint: Endpoint, seen: datetime, now: datetime
) -> dict[str, Any]:
    """An open interval is drawn to the last look that vouches for it, and no further."""
    start = now - TIMELINE
    spans = ledger.timeline(session, endpoint.id, start, now, COMPUTE)
    stretches = [_stretch(one, min(seen, now)) for one in spans]
    return {
        "timeline": charts.time_bar(stretches, start, now, width=1340),
        "narrow_timeline": charts.time_bar(stretches, start, now, width=340),
        "timeline_legend": _legend(spans),
        "timeline_lines": [one.title for one in stretches[::-1][:MOST_LINES]],
    }


def _stretch(one: MeterInterval, seen: datetime) -> charts.Stretch:
    end = one.ended_at or max(seen, one.started_at)
    state = words.state(one.status)
    length = words.hours(int((end - one.started_at).total_seconds()))
    title = f"{state.text} for {length} from {words.absolute(one.started_at)}"
    if one.replicas_high:
        title += f", {words.plural(one.replicas, 'replica')} billed"
    if one.replicas_low != one.replicas_high:
        title += f" (between {one.replicas_low} and {one.replicas_high})"
    return charts.Stretch(one.started_at, end, f"tint-{state.tone}", title)


def _legend(spans: Sequence[MeterInterval]) -> list[tuple[str, str]]:
    """Each colour once, with the states that it stands for here."""
    names: dict[str, list[str]] = {}
    for one in spans:
        state = words.state(one.status)
        known = names.setdefault(f"tint-{state.tone}", [])
        if state.text not in known:
            known.append(state.text)
    return [(fill, ", ".join(texts)) for fill, texts in names.items()]
