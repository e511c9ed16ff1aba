"""Graphs of an endpoint: `AllGraphs`, the older one-metric form, OpenMetrics.

`x` is in seconds since the epoch. Points of a graph stand for the bucket that ends at `x`; there
are at most 240. Only counts and replicas are simulated: latencies and hardware use follow from
the load of a replica by a fixed rule.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from orchestrator.sandbox.context import Context, route
from orchestrator.sandbox.endpoint import Endpoint, Frame
from orchestrator.sandbox.instants import MINUTE, SECOND, to_instant
from orchestrator.sandbox.management import replica_id
from orchestrator.sandbox.messages import ApiError, Response, json_response, text_response
from orchestrator.sandbox.physics import REQUESTS_PER_REPLICA
from orchestrator.sandbox.schema import parse
from orchestrator.sandbox.traffic import BLOCK

_POINTS = 240
_SERVING = frozenset({"running", "updating", "updateFailed"})


@dataclass(frozen=True, slots=True)
class Bucket:
    """Requests by status code in `seconds` that end at `end`, and the replicas then."""

    end: int
    seconds: float
    codes: Counter[str]
    ready: int
    target: int
    state: str

    @property
    def load(self) -> float:
        """Load of a replica, from 0 to 1."""
        capacity = max(self.ready, 1) * REQUESTS_PER_REPLICA * self.seconds * SECOND / BLOCK
        return min(self.codes["200"] / capacity, 1.0) if self.ready and self.seconds else 0.0

    @property
    def errors(self) -> int:
        """Requests that were refused by the proxy."""
        return self.codes["503"]


def buckets(endpoint: Endpoint, start: int, stop: int, step: int) -> list[Bucket]:
    """The stretch (start, stop] in buckets of `step` microseconds."""
    edges = [*range(start, stop, step), stop]
    return [_bucket(endpoint, low, high) for low, high in pairwise(edges)]


def _bucket(endpoint: Endpoint, low: int, high: int) -> Bucket:
    codes: Counter[str] = Counter()
    last: Frame | None = None
    for frame, begin, end in _pieces(endpoint, low, high):
        last = frame
        code = _code(frame)
        if code and end > begin:
            codes[code] += endpoint.request_count(begin, end)
    ready, target = (last.ready, last.target) if last else (0, 0)
    state = last.state if last else "pending"
    return Bucket(high, (high - low) / SECOND, codes, ready, target, state)


def _pieces(endpoint: Endpoint, low: int, high: int) -> Iterator[tuple[Frame, int, int]]:
    """The stretches of the history within (low, high]."""
    frames = endpoint.frames
    place = max(bisect_right(frames, low, key=lambda frame: frame.at) - 1, 0)
    while place < len(frames) and frames[place].at <= high:
        end = frames[place + 1].at if place + 1 < len(frames) else high
        yield frames[place], max(frames[place].at, low), min(end, high)
        place += 1


def _code(frame: Frame) -> str:
    """How the proxy answers in a stretch; empty while nobody knows the address."""
    if not frame.addressed:
        return ""
    if frame.state == "paused":
        return "400"
    return "200" if frame.state in _SERVING and frame.ready else "503"


def all_graphs(context: Context) -> Response:
    """`AllGraphs` between `start` and `stop` of the body."""
    endpoint = _endpoint(context)
    body = parse(context.request.body)
    start, stop = _instant(body.get("start")), _instant(body.get("stop"))
    points = _points(context, endpoint, start, stop)
    return json_response(200, _graphs(context, endpoint, points))


def _graphs(context: Context, endpoint: Endpoint, points: list[Bucket]) -> dict[str, Any]:
    codes = sorted({code for point in points for code in point.codes})
    hardware = _by_replica(context, endpoint)
    gpu = endpoint.spec["compute"]["accelerator"] == "gpu"
    return {
        "responseStatusCodeGrouped": _series(
            points, "statusCode", {code: _count_of(code) for code in codes}
        ),
        "responseElapsed": _series(points, "percentile", {"p50": _median, "p95": _p95}),
        "pendingRequest": {"series": [{"data": _data(points, _pending)}]},
        "replicasRunning": _series(
            points, "status", {"ready": lambda p: p.ready, "target": lambda p: p.target}
        ),
        "hardwareCpu": hardware(points, lambda p: 60 * p.load),
        "hardwareMem": hardware(points, lambda p: 40.0 if p.ready else 0.0),
        "hardwareGpu": hardware(points, lambda p: 100 * p.load) if gpu else {"series": []},
        "hardwareGpuMem": hardware(points, _gpu_memory) if gpu else {"series": []},
        "inference": None,
    }


Value = Callable[[Bucket], float]


def _count_of(code: str) -> Value:
    return lambda point: point.codes[code]


def _median(point: Bucket) -> float:
    return 0.4 + 2.0 * point.load if point.codes["200"] else 0.0


def _p95(point: Bucket) -> float:
    return 3 * _median(point)


def _pending(point: Bucket) -> float:
    return 4 * point.load


def _gpu_memory(point: Bucket) -> float:
    return 88.0 if point.ready else 0.0


def _data(points: list[Bucket], value: Value) -> list[dict[str, float]]:
    return [{"x": point.end // SECOND, "y": value(point)} for point in points]


def _series(points: list[Bucket], key: str, values: dict[str, Value]) -> dict[str, Any]:
    return {"series": [{key: word, "data": _data(points, get)} for word, get in values.items()]}


def _by_replica(
    context: Context, endpoint: Endpoint
) -> Callable[[list[Bucket], Value], dict[str, Any]]:
    ids = [replica_id(context.world.seed, endpoint, n) for n in range(max(endpoint.ready, 1))]

    def series(points: list[Bucket], value: Value) -> dict[str, Any]:
        data = _data(points, value)
        return {"series": [{"replicaId": one, "deviceId": "0", "data": data} for one in ids]}

    return series


def _rate(code: str) -> Value:
    return lambda point: point.codes[code] / point.seconds if point.seconds else 0.0


def _share(code: str) -> Value:
    return lambda p: p.codes[code] / p.codes.total() if p.codes.total() else 0.0


_METRICS: dict[str, Value] = {
    "pending-requests": _pending,
    "request-count": lambda point: point.codes.total(),
    "median-latency": _median,
    "p95-latency": _p95,
    "average-latency": _median,
    "success-throughput": _rate("200"),
    "bad-request-throughput": _rate("400"),
    "server-error-throughput": _rate("503"),
    "success-rate": _share("200"),
    "bad-request-rate": _share("400"),
    "server-error-rate": _share("503"),
    "cpu-usage": lambda point: 60 * point.load,
    "memory-usage": lambda point: 40.0 if point.ready else 0.0,
    "gpu-usage": lambda point: 100 * point.load,
    "gpu-memory-usage": _gpu_memory,
    "neuron-usage": lambda point: 100 * point.load,
    "neuron-memory-usage": _gpu_memory,
    "ready-replicas": lambda point: point.ready,
    "running-replicas": lambda point: point.ready,
    "target-replicas": lambda point: point.target,
}


def one_metric(context: Context) -> Response:
    """The older form: one metric between `from` and `to`, in seconds since the epoch."""
    value = _METRICS.get(context.rest)
    if value is None:
        raise ApiError(404, f"Unknown metric: {context.rest}")
    endpoint = _endpoint(context)
    body = parse(context.request.body)
    low, high = body.get("from"), body.get("to")
    if not isinstance(low, int) or not isinstance(high, int):
        raise ApiError(422, "Failed to deserialize the JSON body: missing field `from`", plain=True)
    points = _points(context, endpoint, low * SECOND, high * SECOND)
    return json_response(200, {"series": [{"data": _data(points, value)}]})


def open_metrics(context: Context) -> Response:
    """Counters since the creation, as OpenMetrics text."""
    endpoint = _endpoint(context)
    total = _bucket(endpoint, endpoint.created_at, context.world.instant)
    one = replica_id(context.world.seed, endpoint, 0)
    rows = ["# TYPE http_requests counter"]
    rows += [
        f'http_requests{{replica_id="{one}",status_code="{code}"}} {count}'
        for code, count in sorted(total.codes.items())
    ]
    rows += ["# TYPE cpu_usage_percent gauge", "# UNIT cpu_usage_percent percent"]
    rows += [f'cpu_usage_percent{{replica_id="{one}"}} {60 * total.load:.3f}', "# EOF", ""]
    return text_response(200, "\n".join(rows))


def _endpoint(context: Context) -> Endpoint:
    world = context.world
    world.accounts.authorise(context.request.token, context.namespace, write=False)
    return world.endpoint(context.namespace, context.name)


def _points(context: Context, endpoint: Endpoint, start: int, stop: int) -> list[Bucket]:
    start, stop = max(start, endpoint.created_at), min(stop, context.world.instant)
    if start >= stop:
        return []
    step = -(-(stop - start) // (_POINTS * MINUTE)) * MINUTE
    return buckets(endpoint, start, stop, step)


def _instant(value: object) -> int:
    try:
        return to_instant(datetime.fromisoformat(value if isinstance(value, str) else ""))
    except ValueError as error:
        text = "Failed to deserialize the JSON body: premature end of input"
        raise ApiError(422, text, plain=True) from error


_ENDPOINT = "/v2/endpoint/{namespace}/{name}"

ROUTES = (
    route("POST", f"{_ENDPOINT}/metrics", all_graphs),
    route("POST", f"{_ENDPOINT}/metrics/{{rest}}", one_metric),
    route("GET", f"{_ENDPOINT}/open-metrics", open_metrics),
)
