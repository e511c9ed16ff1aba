"""What rules in shadow mode would have done: paused, saved, and who would have waited.

The same run as `whatif`, with the rule in earnest wherever it was in shadow; beside it what the
engine recorded at the time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from orchestrator.costs.figures import Figure
from orchestrator.domain.demand import Count
from orchestrator.domain.rerun import Leg
from orchestrator.domain.spans import Span, common
from orchestrator.domain.status import Status
from orchestrator.services import (
    differences,
    managed_parts,
    remembered,
    whatif,
    whatif_request,
    worth,
)
from orchestrator.services.managed_parts import Part
from orchestrator.services.other_rules import Others, Rule
from orchestrator.services.remembered import Library, Remembered
from orchestrator.services.reruns import Courses
from orchestrator.services.whatif import Comparison
from orchestrator.store import endpoints, history
from orchestrator.store.tables import Endpoint, EndpointFacts, Event, Label

PROPOSED = frozenset({"decision.proposed"})
MOST_STRETCHES = 200


@dataclass(frozen=True, slots=True)
class Sleep:
    """A time in which it would have slept; requests that came in it.

    In so many `seconds` of it, which are what is `saved`, it is awake without the rule.
    """

    start: datetime
    end: datetime
    paused: bool
    seconds: int
    saved: Figure
    requests: Count


@dataclass(frozen=True, slots=True)
class ShadowLine:
    """A rule in shadow and one endpoint that it covers.

    `proposed` is how often the engine recorded that the rule would act. `sleeps` are the first of
    `sleep_count`.
    """

    rule_id: str
    rule_name: str
    kind: str
    endpoint: Endpoint
    labels: Sequence[Label]
    in_shadow_s: int
    proposed: int
    first_proposed_at: datetime | None
    compared: Comparison
    sleeps: tuple[Sleep, ...]
    sleep_count: int
    slept_s: int


def report(
    session: Session,
    rows: Sequence[Endpoint],
    *,
    start: datetime,
    end: datetime,
    rule: str | None = None,
) -> list[ShadowLine]:
    """Return what rules in shadow would have done, what would have saved most first.

    `rule` is the id of one of them. Raises ServiceError 422 where that is too much work.
    """
    library, span = Library(), (start, end)
    facts = {row.id: history.facts_between(session, row.id, *span) for row in rows}
    meant = [row for row in rows if library.any_shadow(session, facts[row.id])]
    whatif_request.check_work(meant, start, end)
    lines = []
    for row in meant:
        asked = _asked(session, row, facts[row.id], span, library)
        known = [one for part in asked.parts for one in part.known]
        found = sorted(dict(_shadows(known)).items())
        told = [_line(asked, (key, *named)) for key, named in found if rule in (None, key)]
        lines += [line for line in told if line is not None]
    return sorted(lines, key=lambda one: (-one.compared.saved.nano, one.endpoint.name))


def _asked(
    session: Session,
    endpoint: Endpoint,
    facts: Sequence[EndpointFacts],
    span: Span,
    library: Library,
) -> _Asked:
    known = remembered.recall_all(session, endpoint, facts, span[1], library)
    return _Asked(
        session=session,
        endpoint=endpoint,
        parts=managed_parts.parts(session, endpoint, known, span),
        events=history.events_of(session, endpoint.id, PROPOSED, *span),
        labels=endpoints.labels_of(session, [endpoint.id]).get(endpoint.id, []),
        library=library,
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    """All that is known of an endpoint in a span."""

    session: Session
    endpoint: Endpoint
    parts: Sequence[Part]
    events: Sequence[Event]
    labels: Sequence[Label]
    library: Library


def _shadows(known: Sequence[Remembered]) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield the rules that covered it in shadow, with name and kind."""
    for one in known:
        bound = {binding.rule_id for binding in one.book.bound.get(one.row.id, ())}
        for schedule in one.book.schedules.values():
            if schedule.shadow and schedule.id in bound:
                yield schedule.id, (schedule.name, remembered.SCHEDULE)
        for policy in one.book.policies.values():
            if policy.shadow and policy.id in bound:
                yield policy.id, (policy.name, remembered.IDLE)


def _line(asked: _Asked, rule: tuple[str, str, str]) -> ShadowLine | None:
    """Return what a rule would have done while it was in shadow, and no later."""
    rule_id, name, kind = rule
    endpoint = asked.endpoint
    parts = managed_parts.those_with(asked.parts, lambda one: _is_shadow(one, rule_id))
    if not parts:
        return None
    told = [event for event in asked.events if event.data.get("id") == rule_id]
    others = Others(parts[0].start, earnest=frozenset({rule_id}))
    compared = whatif.compare(asked.session, endpoint, parts, others, asked.library)
    sleeps = _sleeps(compared)
    return ShadowLine(
        rule_id=rule_id,
        rule_name=name,
        kind=kind,
        endpoint=endpoint,
        labels=asked.labels,
        in_shadow_s=sum(int((part.end - part.start).total_seconds()) for part in parts),
        proposed=len(told),
        first_proposed_at=told[0].at if told else None,
        compared=compared,
        sleeps=tuple(sleeps[:MOST_STRETCHES]),
        sleep_count=len(sleeps),
        slept_s=sum(one.seconds for one in sleeps),
    )


def _sleeps(compared: Comparison) -> list[Sleep]:
    """Return when it would have slept while it is awake without the rule."""
    found = []
    courses, ledger = compared.courses, compared.ledger
    awake = worth.joined_legs(compared.before.expected.legs)
    for start, end, status in _asleep(courses.expected.legs):
        spared = list(common([(start, end)], awake))
        if spared:
            seconds = sum(int((stop - begin).total_seconds()) for begin, stop in spared)
            requests = _requests(courses, start, end)
            cost = differences.cost(ledger, spared)
            found.append(Sleep(start, end, status is Status.PAUSED, seconds, cost, requests))
    return found


def _asleep(legs: Sequence[Leg]) -> Iterator[tuple[datetime, datetime, Status]]:
    """Yield the time in which it sleeps: paused and at zero apart, whatever rule decides."""
    sleeping = (leg for leg in legs if leg.asleep)
    run: tuple[datetime, datetime, Status] | None = None
    for leg in sleeping:
        if run is not None and (run[1], run[2]) == (leg.start, leg.status):
            run = (run[0], leg.end, leg.status)
            continue
        if run is not None:
            yield run
        run = (leg.start, leg.end, leg.status)
    if run is not None:
        yield run


def _requests(courses: Courses, start: datetime, end: datetime) -> Count:
    """Return the requests of a sleep: those in it, and those of the start that ends it."""
    woken = next((one for one in courses.expected.starts if one.at == end), None)
    until = woken.serves_at if woken is not None and woken.by_request else end
    return courses.demand.count(start, until)


def _is_shadow(known: Remembered, rule_id: str) -> bool:
    """Tell whether a rule was in shadow, and covered the endpoint."""
    rules: dict[str, Rule] = {**known.book.schedules, **known.book.policies}
    bound = {binding.rule_id for binding in known.book.bound.get(known.row.id, ())}
    return rule_id in bound and rule_id in rules and rules[rule_id].shadow
