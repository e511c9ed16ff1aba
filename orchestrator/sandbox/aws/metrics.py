"""CloudWatch: datapoints and names of the metrics of SageMaker.

Datapoints stand at the start of their period, which is aligned to the clock. Minutes are kept for
15 days, five minutes for 63, hours for 455. Only plain metrics are known, no expressions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

from orchestrator.sandbox.aws.calls import AwsCall, Handlers, Result
from orchestrator.sandbox.aws.errors import AwsError
from orchestrator.sandbox.aws.series import Metric, Sample, metrics
from orchestrator.sandbox.aws.tokens import page
from orchestrator.sandbox.instants import DAY, HOUR, MINUTE, SECOND, to_datetime, to_instant

LARGEST_CALL = 500
LARGEST_PAGE = 100_800
_NAMES_PER_PAGE = 500
_LARGEST_STATISTICS = 1440
_KEPT = ((15 * DAY, MINUTE), (63 * DAY, 5 * MINUTE), (455 * DAY, HOUR))
_STAT = re.compile(r"Sum|Average|Minimum|Maximum|SampleCount|(?:p|tm|tc|ts|wm)\d{1,3}(?:\.\d+)?")
_ID = re.compile(r"[a-z][a-zA-Z0-9_]*")
_SHORT = frozenset({1, 5, 10, 20, 30})

Key = tuple[str, str, frozenset[tuple[str, str]]]
Point = tuple[int, float]
Row = Mapping[str, Any]
_NOTHING: tuple[None] = (None,)


class _Datum(NamedTuple):
    """One datapoint of a query, None for a query without any."""

    query: int
    point: Point | None


def _invalid(text: str) -> AwsError:
    return AwsError("ValidationError", text)


def _seen(call: AwsCall) -> int:
    """The last instant of which CloudWatch knows."""
    return call.instant - call.cloud.switches.metrics_delay_s * SECOND


def _by_key(call: AwsCall) -> dict[Key, Metric]:
    return {_key(one.namespace, one.name, one.dimensions): one for one in metrics(call.place)}


def _key(namespace: str, name: str, dimensions: Iterable[tuple[str, str]]) -> Key:
    return namespace, name, frozenset(dimensions)


def _dimensions(rows: Iterable[Row]) -> Iterator[tuple[str, str]]:
    return ((row["Name"], row["Value"]) for row in rows)


def samples(
    metric: Metric | None, start: int, end: int, period_s: int, seen: int
) -> Iterator[tuple[int, Sample]]:
    """The datapoints of [start, end) by period, the oldest first, up to the instant `seen`."""
    period = max(period_s * SECOND, MINUTE)
    first = start // period * period
    if metric is None or first >= min(end, seen):
        return
    oldest = max(age for age, step in _KEPT if period >= step)
    first = max(first, (seen - oldest) // period * period)
    for low, high in pairwise(range(first, min(end, seen) + period, period)):
        sample = metric.sample(low, min(high, seen))
        if sample is not None:
            yield low, sample


# GetMetricData


def get_metric_data(call: AwsCall) -> Result:
    """Up to 500 metrics between two instants, in pages of 100,800 datapoints; raises AwsError."""
    params = call.params
    _require_range(params)
    _require_queries(params["MetricDataQueries"])
    wanted = [row for row in params["MetricDataQueries"] if row.get("ReturnData", True)]
    known = _by_key(call)
    flat = [
        _Datum(query, point)
        for query, row in enumerate(wanted)
        for point in _points(call, known, row) or _NOTHING
    ]
    size = min(params.get("MaxDatapoints", LARGEST_PAGE), LARGEST_PAGE)
    shown, token = page(flat, params.get("NextToken"), size, refused_as="InvalidNextToken")
    rest = flat[flat.index(shown[-1]) + 1 :] if token else []
    result: Result = {"MetricDataResults": list(_results(wanted, shown, rest)), "Messages": []}
    return result if token is None else {**result, "NextToken": token}


def _points(call: AwsCall, known: Mapping[Key, Metric], row: Row) -> list[Point]:
    """The datapoints of a query in the order that was asked for."""
    stat, params = row["MetricStat"], call.params
    wanted = stat["Metric"]
    dimensions = _dimensions(wanted.get("Dimensions", []))
    metric = known.get(_key(wanted.get("Namespace", ""), wanted.get("MetricName", ""), dimensions))
    if metric is not None and stat.get("Unit", metric.unit) != metric.unit:
        return []
    start, end = to_instant(params["StartTime"]), to_instant(params["EndTime"])
    found = samples(metric, start, end, stat["Period"], _seen(call))
    points = [(at, sample.statistic(stat["Stat"])) for at, sample in found]
    return points if params.get("ScanBy") == "TimestampAscending" else points[::-1]


def _results(
    wanted: list[Row], shown: list[_Datum], rest: list[_Datum]
) -> Iterator[dict[str, Any]]:
    """The part of each query that is on a page; `rest` comes on later pages."""
    cut = {rest[0].query} if rest else set()
    for query in sorted({one.query for one in shown}):
        points = [one.point for one in shown if one.query == query and one.point is not None]
        row = wanted[query]
        yield {
            "Id": row["Id"],
            "Label": row.get("Label", row["MetricStat"]["Metric"].get("MetricName", "")),
            "Timestamps": [to_datetime(at) for at, _ in points],
            "Values": [value for _, value in points],
            "StatusCode": "PartialData" if query in cut else "Complete",
        }


def _require_range(params: Row) -> None:
    if params["StartTime"] >= params["EndTime"]:
        raise _invalid("The parameter StartTime must be less than the parameter EndTime.")


def _require_queries(queries: list[Row]) -> None:
    if len(queries) > LARGEST_CALL:
        text = f"must not have a size greater than {LARGEST_CALL}."
        raise _invalid(f"The collection MetricDataQueries {text}")
    ids = [row["Id"] for row in queries]
    if len(set(ids)) < len(ids):
        raise _invalid("The values for parameter id in MetricDataQueries are not unique.")
    for row in queries:
        if _ID.fullmatch(row["Id"]) is None:
            raise _invalid(
                f"The value {row['Id']} for parameter Id is not matching the expression."
            )
        if "MetricStat" not in row:
            raise _invalid(f"Error in expression '{row['Id']}': only MetricStat is supported.")
        _require_statistic(row["MetricStat"]["Period"], row["MetricStat"]["Stat"])


def _require_statistic(period_s: int, stat: str) -> None:
    if period_s % 60 and period_s not in _SHORT:
        raise _invalid("Period must be 1, 5, 10, 20, 30, or a multiple of 60.")
    if _STAT.fullmatch(stat) is None:
        raise _invalid(f"The value {stat} for parameter Stat is not supported.")


# GetMetricStatistics


def get_metric_statistics(call: AwsCall) -> Result:
    """Statistics of one metric, at most 1,440 datapoints in no order; raises AwsError."""
    params = call.params
    _require_range(params)
    words = [*params.get("Statistics", []), *params.get("ExtendedStatistics", [])]
    if not words:
        text = "At least one of Statistics and ExtendedStatistics must be specified."
        raise AwsError("InvalidParameterCombination", text)
    for word in words:
        _require_statistic(params["Period"], word)
    start, end = to_instant(params["StartTime"]), to_instant(params["EndTime"])
    count = (end - start) // (params["Period"] * SECOND)
    if count > _LARGEST_STATISTICS:
        text = f"You have requested up to {count} datapoints, which exceeds the limit of 1,440."
        raise AwsError("InvalidParameterCombination", text)
    key = _key(params["Namespace"], params["MetricName"], _dimensions(params.get("Dimensions", [])))
    metric = _by_key(call).get(key)
    found = samples(metric, start, end, params["Period"], _seen(call))
    unit = metric.unit if metric else "None"
    rows = (
        [] if params.get("Unit", unit) != unit else [_datapoint(one, params, unit) for one in found]
    )
    return {"Label": params["MetricName"], "Datapoints": rows}


def _datapoint(one: tuple[int, Sample], params: Row, unit: str) -> dict[str, Any]:
    at, sample = one
    row: dict[str, Any] = {"Timestamp": to_datetime(at), "Unit": unit}
    row |= {word: sample.statistic(word) for word in params.get("Statistics", [])}
    extended = params.get("ExtendedStatistics", [])
    more = {word: sample.statistic(word) for word in extended}
    return {**row, "ExtendedStatistics": more} if more else row


# ListMetrics


def list_metrics(call: AwsCall) -> Result:
    """The metrics with datapoints in the last two weeks, or three hours, 500 a page."""
    seen = _seen(call)
    since = seen - (3 * HOUR if "RecentlyActive" in call.params else 14 * DAY)
    rows = [
        _shown(metric)
        for metric in metrics(call.place)
        if _is_meant(call.params, metric) and metric.sample(since, seen) is not None
    ]
    shown, token = page(
        rows, call.params.get("NextToken"), _NAMES_PER_PAGE, refused_as="InvalidParameterValue"
    )
    return {"Metrics": shown} if token is None else {"Metrics": shown, "NextToken": token}


def _is_meant(params: Row, metric: Metric) -> bool:
    dimensions = dict(metric.dimensions)
    return (
        params.get("Namespace", metric.namespace) == metric.namespace
        and params.get("MetricName", metric.name) == metric.name
        and all(
            row["Name"] in dimensions
            and row.get("Value", dimensions[row["Name"]]) == dimensions[row["Name"]]
            for row in params.get("Dimensions", [])
        )
    )


def _shown(metric: Metric) -> dict[str, Any]:
    dimensions = [{"Name": name, "Value": value} for name, value in metric.dimensions]
    return {"Namespace": metric.namespace, "MetricName": metric.name, "Dimensions": dimensions}


HANDLERS: Handlers = {
    ("cloudwatch", "GetMetricData"): (get_metric_data, False),
    ("cloudwatch", "GetMetricStatistics"): (get_metric_statistics, False),
    ("cloudwatch", "ListMetrics"): (list_metrics, False),
}
