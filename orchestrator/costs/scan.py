"""What a first look at an account can say of money before anything was metered; pure.

Both figures are upper bounds and must be shown as such.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from orchestrator.costs.stretch import seconds_between
from orchestrator.domain.money import amount_for
from orchestrator.domain.status import AWAKE, Status

AUTO_PAUSE = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class ScanFacts:
    """What one look tells of an endpoint; `nano_per_hour` is the price of one replica."""

    status: Status
    billed_high: int
    max_replicas: int | None
    nano_per_hour: int | None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    last_used_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class IdleTail:
    """A stretch up to now in which it ran unused, and the most that a pause in it had saved."""

    since: datetime
    seconds: int
    nano_at_most: int


def most_this_month(facts: ScanFacts, *, month_start: datetime, now: datetime) -> int | None:
    """Return the most nano-dollars that it can have cost since `month_start`.

    As if it ran on all its replicas all the time since it was created; None where the price or
    the number of replicas is unknown. Does not hold if hardware or bounds were smaller now than
    earlier in the month, which one look cannot see.
    """
    replicas = _most_replicas(facts)
    if facts.nano_per_hour is None or replicas is None:
        return None
    start = month_start if facts.created_at is None else max(month_start, facts.created_at)
    return amount_for(replicas * facts.nano_per_hour, _seconds(start, now))


def idle_saving(
    facts: ScanFacts,
    *,
    month_start: datetime,
    now: datetime,
    timeout: timedelta = AUTO_PAUSE,
) -> IdleTail | None:
    """Return what a pause after `timeout` without use would have saved at most, this month.

    Counts the stretch up to now that is certainly unused: from the last request, or the last
    change if that was later, plus `timeout`. None without evidence: not running, never used as
    far as the cloud tells, no price, or used within `timeout`.
    """
    if facts.status not in AWAKE or facts.last_used_at is None or facts.nano_per_hour is None:
        return None
    known = [each for each in (facts.created_at, facts.updated_at) if each is not None]
    since = max([month_start, max([facts.last_used_at, *known]) + timeout])
    seconds = _seconds(since, now)
    if seconds == 0 or facts.billed_high == 0:
        return None
    saved = amount_for(facts.billed_high * facts.nano_per_hour, seconds)
    return IdleTail(since, seconds, saved)


def _most_replicas(facts: ScanFacts) -> int | None:
    if facts.max_replicas is None:
        return None
    return max(facts.max_replicas, facts.billed_high, 1)


def _seconds(start: datetime, end: datetime) -> int:
    return max(0, seconds_between(start, end))
