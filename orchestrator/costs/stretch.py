"""Arithmetic of ledger stretches: prices, bounds, cuts and the rounding of bills; pure.

A stretch is never longer or shorter than whole seconds, so its cost is seconds times burn.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from orchestrator.domain.endpoints import BilledReplicas
from orchestrator.domain.money import amount_for
from orchestrator.store.ledger import Price, Stretch

SECOND = timedelta(seconds=1)


class Evidence(StrEnum):
    """Why a stretch is believed; each later one is weaker than those before it."""

    OBSERVED = "observed"
    TRANSITION = "transition"
    UNOBSERVED = "unobserved"


_STRENGTH = {each: index for index, each in enumerate(Evidence)}


def whole_second(instant: datetime) -> datetime:
    """Return the last whole second at or before `instant`, in UTC."""
    return instant.astimezone(UTC).replace(microsecond=0)


def next_second(instant: datetime) -> datetime:
    """Return the first whole second at or after `instant`, in UTC."""
    floor = whole_second(instant)
    return floor if floor == instant else floor + SECOND


def seconds_between(start: datetime, end: datetime) -> int:
    """Return the whole seconds from `start` to `end`."""
    return (end - start) // SECOND


def burn_of(replicas: int, nano_per_hour: int | None) -> int | None:
    """Return nano-dollars per hour; none are needed for no replicas, None where no price is."""
    if replicas == 0:
        return 0
    return None if nano_per_hour is None else replicas * nano_per_hour


def opened(
    at: datetime,
    *,
    status: str,
    hardware_key: str,
    billed: BilledReplicas,
    price: Price | None,
    cause: str,
    units: int = 1,
) -> Stretch:
    """Return an open, observed stretch."""
    nano = None if price is None else price.nano_per_hour
    return Stretch(
        started_at=at,
        status=status,
        evidence=Evidence.OBSERVED,
        hardware_key=hardware_key,
        rate_id=None if price is None else price.rate_id,
        nano_per_hour=nano,
        units=units,
        replicas_low=billed.low,
        replicas=billed.expected,
        replicas_high=billed.high,
        burn_low=burn_of(billed.low, nano),
        burn=burn_of(billed.expected, nano),
        burn_high=burn_of(billed.high, nano),
        cause=cause,
    )


def nothing(like: Stretch, status: str) -> Stretch:
    """Return the stretch as it would be with no replica."""
    return replace(
        like,
        status=status,
        replicas_low=0,
        replicas=0,
        replicas_high=0,
        burn_low=0,
        burn=0,
        burn_high=0,
        rounding_nano=0,
        id=None,
    )


def same(one: Stretch, other: Stretch) -> bool:
    """Return whether both describe the same state, whenever it was."""
    return _state(one) == _state(other)


def _state(each: Stretch) -> tuple[object, ...]:
    bounds = (each.replicas_low, each.replicas, each.replicas_high)
    return (each.status, each.hardware_key, each.rate_id, each.units, *bounds)


def widened(
    piece: Stretch, other: Stretch, evidence: Evidence, ceiling: int | None = None
) -> Stretch:
    """Return `piece` with bounds that also hold if `other` was the truth in any part of it.

    With a `ceiling` anything from no replica to that many may have run. Applying the same
    widening twice changes nothing.
    """
    low = 0 if ceiling is not None else min(piece.replicas_low, other.replicas_low)
    high = max(piece.replicas_high, other.replicas_high, ceiling or 0)
    prices = _prices(piece, other)
    return replace(
        piece,
        evidence=max(Evidence(piece.evidence), evidence, key=_STRENGTH.__getitem__),
        replicas_low=low,
        replicas_high=high,
        burn_low=_least(piece.burn_low, low, prices),
        burn_high=_most(piece.burn_high, high, prices),
    )


def repriced(piece: Stretch, nano_per_hour: int) -> Stretch:
    """Return `piece` with bounds that also hold if this price was in effect in any part of it."""
    return replace(
        piece,
        burn_low=_least(piece.burn_low, piece.replicas_low, (nano_per_hour,)),
        burn_high=_most(piece.burn_high, piece.replicas_high, (nano_per_hour,)),
    )


def _prices(one: Stretch, other: Stretch) -> tuple[int, ...]:
    """Both prices; none where one of two hardware types has none."""
    known = tuple(each.nano_per_hour for each in (one, other) if each.nano_per_hour is not None)
    return known if len(known) == 2 or one.hardware_key == other.hardware_key else ()


def _least(known: int | None, replicas: int, prices: Sequence[int]) -> int | None:
    if replicas == 0:
        return 0
    return None if known is None or not prices else min(known, replicas * min(prices))


def _most(known: int | None, replicas: int, prices: Sequence[int]) -> int | None:
    if replicas == 0:
        return 0
    return None if known is None or not prices else max(known, replicas * max(prices))


def cut(
    tail: Iterable[Stretch], since: datetime, until: datetime
) -> tuple[list[Stretch], list[Stretch]]:
    """Return what of a tail lies before `since`, and the rest, its open end set to `until`."""
    before: list[Stretch] = []
    within: list[Stretch] = []
    for each in tail:
        whole = each if each.ended_at is not None else replace(each, ended_at=until)
        if whole.started_at >= since:
            within.append(whole)
        elif whole.ended_at is not None and whole.ended_at < since:
            before.append(whole)
        else:
            before.append(replace(whole, ended_at=since))
            within.append(replace(whole, started_at=since, id=None, rounding_nano=0))
    return before, within


def _length(each: Stretch) -> int:
    return 0 if each.ended_at is None else max(0, seconds_between(each.started_at, each.ended_at))


def end_of(last: Stretch, until: datetime) -> datetime:
    """Return when the open stretch of an endpoint that is over by `until` is to end.

    One that would be of no length is dropped, and the rounding of its run with it, which may be
    all that the ledger has of that run: such a one gets a second.
    """
    end = max(until, last.started_at)
    return end + SECOND if end == last.started_at and last.rounding_nano else end


def settled(stretches: Iterable[Stretch]) -> list[Stretch]:
    """Move the rounding of a run along it, so that no stretch has more than its lower bound.

    So the lower bound of a stretch is its own cost less its rounding, and the bounds of a run are
    those of its stretches added up. What is left at the end of a run stays with its last stretch.
    """
    out = _without_empty(stretches)
    carried = 0
    for index, each in enumerate(out):
        due = carried + each.rounding_nano
        goes_on = index + 1 < len(out) and bool(out[index + 1].burn_high)
        share = min(due, amount_for(each.burn_low or 0, _length(each))) if goes_on else due
        carried = due - share
        out[index] = replace(each, rounding_nano=share)
    return out


def _without_empty(stretches: Iterable[Stretch]) -> list[Stretch]:
    """Drop stretches of no length; their rounding goes to the next one, or else to the last."""
    out: list[Stretch] = []
    homeless = 0
    for each in stretches:
        if each.ended_at is not None and not _length(each):
            homeless += each.rounding_nano
            continue
        out.append(replace(each, rounding_nano=each.rounding_nano + homeless))
        homeless = 0
    if homeless and out:
        out[-1] = replace(out[-1], rounding_nano=out[-1].rounding_nano + homeless)
    return out
