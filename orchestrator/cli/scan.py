"""`orchestrator scan`: what runs at all clouds, what it costs, what seems forgotten.

Reads only: who the credentials are, the listings of endpoints, what these do not tell of one, and
the price list where there is anything to price.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime

from orchestrator import logs
from orchestrator.cli import scan_report
from orchestrator.cli.errors import CliError, ExitCode
from orchestrator.cli.scan_facts import (
    FORGOTTEN_AFTER,
    Counted,
    PlaceScan,
    Prices,
    Scan,
    found,
)
from orchestrator.cli.scan_sources import (
    Absent,
    Drivers,
    Place,
    Source,
    Target,
    find_places,
    find_sources,
)
from orchestrator.cli.session import Session
from orchestrator.domain.endpoints import Snapshot, Usage
from orchestrator.logs import redact_text
from orchestrator.providers.base import (
    CredentialsError,
    NotFoundError,
    Provider,
    ProviderError,
    Sighting,
)
from orchestrator.providers.registry import ProviderHooks

__all__ = ["Target", "scan"]

# So many places are looked at together, each with at most so many reads of endpoints at once.
PLACES_AT_ONCE = 4
READS_AT_ONCE = 4


def scan(run: Session, target: Target) -> None:
    """Print all endpoints of all places, forgotten-looking ones first.

    Raises CliError when no place could be read, and with PARTIAL when some could not be.
    """
    logs.configure("error")
    drivers = Drivers(target, ProviderHooks(clock=run.clock, sleep=run.around.sleep))
    sources, absent = find_sources(drivers, target)
    result = look(drivers, sources, absent, target, run.clock.now())
    scan_report.show(run, result)
    _end(result)


def look(
    drivers: Drivers,
    sources: Sequence[Source],
    absent: Sequence[Absent],
    target: Target,
    now: datetime,
) -> Scan:
    """Return what one look at each place tells. Raises CliError where none can be named."""
    places = find_places(drivers, sources, target)
    with ThreadPoolExecutor(max_workers=PLACES_AT_ONCE) as pool:
        scans = tuple(pool.map(lambda place: _look_at(drivers, place, target, now), places))
    asked = [each for each in absent if each.kind in target.kinds]
    return Scan(
        at=now,
        month_start=_month_start(now),
        places=scans,
        sources=tuple(sources),
        missing=tuple(asked),
        skipped=tuple(each for each in absent if each not in asked),
    )


def _end(result: Scan) -> None:
    """Raise CliError unless every place was read whole."""
    failed = [each for each in result.places if each.error is not None]
    if failed and len(failed) == len(result.places):
        raise _failure(failed[0])
    partly = [each for each in result.places if not each.complete]
    if partly or result.missing:
        raise CliError(
            f"{len(partly) + len(result.missing)} of {len(result.places) + len(result.missing)} "
            "places could not be read whole",
            ExitCode.PARTIAL,
            "see the warnings above",
        )


def _failure(place: PlaceScan) -> CliError:
    """Return how a run ends for which no cloud gave an answer."""
    what = f"nothing could be read: {redact_text(str(place.error))}"
    if isinstance(place.error, CredentialsError):
        return CliError(what, ExitCode.AUTH, "give other credentials with --credential")
    return CliError(what, ExitCode.UNREACHABLE, "try again shortly")


def _look_at(drivers: Drivers, place: Place, target: Target, now: datetime) -> PlaceScan:
    if not place.namespace:
        error = place.source.error
        return PlaceScan(place, complete=False, problem=redact_text(str(error)), error=error)
    with closing(drivers.at(place)) as provider:
        listing = provider.list_endpoints()
        snapshots, problem = _read_all(provider, listing.sightings)
        prices = _prices(provider) if snapshots else Prices()
        counted = _counted(provider, snapshots, target, now)
        calls = sum(provider.calls().values())
    told = listing.problem or str(listing.error or "")
    return PlaceScan(
        place=place,
        found=tuple(found(place, each, prices, counted, now) for each in snapshots),
        complete=listing.complete and not problem,
        problem=redact_text("; ".join(filter(None, (told, problem)))),
        rates_problem=prices.problem,
        counted=counted,
        calls=calls,
        error=None if listing.sightings else listing.error,
    )


def _read_all(provider: Provider, sightings: Sequence[Sighting]) -> tuple[list[Snapshot], str]:
    """Return what is there, and why some of it could not be read; what is gone is left out."""
    at_once = min(READS_AT_ONCE, provider.capabilities.parallel_reads)
    with ThreadPoolExecutor(max_workers=at_once) as pool:
        read = list(pool.map(_read, sightings))
    failed = [each for each in read if isinstance(each, ProviderError)]
    failed = [each for each in failed if not isinstance(each, NotFoundError)]
    problem = f"{len(failed)} endpoints could not be read: {failed[0]}" if failed else ""
    return [each for each in read if isinstance(each, Snapshot)], problem


def _read(sighting: Sighting) -> Snapshot | ProviderError:
    try:
        return sighting.snapshot()
    except ProviderError as error:
        return error


def _prices(provider: Provider) -> Prices:
    """Return the price list, or why it is not known."""
    try:
        return Prices({offer.hardware.key: offer for offer in provider.hardware()})
    except ProviderError as error:
        return Prices(problem=redact_text(str(error)))


def _counted(
    provider: Provider, snapshots: Iterable[Snapshot], target: Target, now: datetime
) -> Counted:
    """Count the requests of the last day to what is billed and has no last use, if asked to."""
    names = [each.name for each in snapshots if each.billed.high and each.last_used_at is None]
    price = provider.capabilities.usage_nano_per_reading
    if not target.usage:
        return Counted(nano_each=price)
    usage: dict[str, Usage | None] = {}
    problem = ""
    size = provider.capabilities.usage_batch
    for first in range(0, len(names), size):
        try:
            some = names[first : first + size]
            usage.update(provider.usage(some, now - FORGOTTEN_AFTER, now))
        except ProviderError as error:
            problem = redact_text(str(error))
    return Counted(usage, price, len(names), problem)


def _month_start(now: datetime) -> datetime:
    """Return the start of the billing month, which is a calendar month in UTC."""
    return now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
