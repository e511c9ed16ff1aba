"""The starts that rules will make, in answers."""

from __future__ import annotations

from pydantic import Field

from orchestrator.api.schemas.base import Answer, Instant
from orchestrator.api.schemas.operations import Ref
from orchestrator.services.mornings import Asked, Morning


class ComingStartOut(Answer):
    """One endpoint that is to start, and when it begins."""

    endpoint: Ref
    wanted_at: Instant
    begins_at: Instant | None = Field(description="Null where nothing makes room for it.")
    late_seconds: int | None = Field(
        examples=[70], description="How long after it is wanted it begins; null where it does not."
    )
    why: str = Field(
        examples=["many start at once, the most used first: 20 every 10 s, 30 still waited"],
        description="Why it is late or does not start; empty where it is in time.",
    )
    paused_first: list[str] = Field(
        examples=[["spare-search"]],
        description="What is at zero and is paused first, to make room in the quota.",
    )
    rule: str = Field(examples=["schedule"])
    reason: str = Field(examples=["inside a window of office-hours"])


class MorningOut(Answer):
    """Starts of one account that come together."""

    account: Ref
    first_at: Instant
    last_at: Instant
    starts: int
    late: int
    never: int = Field(description="Those for which nothing makes room.")
    paused_first: list[str] = Field(examples=[["spare-search"]])
    items: list[ComingStartOut]


class MorningsOut(Answer):
    """The coming starts, together with those that come at about the same time."""

    start: Instant
    end: Instant = Field(description="Earlier than asked for where there are very many endpoints.")
    assumption: str
    items: list[MorningOut]


def morning_out(found: Morning) -> MorningOut:
    """Return starts that come together as they are answered."""
    return MorningOut(
        account=Ref(id=found.account.id, name=found.account.name),
        first_at=found.first,
        last_at=found.last,
        starts=len(found.starts),
        late=len(found.late),
        never=len(found.never),
        paused_first=list(found.yielding),
        items=[_start(one) for one in found.starts],
    )


def _start(one: Asked) -> ComingStartOut:
    told, late_by = one.told, one.late_by
    return ComingStartOut(
        endpoint=Ref(id=told.endpoint_id, name=one.name),
        wanted_at=told.wanted_at,
        begins_at=told.begins_at,
        late_seconds=None if late_by is None else int(late_by.total_seconds()),
        why=told.why,
        paused_first=list(told.yielding),
        rule=one.rule,
        reason=one.reason,
    )
