"""What was known of an endpoint's use at an instant of the past: as it was recorded, no better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlmodel import Session

from orchestrator.domain.demand import SOURCE, WHOLE_S
from orchestrator.domain.idle import Activity
from orchestrator.domain.usage import STRETCH
from orchestrator.store import history, usage
from orchestrator.store.observation import ManagedRow
from orchestrator.store.tables import Endpoint, Event, Json, UsageSample

# Further back than the longest timeout of an idle policy nothing is asked.
FARTHEST = timedelta(days=8)
DECIDED = frozenset({"decision.changed"})


def activity_then(session: Session, endpoint: Endpoint, row: ManagedRow, at: datetime) -> Activity:
    """Return the evidence of use at an instant, as it was then.

    What the latest decision rested on, with the stretches recorded from then to `at`. What a cloud
    named later is no part of it: see `named_since`.
    """
    decided = history.last_event(session, endpoint.id, DECIDED, at)
    base = _of_event(decided)
    if decided is not None and decided.at == at and base is not None:
        return base
    found = usage.samples(session, [endpoint.id], at - FARTHEST, at).get(endpoint.id, [])
    return _later(base, known(found, at), row)


def named_since(endpoint: Endpoint, then: Activity, at: datetime) -> str:
    """Return what the cloud's time of last use, read after `at`, tells of then; empty for nothing.

    It was not known then, so no decision of then rests on it.
    """
    last, read_at = endpoint.last_used_at, endpoint.confirmed_at
    if last is None or read_at <= at or (then.covered_to is not None and then.covered_to >= at):
        return ""
    read = f"at {read_at:%Y-%m-%d %H:%M} UTC its cloud named {last:%Y-%m-%d %H:%M} UTC as its last"
    if last > at:
        return f"{read} use: it may have been in use then too, which was not known then"
    return f"{read} use: it was not in use then, which was not known then"


def known(samples: Sequence[UsageSample], at: datetime) -> Activity:
    """Return what recorded stretches tell of an instant: nothing but what came before it.

    A stretch that was counted in part and had none is a hole. Where it is not told when requests
    of a stretch came, the end of it counts as their time.
    """
    covered_to, covered_from, last = None, None, None
    for one in reversed([each for each in samples if each.start < at]):
        end = min(one.start + STRETCH, at)
        seen = one.covered_s >= WHOLE_S or one.requests > 0
        whole = seen and not _later_request(one, at)
        joins = covered_from is None or end == covered_from
        if whole and joins:
            covered_to, covered_from = covered_to or end, one.start
        if last is None and one.requests and not _later_request(one, at):
            last = min(one.last_request_at or end, at)
        if last is not None and not (whole and joins):
            break
    return Activity(last, covered_from, covered_to, source=SOURCE)


def from_json(stored: Json) -> Activity:
    """Return evidence as it was kept with a decision."""
    return Activity(
        last_request_at=_instant(stored["last_request_at"]),
        covered_from=_instant(stored["covered_from"]),
        covered_to=_instant(stored["covered_to"]),
        in_flight=stored["in_flight"],
        started_at=_instant(stored["started_at"]),
        source=stored["source"],
        late=timedelta(seconds=stored["late_s"]),
        held_awake=stored["held_awake"],
        held_every_s=stored.get("held_every_s"),
    )


def _of_event(event: Event | None) -> Activity | None:
    stored = None if event is None else event.data.get("activity")
    return None if stored is None else from_json(stored)


def _later_request(one: UsageSample, at: datetime) -> bool:
    """Tell whether requests of a stretch may have come after `at`, so that none is certain."""
    if not one.requests or one.start + STRETCH <= at:
        return False
    return one.last_request_at is None or one.last_request_at > at


def _later(base: Activity | None, seen: Activity, row: ManagedRow) -> Activity:
    """Join what a decision rested on with what was recorded since."""
    started = max(
        (t for t in (row.ready_at, row.managed_since, row.resumed_at) if t is not None),
        default=None,
    )
    held, every = row.held_awake.get("detail", ""), row.held_awake.get("every_s")
    seen = replace(seen, started_at=started, held_awake=held, held_every_s=every)
    if base is None:
        return seen
    base = replace(base, started_at=started, held_awake=held, held_every_s=every)
    last = max(filter(None, (base.last_request_at, seen.last_request_at)), default=None)
    if seen.covered_to is None or (base.covered_to or seen.covered_to) > seen.covered_to:
        return replace(base, last_request_at=last, in_flight=None)
    joins = (
        base.covered_to is not None and (seen.covered_from or base.covered_to) <= base.covered_to
    )
    since = base.covered_from if joins else seen.covered_from
    return replace(seen, last_request_at=last, covered_from=since)


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
