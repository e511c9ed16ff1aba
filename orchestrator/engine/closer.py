"""Read the endpoints whose row in a listing is new, has changed, moves, or is due for a sweep.

Rows of some clouds tell everything, and reading them is no call; others tell little more than a
name and a time of change. Either way this happens before any transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from threading import Event

from orchestrator.clock import Clock
from orchestrator.engine.apply import Sight
from orchestrator.providers.base import (
    Capabilities,
    Listing,
    Provider,
    ProviderError,
    Sighting,
    ThrottledError,
)
from orchestrator.store.observation import Known

# Endpoints whose replicas change without their row are read so often, at most at every pass.
RESTLESS_EVERY = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Closer:
    """What was read, by name; the listing without the rows that could not be read now.

    `whole` tells that every endpoint was listed, `unread` names those that were not read.
    """

    listing: Listing
    sights: Mapping[str, Sight]
    whole: bool
    postponed: int = 0
    unread: frozenset[str] = frozenset()


def look_closer(
    clock: Clock, provider: Provider, listing: Listing, known: Mapping[str, Known]
) -> Closer:
    """Read what has to be read, as far as one pass may; never raises ProviderError."""
    capabilities = provider.capabilities
    due = _due(listing, known, capabilities)
    if capabilities.sweep_seconds is None:
        rows = {s.name: _as_listed(s, listing) for s in due}
        return Closer(listing, rows, listing.complete)
    now, later = due[: capabilities.reads_per_pass], due[capabilities.reads_per_pass :]
    sights, failed, unasked = _read_all(clock, now, capabilities.parallel_reads)
    # What was seen before and is only due for a sweep may wait; its row has not changed.
    rest = [*unasked, *later]
    waiting = {s.name for s in rest if s.name not in known or _changed(s, known[s.name])}
    readable = _without(listing, waiting, failed)
    unread = frozenset(waiting | failed.keys())
    return Closer(readable, sights, listing.complete, len(waiting), unread)


def _due(
    listing: Listing, known: Mapping[str, Known], capabilities: Capabilities
) -> Sequence[Sighting]:
    """Return the rows to read: changed and moving ones first, then new ones, then sweeps."""
    changed, new, swept = [], [], []
    for sighting in listing.sightings:
        held = known.get(sighting.name)
        if held is None:
            new.append(sighting)
        elif _changed(sighting, held) or sighting.moving:
            changed.append(sighting)
        elif _sweep_due(held, capabilities, listing.asked_at):
            swept.append((held.looked_at or listing.asked_at, sighting.name, sighting))
    return [*changed, *new, *(sighting for _, _, sighting in sorted(swept, key=lambda s: s[:2]))]


def _changed(sighting: Sighting, held: Known) -> bool:
    return held.digest != sighting.digest or held.missing_since is not None


def _sweep_due(held: Known, capabilities: Capabilities, now: datetime) -> bool:
    if capabilities.sweep_seconds is None:
        return False
    every = timedelta(seconds=capabilities.sweep_seconds)
    if held.restless:
        every = min(every, RESTLESS_EVERY)
    return held.looked_at is None or now - held.looked_at >= every


def _as_listed(sighting: Sighting, listing: Listing) -> Sight:
    return Sight(sighting.snapshot(), sighting.digest, listing.asked_at, listing.answered_at)


def _read_all(
    clock: Clock, wanted: Sequence[Sighting], parallel: int
) -> tuple[dict[str, Sight], dict[str, ProviderError], list[Sighting]]:
    """Return what was read, what could not be, and what was not asked for after a refusal."""
    sights: dict[str, Sight] = {}
    failed: dict[str, ProviderError] = {}
    unasked: list[Sighting] = []
    for sighting, found in zip(wanted, _each(clock, wanted, parallel), strict=True):
        if found is None:
            unasked.append(sighting)
        elif isinstance(found, Sight):
            sights[sighting.name] = found
        else:
            failed[sighting.name] = found
    return sights, failed, unasked


def _each(
    clock: Clock, wanted: Sequence[Sighting], parallel: int
) -> Iterable[Sight | ProviderError | None]:
    refused = Event()
    if parallel <= 1 or len(wanted) <= 1:
        return [_read(clock, sighting, refused) for sighting in wanted]
    with ThreadPoolExecutor(parallel, thread_name_prefix="look") as pool:
        # Each with a context of its own: the permit of this pass holds in these threads too.
        jobs = [pool.submit(copy_context().run, _read, clock, one, refused) for one in wanted]
        return [job.result() for job in jobs]


def _read(clock: Clock, sighting: Sighting, refused: Event) -> Sight | ProviderError | None:
    """Read one; None once a cloud has refused more calls now, so that the rest are not tried."""
    if refused.is_set():
        return None
    asked_at = clock.now()
    try:
        snapshot = sighting.snapshot()
    except ProviderError as error:
        if isinstance(error, ThrottledError):
            refused.set()
        return error
    return Sight(snapshot, sighting.digest, asked_at, clock.now())


def _telling(errors: Iterable[ProviderError]) -> ProviderError | None:
    """Return the error that says most on when to come back."""
    found = list(errors)
    refusals = (error for error in found if isinstance(error, ThrottledError))
    return next(refusals, found[0] if found else None)


def _without(listing: Listing, waiting: set[str], failed: Mapping[str, ProviderError]) -> Listing:
    """Return the listing without the rows that were not read; then it is not complete."""
    if not waiting and not failed:
        return listing
    problems = [listing.problem] if listing.problem else []
    if waiting:
        problems.append(f"{len(waiting)} endpoints are read in the next passes")
    if failed:
        name, error = next(iter(failed.items()))
        problems.append(f"{len(failed)} endpoints could not be read, {name} among them: {error}")
    return replace(
        listing,
        sightings=tuple(s for s in listing.sightings if s.name not in waiting | failed.keys()),
        complete=False,
        problem="; ".join(problems),
        error=listing.error or _telling(failed.values()),
    )
