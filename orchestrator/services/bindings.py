"""Which rule covers which endpoint since when: a new match acts from its next edge.

Only managed endpoints are bound. A schedule that has no next edge acts on new matches only
once "apply now" was confirmed over them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from sqlmodel import Session

from orchestrator.domain.schedules.model import Schedule as Windows
from orchestrator.domain.schedules.occurrences import state_at
from orchestrator.services import selectors
from orchestrator.services.windows import windows_of
from orchestrator.store import endpoints, policies, schedules
from orchestrator.store.tables import Binding, Endpoint, IdlePolicy, Label, Schedule

SCHEDULE = "schedule"
IDLE = "idle"
NEVER = datetime(9999, 1, 1, tzinfo=UTC)

Rule = Schedule | IdlePolicy


def sync_endpoints(session: Session, ids: Collection[str], at: datetime) -> None:
    """Bring the bindings of some endpoints in line with the rules in force."""
    rules: list[Rule] = [*schedules.in_force(session), *policies.in_force(session)]
    bound = schedules.bindings_of_endpoints(session, ids)
    labels = endpoints.labels_of(session, ids)
    rows = {row.id: row for row in endpoints.managed(session, ids)}
    for endpoint_id in ids:
        row, held = rows.get(endpoint_id), bound.get(endpoint_id, {})
        wanted = [] if row is None else _covering(rules, row, labels.get(endpoint_id, ()))
        keep = {rule.id for rule in wanted}
        for rule_id, binding in held.items():
            if rule_id not in keep:
                session.delete(binding)
        for rule in wanted:
            if rule.id not in held:
                session.add(_binding(rule, endpoint_id, at, next_edge(rule, at)))
    session.flush()


def sync_rule(
    session: Session,
    rule: Rule,
    at: datetime,
    *,
    apply_now: Collection[str] = (),
    before: Windows | None = None,
) -> list[Binding]:
    """Bring the bindings of a rule that was just saved in line, and return them.

    `before` are its windows until now: where they and the new ones agree about this instant,
    the change disturbs nothing and stays in force; else it acts from the next edge.
    """
    held = schedules.bindings_of_rule(session, rule.id)
    rows = _matching(session, rule) if rule.enabled else []
    keep = {row.id for row in rows}
    for endpoint_id, binding in held.items():
        if endpoint_id not in keep:
            session.delete(binding)
    edge = next_edge(rule, at)
    undisturbed = _agrees(rule, before, at)
    result = []
    for row in rows:
        binding = held.get(row.id) or _binding(rule, row.id, at, edge)
        if row.id in apply_now:
            binding.acts_from = None
        elif row.id in held and not undisturbed and isinstance(rule, Schedule):
            binding.acts_from = edge
        session.add(binding)
        result.append(binding)
    session.flush()
    return result


def next_edge(rule: Rule, at: datetime) -> datetime | None:
    """Return from when a rule acts on a new match; None is at once, as idle policies do.

    An idle policy waits by itself: its clock starts at the match.
    """
    if isinstance(rule, IdlePolicy):
        return None
    return state_at(windows_of(rule), at).next_edge or NEVER


def _agrees(rule: Rule, before: Windows | None, at: datetime) -> bool:
    if before is None or not isinstance(rule, Schedule):
        return False
    old, new = state_at(before, at), state_at(windows_of(rule), at)
    return (old.inside, old.keep_running) == (new.inside, new.keep_running)


def _covering(rules: Sequence[Rule], row: Endpoint, labels: Collection[Label]) -> list[Rule]:
    return [rule for rule in rules if selectors.from_json(rule.selector).matches(row, labels)]


def _matching(session: Session, rule: Rule) -> list[Endpoint]:
    selector = selectors.from_json(rule.selector)
    labels = endpoints.all_labels(session) if selector.labels else {}
    rows = endpoints.managed(session)
    return [row for row in rows if selector.matches(row, labels.get(row.id, ()))]


def _binding(rule: Rule, endpoint_id: str, at: datetime, acts_from: datetime | None) -> Binding:
    return Binding(
        rule_id=rule.id,
        endpoint_id=endpoint_id,
        rule_kind=SCHEDULE if isinstance(rule, Schedule) else IDLE,
        matched_at=at,
        acts_from=acts_from,
    )
