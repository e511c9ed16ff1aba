"""One endpoint in time, in answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field

from orchestrator.api.schemas.base import Answer, Instant
from orchestrator.api.schemas.misc import IntervalOut, interval_out
from orchestrator.api.schemas.money import Basis, Money, money
from orchestrator.services.timeline import Stretch, Timeline
from orchestrator.store.tables import MeterInterval

MOST_INTERVALS = 5000
_BASIS: Mapping[str, Basis] = {"past": "metered", "future": "expected"}


class SpanOut(Answer):
    """A time in which status, wish and rule did not change, with what it cost."""

    phase: Literal["past", "future"]
    start: Instant
    end: Instant
    status: str = Field(examples=["running"], description="Empty where nothing was metered.")
    evidence: str = Field(
        examples=["observed"],
        description="observed, transition, unobserved; "
        "unconfirmed since the last look; expected ahead.",
    )
    wish: str | None
    rule: str = Field(examples=["schedule:sch_01jd2w9k4v8m5r0aq7t3xzbcde"])
    reason: str
    replicas: int
    cost: Money | None = Field(
        description="Null where nobody looked: before the first look, and since the last."
    )
    may_sleep: bool = Field(description="Ahead: that it sleeps then if no request comes.")
    waits: bool = Field(
        description="Ahead: that it is wanted up and its start comes late; `reason` says why."
    )


class TimelineOut(Answer):
    """What was metered and decided, and what the rules will do.

    `intervals` are the metered stretches, each component by itself; where there is none, nothing
    was billed. `spans` are past and future in one list.
    """

    start: Instant
    end: Instant
    intervals: list[IntervalOut]
    spans: list[SpanOut]
    past_cost: Money | None = Field(description="Of what was measured; null where nothing was.")
    future_cost: Money | None = Field(description="Null where nothing can be told of it.")
    assumption: str = Field(description="What the future is told under; empty without any.")
    truncated: bool


def timeline_out(found: Timeline, intervals: Sequence[MeterInterval]) -> TimelineOut:
    """Return a timeline as it is answered; of very many the newest."""
    shown = intervals[-MOST_INTERVALS:]
    spans = found.stretches[-MOST_INTERVALS:]
    cut = len(shown) < len(intervals) or len(spans) < len(found.stretches)
    return TimelineOut(
        start=found.start,
        end=found.end,
        intervals=[interval_out(one) for one in shown],
        spans=[_span(one) for one in spans],
        past_cost=None if found.past is None else money(found.past),
        future_cost=None if found.future is None else money(found.future, "expected"),
        assumption=found.assumption,
        truncated=cut,
    )


def _span(one: Stretch) -> SpanOut:
    return SpanOut(
        phase=one.phase,
        start=one.start,
        end=one.end,
        status=one.status,
        evidence=one.evidence,
        wish=one.wish or None,
        rule=one.rule,
        reason=one.reason,
        replicas=one.replicas,
        cost=None if one.cost is None else money(one.cost, _BASIS[one.phase]),
        may_sleep=one.may_sleep,
        waits=one.waits,
    )
