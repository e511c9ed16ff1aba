"""Why, and why not, in answers."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from orchestrator.api.schemas.base import Answer, Instant
from orchestrator.api.schemas.endpoints import NextChange
from orchestrator.api.schemas.operations import Ref
from orchestrator.services.why import Line, Recorded, Why
from orchestrator.services.why_not import Obstacle, WhyNot
from orchestrator.store.tables import Endpoint

UNKNOWN = "unknown"


class ConsideredOut(Answer):
    """One rule that was asked, what came of it, and what it looked at."""

    rule: str = Field(examples=["schedule"])
    outcome: Literal["decided", "no_opinion", "not_reached", "not_yet", "shadow", "proposed"]
    detail: str
    inputs: dict[str, Any] = Field(
        description="Windows, holds, evidence and ends as they were then; where a rule has "
        "several lines, on the first of them."
    )


class RecordedOut(Answer):
    """What the engine had decided by then, at its last change of mind."""

    at: Instant
    wish: str | None
    rule: str = Field(examples=["schedule:sch_01jd2w9k4v8m5r0aq7t3xzbcde"])
    message: str


class ObstacleOut(Answer):
    """A rule that has to give way."""

    rule: str
    reason: str
    until: Instant | None = Field(description="When it gives way by itself; null: never.")
    remedy: str
    later_rule: bool = Field(description="It would decide only if those before it gave way.")


class WhyNotOut(Answer):
    """What would have to change for the endpoint to be as it was asked for."""

    wanted: Literal["running", "paused"]
    is_wanted: bool = Field(description="Whether the rules want it so already.")
    detail: str
    by_itself: Instant | None = Field(description="When the rules will, if nothing else happens.")
    obstacles: list[ObstacleOut]


class WhyOut(Answer):
    """Which rule decides at an instant, and why.

    Of the past by what was known then; where that is not kept, `known` is false and nothing is
    guessed. Of the future by the rules of today.
    """

    endpoint: Ref
    at: Instant
    basis: Literal["now", "past", "future"]
    known: bool
    unknown_because: str = Field(description="Why it cannot be known, empty where it is.")
    known_at: Instant | None = Field(description="Since when just this was known of it.")
    status: str = Field(examples=["running"], description="What the cloud had told, if known.")
    wish: str | None
    rule: str
    reason: str
    barrier: str = Field(description="Why what is wanted is not done, empty where nothing bars it.")
    next_change: NextChange | None
    considered: list[ConsideredOut]
    recorded: RecordedOut | None = Field(description="Of the past: as the engine decided then.")
    doubts: list[str] = Field(description="What the answer rests on and may not have been so.")
    why_not: WhyNotOut | None = Field(description="Where `not` was asked for.")


def why_out(row: Endpoint, why: Why, not_so: WhyNot | None = None) -> WhyOut:
    """Return an explanation as it is answered."""
    decision = why.decision
    rule = UNKNOWN if decision is None else f"{decision.rule}:{decision.rule_id}".rstrip(":")
    next_change = None
    if why.next_at is not None:
        next_change = NextChange(at=why.next_at, wish=why.next_wish)
    return WhyOut(
        endpoint=Ref(id=row.id, name=row.name),
        at=why.at,
        basis=why.basis,
        known=decision is not None,
        unknown_because=why.unknown_because,
        known_at=why.known_at,
        status=why.status,
        wish=None if decision is None else decision.wish,
        rule=rule,
        reason=why.unknown_because if decision is None else decision.reason,
        barrier=why.barrier,
        next_change=next_change,
        considered=[_line(line) for line in why.lines],
        recorded=None if why.recorded is None else _recorded(why.recorded),
        doubts=list(why.doubts),
        why_not=None if not_so is None else _why_not(not_so),
    )


def _line(line: Line) -> ConsideredOut:
    return ConsideredOut.model_validate(
        {
            "rule": line.rule,
            "outcome": line.outcome,
            "detail": line.detail,
            "inputs": line.inputs,
        }
    )


def _recorded(found: Recorded) -> RecordedOut:
    return RecordedOut(at=found.at, wish=found.wish, rule=found.rule, message=found.message)


def _why_not(found: WhyNot) -> WhyNotOut:
    return WhyNotOut(
        wanted=found.wanted,
        is_wanted=found.is_wanted,
        detail=found.detail,
        by_itself=found.by_itself,
        obstacles=[_obstacle(one) for one in found.obstacles],
    )


def _obstacle(one: Obstacle) -> ObstacleOut:
    return ObstacleOut(
        rule=one.rule,
        reason=one.reason,
        until=one.until,
        remedy=one.remedy,
        later_rule=one.later_rule,
    )
