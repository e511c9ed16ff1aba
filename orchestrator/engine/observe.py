"""Observe one account: all pages in bulk, and direct reads for what a listing left in doubt."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

import structlog
from sqlmodel import Session

from orchestrator.costs import meter
from orchestrator.domain.endpoints import Snapshot
from orchestrator.domain.plan import Kind
from orchestrator.domain.status import Status
from orchestrator.domain.usage import later_use
from orchestrator.engine import adoption, outside, restored
from orchestrator.engine.apply import (
    ENGINE,
    Change,
    Sight,
    Watch,
    announce,
    away,
    discover_all,
    is_another,
    is_stale,
    paused_by_us,
    record_meter,
    refresh,
)
from orchestrator.engine.closer import Closer, look_closer
from orchestrator.engine.goals import may_land
from orchestrator.engine.health import note_health, note_skew
from orchestrator.engine.recovery import read_left, store_left
from orchestrator.engine.steps import NO_CAPACITY
from orchestrator.providers.base import (
    Listing,
    Provider,
    ProviderError,
    Sighting,
    ThrottledError,
)
from orchestrator.services import clocks
from orchestrator.services.context import Context
from orchestrator.store import events, locks, observation, operations
from orchestrator.store.observation import Known
from orchestrator.store.tables import Account, Endpoint

log = structlog.get_logger(__name__)

# A listing may lose a few endpoints at once; more is a fault of the listing, not of the fleet.
LOSS_FLOOR = 3
LOSS_SHARE = 0.2
DIRECT_READS = 20
# A refusal for the rate that names no time: the pace of the calls itself holds back what follows.
SHORT_WAIT = timedelta(seconds=1)


@dataclass(slots=True)
class Look:
    """What one pass saw: the ids seen freshly, and the absent that a direct read must settle."""

    asked_at: datetime
    answered_at: datetime
    watch: Watch
    # As the look has left it.
    account: Account
    complete: bool = False
    usable: bool = False
    seen: set[str] = field(default_factory=set)
    # Those for which this listing names a time of last use; an old time proves nothing now.
    tells_use: dict[str, datetime] = field(default_factory=dict)
    # The status of each endpoint that is known, and since when.
    standing: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    absent: list[Known] = field(default_factory=list)
    # Listed with an older state than we know: a lagging listing, or a cloud that went back.
    doubtful: list[Known] = field(default_factory=list)
    retry_after: timedelta | None = None
    # Some endpoints still have to be read for the first time, or again: the next pass comes soon.
    more: bool = False


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass over one account, once it has been looked at."""

    context: Context
    account: Account
    provider: Provider
    look: Look


def observe(context: Context, account: Account, provider: Provider, gap_limit: timedelta) -> Look:
    """Look at the whole account once and store what changed."""
    listing = provider.list_endpoints()
    told = (listing.cloud_time, listing.asked_at, listing.answered_at)
    context.instruments.skew(account.name, *told)
    watch = Watch(gap_limit, provider.capabilities.billing_granularity_s)
    look = Look(listing.asked_at, listing.answered_at, watch, account)
    with context.database.read() as session:
        known = observation.known_endpoints(session, account.id)
    closer = look_closer(context.clock, provider, listing, known)
    missed = restored.is_missed(account, provider, listing, known, gap_limit)
    left = read_left(provider, account, listing, missed=missed)
    why = restored.told_by_cloud(context, account, provider, closer, gap_limit)
    listing, look.more = closer.listing, closer.postponed > 0
    with context.database.write() as session:
        look.account = account = observation.account_by_id(session, account.id)
        doubt = clocks.doubt(session, context.clock)
        forgotten = store_left(session, account, left, listing.answered_at)
        restored.freeze(session, account, why, forgotten, listing.answered_at)
        _store_listing(session, account, look, closer)
        if isinstance(listing.error, ThrottledError):
            look.retry_after = listing.error.retry_after or SHORT_WAIT
        note_health(session, account, listing, known=look.complete or look.more)
        note_skew(session, account, listing, doubt)
        account.calls += listing.calls
        _count_calls(account, provider, listing.answered_at)
    absent = [] if left.owed else look.absent
    for item in (look.doubtful + absent)[:DIRECT_READS]:
        if not _settle_absent(context, account, provider, item, look):
            break
    return look


def _count_calls(account: Account, provider: Provider, now: datetime) -> None:
    """Keep what looking and changing has cost in calls since the last listing was stored."""
    counts = provider.calls()
    if counts:
        total = Counter(account.call_counts)
        total.update(counts)
        account.call_counts = dict(total)
        account.calls_since = account.calls_since or now


def _store_listing(session: Session, account: Account, look: Look, closer: Closer) -> None:
    listing, sights, whole = closer.listing, closer.sights, closer.whole
    known = observation.known_endpoints(session, account.id)
    seen = {sighting.name: sighting for sighting in listing.sightings}
    listed = seen.keys() | closer.unread
    away = [item for name, item in known.items() if name not in listed and item.away]
    absent = [item for name, item in known.items() if name not in listed and not item.away]
    doubted = whole and _loses_many(len(absent), len(known) - len(away))
    look.usable = listing.complete or bool(seen)
    look.complete = listing.complete and not doubted
    if doubted:
        _doubt(session, account, len(absent), len(known), listing)
    _touch_used(session, known, seen, sights, listing.answered_at)
    changes = _store_sights(session, account, known, look, sights)
    look.seen.update(known[name].id for name in seen if name in known)
    # What is away is not listed; a listing that loses many proves nothing of it either.
    look.seen.update(item.id for item in away if whole and not doubted)
    look.seen.difference_update(item.id for item in look.doubtful)
    look.seen.update(change.endpoint.id for change in changes)
    ids = {name: held.id for name, held in known.items()}
    ids.update((change.endpoint.name, change.endpoint.id) for change in changes)
    look.tells_use.update(
        (ids[s.name], s.last_used_at) for s in seen.values() if s.last_used_at and s.name in ids
    )
    look.standing.update((item.id, (item.status, item.status_since)) for item in known.values())
    look.standing.update(
        (change.endpoint.id, (change.endpoint.status, change.endpoint.status_since))
        for change in changes
    )
    back = [item.id for item in known.values() if item.missing_since and item.id in look.seen]
    if whole:
        look.absent = sorted(absent, key=lambda k: (k.missing_since is None, k.name))
        _mark_absent(session, account, [*absent, *look.doubtful], listing.answered_at)
    unseen = [item.id for item in (*absent, *look.doubtful)]
    _meter(session, account, changes, unseen, look)
    observation.mark_missing(session, back, None)
    if look.complete:
        account.confirmed_at = listing.asked_at
        account.endpoint_count = len(seen) + len(away)
    elif look.usable:
        shown = look.seen - {change.endpoint.id for change in changes}
        unchanged = [item for item in known.values() if item.id in shown and not item.restless]
        _confirm(session, account, unchanged, look)
    if look.usable:
        account.observed_at = listing.answered_at


def _confirm(session: Session, account: Account, unchanged: Sequence[Known], look: Look) -> None:
    """Vouch for endpoints that an incomplete listing shows as they were, and meter a gap before."""
    notes = meter.meter_seen_again(
        session,
        account_id=account.id,
        vouched={item.id: item.vouched_until(account.confirmed_at) for item in unchanged},
        seen_at=look.answered_at,
        gap_limit=look.watch.gap_limit,
        granularity_s=look.watch.granularity_s,
    )
    announce(session, account.id, notes, look.answered_at)
    observation.confirm(session, [item.id for item in unchanged], look.asked_at)


def _meter(
    session: Session, account: Account, changes: list[Change], absent: list[str], look: Look
) -> None:
    observations = [change.metered for change in changes]
    if not look.complete:
        for observed in observations:
            record_meter(session, account.id, look.watch, observed)
        return
    notes = meter.meter_pass(
        session,
        account_id=account.id,
        confirmed_at=account.confirmed_at,
        seen_at=look.answered_at,
        gap_limit=look.watch.gap_limit,
        observations=observations,
        unseen=absent,
        granularity_s=look.watch.granularity_s,
    )
    announce(session, account.id, notes, look.answered_at)


def _loses_many(absent: int, known: int) -> bool:
    return absent > max(LOSS_FLOOR, known * LOSS_SHARE) or (absent == known > 0)


def _doubt(session: Session, account: Account, absent: int, known: int, listing: Listing) -> None:
    if account.health != "doubted":
        events.record(
            session,
            at=listing.answered_at,
            kind="account.listing_doubted",
            actor=ENGINE,
            message=(
                f"the listing of {account.name} lost {absent} of {known} endpoints at once; "
                "each is read directly before anything is believed"
            ),
            account_id=account.id,
        )


def _touch_used(
    session: Session,
    known: dict[str, Known],
    seen: dict[str, Sighting],
    sights: Mapping[str, Sight],
    at: datetime,
) -> None:
    """Store later times of last use of those that have not changed otherwise."""
    used = {
        known[name].id: sighting.last_used_at
        for name, sighting in seen.items()
        if name not in sights
        and name in known
        and sighting.last_used_at is not None
        and sighting.last_used_at != known[name].last_used_at
        and later_use(known[name].last_used_at, sighting.last_used_at, at) == sighting.last_used_at
    }
    observation.touch_last_used(session, used)


def _store_sights(
    session: Session,
    account: Account,
    known: dict[str, Known],
    look: Look,
    sights: Mapping[str, Sight],
) -> list[Change]:
    held = {name: known[name] for name in sights if name in known}
    rows = locks.endpoints(session, (item.id for item in held.values()))
    changes = discover(session, account, [s for name, s in sights.items() if name not in held])
    for name, item in held.items():
        if is_stale(rows[item.id], sights[name].snapshot):
            look.doubtful.append(item)
        else:
            changes.append(take_in(session, account, rows[item.id], sights[name], look.watch))
    return changes


def discover(session: Session, account: Account, sights: Sequence[Sight]) -> list[Change]:
    """Store endpoints that were never seen; those that our own creates explain are managed."""
    if not sights:
        return []
    changes = discover_all(session, account, sights)
    found = [(c.endpoint, sight.snapshot) for c, sight in zip(changes, sights, strict=True)]
    adoption.claim_created(session, account, found, sights[0].answered_at)
    return changes


def take_in(
    session: Session, account: Account, endpoint: Endpoint, sight: Sight, watch: Watch
) -> Change:
    """Store one sight from outside of our own changes."""
    if is_another(endpoint, sight.snapshot):
        outside.gone(session, account, endpoint, sight.answered_at, watch)
        return discover(session, account, [sight])[0]
    change = refresh(session, account, endpoint, sight)
    outside.notice(session, change, sight.answered_at)
    if not sight.inferred:
        endpoint.landing_until = None
    return change


def _mark_absent(session: Session, account: Account, absent: list[Known], at: datetime) -> None:
    new = [item for item in absent if item.missing_since is None]
    vouched: dict[datetime, list[str]] = defaultdict(list)
    for item in new:
        vouched[item.vouched_until(account.confirmed_at)].append(item.id)
    for until, ids in vouched.items():
        observation.confirm(session, ids, until)
    observation.mark_missing(session, [item.id for item in new], at)


def _settle_absent(
    context: Context, account: Account, provider: Provider, known: Known, look: Look
) -> bool:
    """Read an endpoint directly: only the cloud's plain "not there" makes it deleted.

    False when the cloud wants no more calls now.
    """
    asked_at = context.clock.now()
    try:
        snapshot = provider.get_endpoint(known.name)
    except ThrottledError as error:
        look.retry_after = error.retry_after or SHORT_WAIT
        return False
    except ProviderError as error:
        log.warning("an absent endpoint cannot be read", endpoint=known.name, error=str(error))
        return True
    reading = Reading(known.id, snapshot, asked_at)
    if store_read(context, account.id, reading, look.watch) is Belief.STORED:
        look.seen.add(known.id)
    return True


class Belief(StrEnum):
    """What a direct read was worth; "not there" is no news of what was made a moment ago."""

    STORED = "stored"
    MAY_LAND = "may_land"
    """A call of ours whose answer was lost may still make it."""
    MAY_LAG = "may_lag"
    """A lagging read may know nothing of it yet: it is asked again."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A direct read of one endpoint; `snapshot` is None when the cloud said it is not there."""

    endpoint_id: str
    snapshot: Snapshot | None
    asked_at: datetime


def store_read(context: Context, account_id: str, reading: Reading, watch: Watch) -> Belief:
    """Store a direct read, where it is worth anything: what it shows, or that it is gone."""
    answered_at = context.clock.now()
    with context.database.write() as session:
        account = observation.account_by_id(session, account_id)
        endpoint = locks.endpoints(session, [reading.endpoint_id])[reading.endpoint_id]
        sight = _sight(session, endpoint, reading, answered_at)
        if sight is None and may_land(endpoint, answered_at):
            return Belief.MAY_LAND
        if sight is None and _is_new(session, endpoint, answered_at):
            return Belief.MAY_LAG
        if sight is None:
            outside.gone(session, account, endpoint, answered_at, watch)
            return Belief.STORED
        change = take_in(session, account, endpoint, sight, watch)
        record_meter(session, account_id, watch, change.metered)
    return Belief.STORED


def _is_new(session: Session, endpoint: Endpoint, now: datetime) -> bool:
    """Tell whether it was made so lately, as far as is known, that "not there" may be old news."""
    made = min(endpoint.first_seen_at, endpoint.cloud_created_at or endpoint.first_seen_at)
    if not timedelta(0) <= now - made < outside.SETTLING:
        return False
    active = operations.active_for(session, endpoint.id)
    return active is None or active.kind != Kind.DELETE or active.accepted_at is None


def _sight(
    session: Session, endpoint: Endpoint, reading: Reading, answered_at: datetime
) -> Sight | None:
    """Return what a direct read shows; an endpoint that we deleted to pause it is paused."""
    if reading.snapshot is not None:
        return Sight(reading.snapshot, "", reading.asked_at, answered_at)
    active = operations.active_for(session, endpoint.id)
    deleted = active is not None and active.kind == Kind.DELETE and active.accepted_at is not None
    if not paused_by_us(endpoint) or deleted:
        return None
    waits = active is not None and active.outcome.startswith(NO_CAPACITY)
    state = Status.WAITING_FOR_CAPACITY if waits else Status.PAUSED
    return Sight(away(endpoint, state), "", reading.asked_at, answered_at, inferred=True)
