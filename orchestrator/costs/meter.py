"""Metering: what a look at an account saw, written to the ledger in few statements.

Call these in the transaction that also stores the look (`account.confirmed_at`), so that a crash
keeps both or neither. Looks at one endpoint must follow one another, never overlap.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from sqlmodel import Session

from orchestrator.costs.observe import UPDATE, Look, Observation, observe, streams
from orchestrator.costs.stretch import Evidence, end_of, next_second, settled, whole_second
from orchestrator.domain.endpoints import BilledReplicas, Extra, Rollout
from orchestrator.domain.status import Status
from orchestrator.store import ledger
from orchestrator.store.ledger import COMPUTE, Price, Revision, Standing, Stretch, Tails

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class MeterNote:
    """Something that made figures less certain, for an event; `kind` is dotted, past tense."""

    kind: str
    message: str
    endpoint_ids: tuple[str, ...] = ()


def meter_pass(
    session: Session,
    *,
    account_id: str,
    confirmed_at: datetime | None,
    seen_at: datetime,
    gap_limit: timedelta,
    observations: Sequence[Observation],
    unseen: Collection[str] = (),
    granularity_s: int = 60,
) -> list[MeterNote]:
    """Meter a complete look at an account: new, changed and deleted endpoints.

    Endpoints not named went on as they were, at no cost; after a gap longer than `gap_limit` they
    get an unobserved interval too, unless an incomplete look has shown them since. `unseen` are
    those that the look did not show and that nobody has yet confirmed to be gone: nothing is
    vouched for them. `confirmed_at` is when the look before this one was asked, None where there
    was none; `seen_at` when this one was answered.
    """
    session.flush()
    look = Look(
        confirmed_at=confirmed_at,
        seen_at=seen_at,
        gap_limit=gap_limit,
        granularity_s=granularity_s,
    )
    everyone = list(observations)
    if confirmed_at is None or look.late or look.went_back:
        but = {*unseen, *(each.endpoint_id for each in observations)}
        others = _standing(session, account_id, lambda key: key not in but)
        everyone += [
            replace(found, confirmed_at=known.vouched_until(confirmed_at))
            for known, found in others
        ]
    return _meter(session, account_id, everyone, look)


def meter_endpoints(
    session: Session,
    *,
    account_id: str,
    confirmed_at: datetime | None,
    seen_at: datetime,
    gap_limit: timedelta,
    observations: Sequence[Observation],
    granularity_s: int = 60,
) -> list[MeterNote]:
    """Meter direct reads of single endpoints; says nothing of the others of the account."""
    session.flush()
    look = Look(
        confirmed_at=confirmed_at,
        seen_at=seen_at,
        gap_limit=gap_limit,
        granularity_s=granularity_s,
    )
    return _meter(session, account_id, observations, look)


def meter_seen_again(
    session: Session,
    *,
    account_id: str,
    vouched: Mapping[str, datetime],
    seen_at: datetime,
    gap_limit: timedelta,
    granularity_s: int = 60,
) -> list[MeterNote]:
    """Meter endpoints that an incomplete look has shown as they were.

    Each was `vouched` for until an instant; those for which that is longer ago than `gap_limit` get
    an unobserved interval, others cost nothing.
    """
    session.flush()
    late = {key for key, at in vouched.items() if seen_at - at > gap_limit}
    if not late:
        return []
    look = Look(
        confirmed_at=None, seen_at=seen_at, gap_limit=gap_limit, granularity_s=granularity_s
    )
    seen = [
        replace(found, confirmed_at=vouched[known.endpoint_id], seen_at=seen_at)
        for known, found in _standing(session, account_id, late.__contains__)
    ]
    return _meter(session, account_id, seen, look)


def stop_metering(
    session: Session, *, account_id: str, confirmed_at: datetime | None
) -> dict[str, datetime]:
    """End every open interval of an account that is looked at no more; return when, by endpoint.

    Each ends where it was last vouched for; what it cost after that is nobody's knowledge.
    `confirmed_at` is when the whole account was looked at last, None where it never was.
    """
    session.flush()
    ends = {
        each.endpoint_id: each.vouched_until(confirmed_at)
        for each in ledger.standing(session, account_id)
    }
    revisions = [
        Revision(endpoint_id, tail, _ended(tail[-1], ends[endpoint_id]), component)
        for endpoint_id, found in ledger.tails(session, ends.keys(), None).items()
        for component, tail in found.items()
    ]
    ledger.save(session, account_id, revisions)
    return ends


def _ended(current: Stretch, until: datetime) -> list[Stretch]:
    return settled([replace(current, ended_at=end_of(current, whole_second(until)))])


def _standing(
    session: Session, account_id: str, wanted: Callable[[str], bool]
) -> list[tuple[Standing, Observation]]:
    """Endpoints of the account that were seen again as they were, as observations."""
    standing = ledger.standing(session, account_id)
    known = {each.endpoint_id: each for each in standing if wanted(each.endpoint_id)}
    return [
        (known[endpoint_id], _as_it_was(known[endpoint_id], found))
        for endpoint_id, found in ledger.tails(session, known.keys(), None).items()
    ]


def _as_it_was(known: Standing, found: Tails) -> Observation:
    current = found[COMPUTE][-1]
    return Observation(
        endpoint_id=known.endpoint_id,
        status=Status(current.status),
        billed=_billed_in_all(found),
        hardware_key=current.hardware_key,
        max_replicas=known.max_replicas,
        updated_at=known.updated_at,
        extras=_extras(found),
        rollout=_rollout(found),
    )


def _billed(stretch: Stretch) -> BilledReplicas:
    return BilledReplicas(stretch.replicas_low, stretch.replicas, stretch.replicas_high)


def _billed_in_all(found: Tails) -> BilledReplicas:
    """Return the replicas of both fleets, as an observation counts them."""
    serving, rollout = _billed(found[COMPUTE][-1]), _rollout(found)
    if rollout is None:
        return serving
    more = rollout.billed
    return BilledReplicas(serving.low, serving.expected + more.expected, serving.high + more.high)


def _rollout(found: Tails) -> Rollout | None:
    new = found[UPDATE][-1] if UPDATE in found else None
    if new is None or not new.replicas_high:
        return None
    extras = [
        Extra(component.removeprefix(f"{UPDATE}_"), tail[-1].hardware_key, tail[-1].units)
        for component, tail in found.items()
        if component.startswith(f"{UPDATE}_")
    ]
    return Rollout(_billed(new), new.hardware_key, tuple(extras))


def _extras(found: Tails) -> tuple[Extra, ...]:
    return tuple(
        Extra(component, tail[-1].hardware_key, tail[-1].units)
        for component, tail in found.items()
        if component != COMPUTE and not component.startswith(UPDATE)
    )


def _meter(
    session: Session, account_id: str, observations: Sequence[Observation], look: Look
) -> list[MeterNote]:
    if not observations:
        return []
    observations = _with_stored_bounds(session, observations)
    prices = ledger.newest_prices(session, account_id)
    tails = _tails(session, observations, look)
    revisions = []
    for endpoint in observations:
        known = tails.get(endpoint.endpoint_id, {})
        standing = [(name, tail[-1]) for name, tail in known.items() if not _is_over(tail)]
        for seen in streams(endpoint, standing):
            tail = known.get(seen.component, [])
            after = observe(tail, seen, prices.get(seen.hardware_key), look)
            if seen.component == COMPUTE and endpoint.rollout is not None:
                after = _at_least(after, endpoint, prices)
            revisions.append(Revision(seen.endpoint_id, tail, after, seen.component))
    ledger.save(session, account_id, revisions)
    return _notes(revisions, look)


def _at_least(
    after: list[Stretch], seen: Observation, prices: Mapping[str, Price]
) -> list[Stretch]:
    """Bound an update below by its new fleet alone, where the cloud does not tell what serves."""
    new = prices.get(seen.hardware_key)
    if seen.rollout is None or seen.rollout.hardware_key or new is None or not after:
        return after
    last, least = after[-1], seen.rollout.billed.high * new.nano_per_hour
    if last.ended_at is not None or last.burn_low is None:
        return after
    return [*after[:-1], replace(last, burn_low=min(last.burn_low, least))]


def _with_stored_bounds(session: Session, observations: Sequence[Observation]) -> list[Observation]:
    """A cloud does not tell how far an endpoint could scale that is gone, or was changed since."""
    stored = ledger.max_replicas(session, [each.endpoint_id for each in observations])
    return [
        replace(each, max_replicas=max(each.max_replicas or 0, stored.get(each.endpoint_id, 0)))
        for each in observations
    ]


def _tails(session: Session, observations: Sequence[Observation], look: Look) -> dict[str, Tails]:
    """The ends of the ledgers that this look may change; whole ledgers where none is open."""
    vouched = [look.of(each).confirmed_at for each in observations]
    since = min((each for each in vouched if each is not None), default=None)
    tails = ledger.tails(session, [each.endpoint_id for each in observations], since)
    ended = {
        (each.endpoint_id, component)
        for each in observations
        for component in (COMPUTE, *(extra.component for extra in each.extras))
        if _is_over(tails.get(each.endpoint_id, {}).get(component, ()))
    }
    ids, components = {each[0] for each in ended}, {each[1] for each in ended}
    for endpoint_id, found in ledger.tails(session, ids, _BEGINNING, components).items():
        whole = {name: tail for name, tail in found.items() if (endpoint_id, name) in ended}
        tails[endpoint_id] = tails.get(endpoint_id, {}) | whole
    return tails


def _is_over(tail: Sequence[Stretch]) -> bool:
    return not tail or tail[-1].ended_at is not None


def _notes(revisions: Sequence[Revision], look: Look) -> list[MeterNote]:
    notes: list[MeterNote] = []
    late = _whose(each for each in revisions if _unobserved(each))
    if late:
        message = f"Nobody looked until {look.seen_at:%Y-%m-%d %H:%M:%S}Z; the gap is an estimate."
        notes.append(MeterNote("meter.unobserved", message, late))
    back = _whose(each for each in revisions if _set_back(each, look))
    if back:
        message = f"The clock was set back to {look.seen_at:%Y-%m-%d %H:%M:%S}Z; bounds widened."
        notes.append(MeterNote("meter.clock_went_back", message, back))
    return notes + _unpriced_notes([each for each in revisions if _lost_price(each)])


def _unpriced_notes(lost: Sequence[Revision]) -> list[MeterNote]:
    """One note for each component: a disk without a price says nothing of the hardware."""
    notes = []
    for component in dict.fromkeys(each.component for each in lost):
        thing = "hardware" if component == COMPUTE else component
        whose = _whose(each for each in lost if each.component == component)
        notes.append(MeterNote("meter.unpriced", f"No price is known for its {thing}.", whose))
    return notes


def _whose(revisions: Iterable[Revision]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each.endpoint_id for each in revisions))


def _unobserved(revision: Revision) -> bool:
    known = {each.started_at for each in revision.before if each.evidence == Evidence.UNOBSERVED}
    return any(
        each.evidence == Evidence.UNOBSERVED and each.started_at not in known
        for each in revision.after
    )


def _set_back(revision: Revision, look: Look) -> bool:
    clamped = bool(revision.before) and revision.before[-1].started_at > next_second(look.seen_at)
    return (look.went_back or clamped) and list(revision.before) != list(revision.after)


def _lost_price(revision: Revision) -> bool:
    return _unpriced(revision.after) and not _unpriced(revision.before)


def _unpriced(tail: Sequence[Stretch]) -> bool:
    return bool(tail) and tail[-1].ended_at is None and tail[-1].burn_high is None
