"""What two courses of one endpoint cost apart, with the same model and meter on both sides."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.costs.figures import Figure
from orchestrator.domain.rerun import Course
from orchestrator.domain.spans import Span, apart, joined
from orchestrator.services import worth
from orchestrator.services.reruns import Courses
from orchestrator.services.worth import Ledger


def saved(ledger: Ledger, again: Courses, other: Courses) -> Figure:
    """Return what `again` costs more than `other`; nothing at all where both run the same.

    Time in which both are awake is in neither, so its uncertainty is not counted, nor is what the
    model gets wrong on both sides.
    """
    found = [
        _saved(ledger, one, each)
        for one, each in (
            (again.low, other.low),
            (again.expected, other.expected),
            (again.high, other.high),
        )
    ]
    return Figure(
        found[1].nano,
        min(one.low for one in found),
        max(one.high for one in found),
        max(one.unpriced_seconds for one in found),
    )


def asleep(course: Course) -> list[Span]:
    """Return the time in which a course sleeps, without seams; an outage is no sleep."""
    return joined((leg.start, leg.end) for leg in course.legs if leg.asleep)


def cost(ledger: Ledger, spans: Iterable[Span]) -> Figure:
    """Return what being awake costs: as metered where it was, else at the rates then."""
    return sum((ledger.cost(start, end) for start, end in spans), Figure())


def _saved(ledger: Ledger, again: Course, other: Course) -> Figure:
    before, after = worth.joined_legs(again.legs), worth.joined_legs(other.legs)
    less = cost(ledger, apart(before, after))
    more = cost(ledger, apart(after, before))
    return Figure(
        less.nano - more.nano,
        less.low - more.high,
        less.high - more.low,
        less.unpriced_seconds + more.unpriced_seconds,
    )
