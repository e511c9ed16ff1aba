"""Counts requests by CloudWatch, cautiously: no data is not zero.

Without traffic CloudWatch has no data point for `Invocations`. So a minute without one counts as
idle only if `CPUUtilization` of the same variant has one, which shows that metrics flow.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from orchestrator.clock import Clock
from orchestrator.domain.endpoints import Usage
from orchestrator.domain.usage import by_stretch, known_until
from orchestrator.providers.base import ProviderError, UnavailableError
from orchestrator.providers.sagemaker.failures import DeniedError
from orchestrator.providers.sagemaker.reading import Reader, utc
from orchestrator.providers.sagemaker.session import AwsSession

REQUESTS = "AWS/SageMaker"
INSTANCES = "/aws/sagemaker/Endpoints"
QUERIES_PER_CALL = 500
# Of an endpoint with one variant: its requests, its CPU, its requests in flight.
METRICS = 3
# $0.01 for 1,000 metrics requested (CloudWatch pricing).
NANO_PER_METRIC = 10_000
MINUTE = timedelta(minutes=1)
# Data points of the newest minutes may still be on their way.
LATE = timedelta(minutes=2)
_COUNT, _PROOF, _FLIGHT = "count", "proof", "flight"

Key = Mapping[str, str]


@dataclass(slots=True)
class _Series:
    """Values by minute; `whole` is False where CloudWatch said that some are missing."""

    values: dict[datetime, float] = field(default_factory=dict)
    whole: bool = True


@dataclass(frozen=True, slots=True)
class _Query:
    endpoint: str
    part: str
    key: tuple[tuple[str, str], ...]

    def params(self, number: int) -> dict[str, Any]:
        """Return the query of one metric, as GetMetricData takes it."""
        namespace, metric, stat = _metric(self.part, dict(self.key))
        dimensions = [{"Name": name, "Value": value} for name, value in self.key]
        named = {"Namespace": namespace, "MetricName": metric, "Dimensions": dimensions}
        return {"Id": f"q{number}", "MetricStat": {"Metric": named, "Period": 60, "Stat": stat}}


def _metric(part: str, key: Key) -> tuple[str, str, str]:
    """Return namespace, metric and statistic; metrics need the variant, or the component."""
    if part == _COUNT:
        return REQUESTS, "Invocations", "Sum"
    if part == _PROOF:
        return INSTANCES, "CPUUtilization", "SampleCount"
    copies = "InferenceComponentName" in key
    return REQUESTS, f"ConcurrentRequestsPer{'Copy' if copies else 'Model'}", "Maximum"


def read_usage(
    session: AwsSession,
    reader: Reader,
    names: Sequence[str],
    asked: tuple[datetime, datetime],
    clock: Clock,
) -> dict[str, Usage | None]:
    """Return the requests of whole minutes of the asked `[start, end)`, without the newest ones.

    A request in the newest minutes still tells of use. None where the credentials may not read
    metrics; an endpoint that cannot be read is left out. Raises UnavailableError.
    """
    span = _span(*asked, clock.now())
    queries = list(_queries(reader, names))
    try:
        found = _fetch(session, queries, span[0], _ceiling(asked[1]))
    except DeniedError:
        return dict.fromkeys(names)
    told = {query.endpoint for query in queries}
    return {name: _usage(name, queries, found, span) for name in names if name in told}


def _span(start: datetime, end: datetime, now: datetime) -> tuple[datetime, datetime]:
    """Return the whole minutes of a span of which all data should be there."""
    since = _ceiling(start)
    return since, max(since, _floor(min(end, now - LATE)))


def _floor(instant: datetime) -> datetime:
    return instant.replace(second=0, microsecond=0)


def _ceiling(instant: datetime) -> datetime:
    floor = _floor(instant)
    return floor if floor == instant else floor + MINUTE


def _queries(reader: Reader, names: Sequence[str]) -> Iterator[_Query]:
    """Yield what to ask about each endpoint: per variant and per component."""
    for name in names:
        try:
            keys = reader.metric_keys(name)
        except UnavailableError:
            raise
        except ProviderError:
            continue
        hosts = any("InferenceComponentName" in key for key in keys)
        for key in keys:
            pairs = tuple(sorted(key.items()))
            if "VariantName" in key:
                yield _Query(name, _PROOF, pairs)
            if not (hosts and "VariantName" in key):
                yield _Query(name, _COUNT, pairs)
                yield _Query(name, _FLIGHT, pairs)


def _fetch(
    session: AwsSession, queries: Sequence[_Query], start: datetime, end: datetime
) -> dict[_Query, _Series]:
    found: defaultdict[_Query, _Series] = defaultdict(_Series)
    if start >= end:
        return found
    for first in range(0, len(queries), QUERIES_PER_CALL):
        batch = queries[first : first + QUERIES_PER_CALL]
        pages = session.pages(
            "cloudwatch",
            "GetMetricData",
            "MetricDataResults",
            MetricDataQueries=[query.params(number) for number, query in enumerate(batch)],
            StartTime=start,
            EndTime=end,
            ScanBy="TimestampAscending",
        )
        for result in pages:
            _take(result, batch, found)
    return found


def _take(result: Mapping[str, Any], batch: Sequence[_Query], found: dict[_Query, _Series]) -> None:
    """Add a part of a metric; one that goes on upon the next page says PartialData."""
    label = str(result.get("Id") or "")
    number = int(label[1:]) if label[1:].isdecimal() else len(batch)
    if number >= len(batch):
        return
    series = found[batch[number]]
    if result.get("StatusCode") in ("InternalError", "Forbidden"):
        series.whole = False
    for at, value in zip(result.get("Timestamps") or (), result.get("Values") or (), strict=False):
        instant = utc(at)
        if instant is not None and isinstance(value, int | float) and math.isfinite(value):
            series.values[_floor(instant)] = float(value)


def _usage(
    name: str,
    queries: Sequence[_Query],
    found: Mapping[_Query, _Series],
    span: tuple[datetime, datetime],
) -> Usage:
    start, end = span
    parts: defaultdict[str, list[_Series]] = defaultdict(list)
    for query in queries:
        if query.endpoint == name:
            parts[query.part].append(found.get(query, _Series()))
    busy = _sums(parts[_COUNT])
    last = max((at for at, value in busy.items() if value > 0), default=None)
    known = _known(parts, busy, start, end)
    spans = [(at, at + MINUTE) for at in known]
    return Usage(
        start=start,
        end=end,
        requests=math.ceil(sum(value for at, value in busy.items() if start <= at < end)),
        covered_seconds=60 * len(known),
        last_request_at=last + MINUTE if last is not None else None,
        in_flight=_in_flight(parts[_FLIGHT], end),
        known_since=known_until(spans, end),
        stretches=by_stretch(
            spans, ((at, value) for at, value in busy.items() if start <= at < end), MINUTE
        ),
    )


def _known(
    parts: Mapping[str, list[_Series]],
    busy: Mapping[datetime, float],
    start: datetime,
    end: datetime,
) -> list[datetime]:
    """Return the minutes of which requests are known: all variants must prove theirs."""
    if not parts[_COUNT] or not all(series.whole for series in parts[_COUNT]):
        return []
    proofs = [{at for at, value in series.values.items() if value > 0} for series in parts[_PROOF]]
    proven = set.intersection(*proofs) if proofs else set()
    alone = set(busy) if len(parts[_COUNT]) == 1 else set()
    return sorted(at for at in proven | alone if start <= at < end)


def _sums(series: Sequence[_Series]) -> dict[datetime, float]:
    sums: defaultdict[datetime, float] = defaultdict(float)
    for one in series:
        for at, value in one.values.items():
            sums[at] += value
    return dict(sums)


def _in_flight(series: Sequence[_Series], end: datetime) -> int | None:
    """Return the most requests at once in the newest minute told, None where none is recent."""
    sums = _sums(series)
    newest = max(sums, default=None)
    if newest is None or newest < end - MINUTE:
        return None
    return math.ceil(sums[newest])
