"""Which rule covers which endpoint since when: a new match acts from its next edge.

Only managed endpoints are bound. A schedule that has no next edge acts on new matches only
once "apply now" was confirmed over them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlmodel import Session

from orchestrator.domain.schedules.model import Schedule as Windows
from orchestrator.domain.schedules.occurrences import AT_ONCE, state_at
from orchestrator.domain.schedules.points import next_point
from orchestrator.domain.startup import StartUps, settled_before
from orchestrator.services import fleet, selectors
from orchestrator.services.starting import load_startups, starts_early
from orchestrator.services.windows import windows_in_full
from orchestrator.store import endpoints, policies, schedules
from orchestrator.store.tables import Account, Binding, Endpoint, IdlePolicy, Label, Schedule

SCHEDULE = "schedule"
IDLE = "idle"
NEVER = datetime(9999, 1, 1, tzinfo=UTC)

Rule = Schedule | IdlePolicy


def sync_endpoints(session: Session, ids: Collection[str], at: datetime) -> None:
    """Bring the bindings of some endpoints in line with the rules in force."""
    timetables = schedules.in_force(session)
    rules: list[Rule] = [*timetables, *policies.in_force(session)]
    bound = schedules.bindings_of_endpoints(session, ids)
    labels = endpoints.labels_of(session, ids)
    rows = {row.id: row for row in endpoints.managed(session, ids)}
    edges = _Edges(session, at, windows_in_full(session, timetables, at))
    for endpoint_id in ids:
        row, held = rows.get(endpoint_id), bound.get(endpoint_id, {})
        wanted = [] if row is None else _covering(rules, row, labels.get(endpoint_id, ()))
        keep = {rule.id for rule in wanted}
        for rule_id, binding in held.items():
            if rule_id not in keep:
                session.delete(binding)
        for rule in wanted:
            if row is not None and rule.id not in held:
                session.add(_binding(rule, endpoint_id, at, edges.next(rule, row)))
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
    timetables = [rule] if isinstance(rule, Schedule) else []
    edges = _Edges(session, at, windows_in_full(session, timetables, at))
    undisturbed = _agrees(before, edges.windows.get(rule.id), at)
    result = []
    for row in rows:
        edge = edges.next(rule, row)
        binding = held.get(row.id) or _binding(rule, row.id, at, edge)
        if row.id in apply_now:
            binding.acts_from = None
        elif row.id in held and not undisturbed and isinstance(rule, Schedule):
            binding.acts_from = edge
        session.add(binding)
        result.append(binding)
    session.flush()
    return result


@dataclass(slots=True)
class _Edges:
    """From when rules act on new matches; start-up times are read where windows ask for them."""

    session: Session
    at: datetime
    windows: Mapping[str, Windows]
    _startups: dict[str, StartUps] = field(default_factory=dict)

    def next(self, rule: Rule, row: Endpoint) -> datetime | None:
        """Return from when a rule acts on a new match; None is at once, as idle policies do.

        An idle policy waits by itself: its clock starts at the match.
        """
        if isinstance(rule, IdlePolicy):
            return None
        windows = self.windows[rule.id]
        early = AT_ONCE
        if starts_early(windows):
            early = self._early(windows, row)
        edge = state_at(windows, self.at, early).next_edge
        if edge is None and windows.points:
            first = next_point(windows, self.at)
            edge = None if first is None else first.at
        return edge or NEVER

    def _early(self, windows: Windows, row: Endpoint) -> timedelta:
        if row.account_id not in self._startups:
            account = self.session.get_one(Account, row.account_id)
            self._startups[row.account_id] = load_startups(self.session, account, self.at)
        before = settled_before(self.at, state_at(windows, self.at).next_start)
        return self._startups[row.account_id].of(row.id, row.hardware_key, before).time


def _agrees(old: Windows | None, new: Windows | None, at: datetime) -> bool:
    """Tell whether two versions of a schedule say the same at this instant."""
    if old is None or new is None or old.only_points != new.only_points:
        return False
    was, now = state_at(old, at), state_at(new, at)
    return (was.inside, was.keep_running) == (now.inside, now.keep_running)


def _covering(rules: Sequence[Rule], row: Endpoint, labels: Collection[Label]) -> list[Rule]:
    return [rule for rule in rules if selectors.from_json(rule.selector).matches(row, labels)]


def _matching(session: Session, rule: Rule) -> list[Endpoint]:
    selector = selectors.from_json(rule.selector)
    known = fleet.of(session)
    labels = known.labels() if selector.labels else {}
    return [row for row in known.managed() if selector.matches(row, labels.get(row.id, ()))]


def _binding(rule: Rule, endpoint_id: str, at: datetime, acts_from: datetime | None) -> Binding:
    return Binding(
        rule_id=rule.id,
        endpoint_id=endpoint_id,
        rule_kind=SCHEDULE if isinstance(rule, Schedule) else IDLE,
        matched_at=at,
        acts_from=acts_from,
    )
