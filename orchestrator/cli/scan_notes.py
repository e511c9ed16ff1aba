"""What the figures of a scan leave open, and why, in sentences."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from orchestrator.cli.scan_facts import FORGOTTEN_AFTER, Found, PlaceScan, Scan
from orchestrator.costs.scan import AUTO_PAUSE
from orchestrator.domain.endpoints import Stop
from orchestrator.domain.money import format_dollars
from orchestrator.logs import redact_text

_UPPER_BOUND = (
    "'month, most' is an upper bound since {since} UTC: as if all replicas had run all the "
    "time since then, or since creation. One look cannot see when an endpoint slept, or what it "
    "ran on before; `orchestrator serve` meters from now on."
)
_SAVINGS = (
    "'pause saves' is the most that a pause after {minutes} minutes without use would have saved "
    "this month. It counts only the time since the last request or change: earlier idle stretches "
    "are not visible."
)
_NEVER_USED = (
    "last use is not told for {count}: the cloud is silent, or there was none; nothing is counted "
    "as saved there."
)
_COUNT_THEM = (
    "the listing of {title} never tells the last use, so none looks forgotten there: --usage "
    "counts the requests of the last {hours} h, for {price} of the cloud's own price."
)
_COUNTING = "counting requests at {title} cost {price} of the cloud's own price."
_NO_PRICE = "{count} unpriced: the hardware is not in the price list; missing from the totals."
_NO_EXTRA = "{component} unpriced for {count}; missing from their prices and the totals."
_NO_BOUND = "{count} without known most replicas; missing from 'month, most'."
_SOURCED = "prices of {count} are not of now: {source}."
_RECREATE = (
    "{count} stop only by being deleted and made again (stops by: deletion), which the "
    "orchestrator does only with their owner's leave."
)
_OBSERVED = "{count} can only be observed: {reason} ({names})."
_SHOWN = 3
_EMPTY_PLACES = "{title}: no endpoints in {empty} of {whole} regions."


def notes(scan: Scan) -> list[str]:
    """Return the sentences, those on money first."""
    everything = scan.found
    told = [
        *(_on_money(scan, everything) if everything else ()),
        *(_on_handling(everything)),
        *(_on_places(scan)),
    ]
    return [*told, *(f"not looked at: {each.sentence}" for each in scan.skipped)]


def _on_money(scan: Scan, everything: Sequence[Found]) -> Iterator[str]:
    yield _UPPER_BOUND.format(since=f"{scan.month_start:%Y-%m-%d}")
    yield _SAVINGS.format(minutes=int(AUTO_PAUSE.total_seconds()) // 60)
    counted = (
        (sum("last use" in each.unknown for each in everything), _NEVER_USED),
        (sum(each.rate.nano is None for each in everything), _NO_PRICE),
        (sum(each.rate.nano is not None and each.most is None for each in everything), _NO_BOUND),
    )
    yield from (text.format(count=count) for count, text in counted if count)
    yield from _on_counting(scan)
    extras = Counter(part for each in everything for part in each.rate.unpriced)
    for component, count in sorted(extras.items()):
        yield _NO_EXTRA.format(component=component, count=count)
    sources = Counter(source for each in everything for source in each.rate.sources)
    for source, count in sorted(sources.items()):
        yield _SOURCED.format(source=redact_text(source), count=count)


def _on_counting(scan: Scan) -> Iterator[str]:
    for title, places in _by_title(scan).items():
        spent = sum(each.counted.nano_each * each.counted.readings for each in places)
        if spent:
            yield _COUNTING.format(title=title, price=format_dollars(spent, 6))
        silent = sum(each.counted.nano_each * _silent(each) for each in places)
        if silent and not spent:
            hours = int(FORGOTTEN_AFTER.total_seconds()) // 3600
            yield _COUNT_THEM.format(title=title, hours=hours, price=format_dollars(silent, 6))


def _silent(place: PlaceScan) -> int:
    """Return how many endpoints are billed without a known last use."""
    return sum("last use" in each.unknown and each.snapshot.billed.high > 0 for each in place.found)


def _on_handling(everything: Sequence[Found]) -> Iterator[str]:
    recreated = sum(each.snapshot.stop is Stop.RECREATE for each in everything)
    if recreated:
        yield _RECREATE.format(count=recreated)
    reasons: defaultdict[str, list[str]] = defaultdict(list)
    for each in everything:
        if each.snapshot.observe_only:
            reasons[each.snapshot.observe_only].append(each.full_name)
    for reason, names in sorted(reasons.items()):
        yield _OBSERVED.format(count=len(names), reason=reason, names=_some(names))


def _on_places(scan: Scan) -> Iterator[str]:
    """Sum up regions in which there is nothing, and say what stood in the way of naming places."""
    for title, places in _by_title(scan).items():
        read = [each for each in places if each.place.region and not each.error]
        empty = sum(each.complete and not each.found for each in read)
        if empty:
            yield _EMPTY_PLACES.format(title=title, empty=empty, whole=len(places))
    for source in scan.sources:
        # Elsewhere the problems are those of acting, which a scan does not.
        if source.identity is not None and source.cloud.home_region:
            yield from (f"{source.cloud.title}: {text}" for text in source.identity.problems)


def _by_title(scan: Scan) -> dict[str, list[PlaceScan]]:
    found: defaultdict[str, list[PlaceScan]] = defaultdict(list)
    for each in scan.places:
        found[each.place.source.cloud.title].append(each)
    return found


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"
