"""What this process has done, counted for Prometheus: passes, calls, decisions, operations.

Names end in their unit; a label has few values: accounts, kinds and outcomes, never endpoints.
"""

from __future__ import annotations

import platform
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from orchestrator import __version__
from orchestrator.domain.plan import Kind
from orchestrator.providers.account import CallMade
from orchestrator.providers.pacing import PaceReport
from orchestrator.store.commits import Committed, watching
from orchestrator.store.database import Database
from orchestrator.store.operations import ENDED

PREFIX = "orchestrator_"
# What a pass told of its account is shown no longer than this: another worker may have it now.
TOLD_FOR_S = 900.0
_CALL_BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_PASS_BUCKETS = (0.25, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
_LAG_BUCKETS = (1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0)
_OPERATION_BUCKETS = (5.0, 30.0, 60.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0)

# When each series began is told by its first scrape well enough.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call] # it has no types


class Instruments:
    """Counters and histograms of one process, with a registry of their own. Safe for threads."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.engine_ok: Callable[[], bool] | None = None
        self.pacing: Callable[[], Iterable[PaceReport]] = tuple
        self._lock = threading.Lock()
        self._added: set[str] = set()
        self._pass = threading.local()
        self._told = _Told()
        self._counters()
        self._histograms()
        self.registry.register(self._told)
        self.registry.register(_Process(self))

    def _counters(self) -> None:
        self._passes = self._counter(
            "passes", "Passes over an account, by outcome.", ("account", "outcome")
        )
        self._calls = self._counter(
            "cloud_calls",
            "Calls sent to a cloud, by outcome.",
            ("account", "api", "operation", "outcome"),
        )
        self._ended = self._counter(
            "operations_ended",
            "Operations that this process ended, by kind and outcome.",
            ("kind", "outcome"),
        )
        # An increase is seen only of a series that was there before.
        for kind in Kind:
            for status in ENDED:
                self._ended.labels(kind.value, status)
        self._events = self._counter(
            "events", "Events that this process recorded, by kind.", ("kind",)
        )

    def _histograms(self) -> None:
        self._pass_seconds = self._histogram(
            "pass_duration_seconds", "How long a pass of an account took.", "account", _PASS_BUCKETS
        )
        self._call_seconds = Histogram(
            PREFIX + "cloud_call_duration_seconds",
            "How long a cloud took to answer a call, without the wait for its pace.",
            ("account", "api"),
            registry=self.registry,
            buckets=_CALL_BUCKETS,
        )
        self._lag = self._histogram(
            "decision_lag_seconds",
            "How long after an edge was due the decision of that edge was made.",
            "account",
            _LAG_BUCKETS,
        )
        self._operation_seconds = self._histogram(
            "operation_duration_seconds",
            "How long an operation took from being written down to its end.",
            "kind",
            _OPERATION_BUCKETS,
        )

    def _counter(self, name: str, text: str, labels: tuple[str, ...]) -> Counter:
        return Counter(PREFIX + name, text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, label: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(PREFIX + name, text, (label,), registry=self.registry, buckets=buckets)

    def add(self, name: str, make: Callable[[], Collector]) -> None:
        """Let the registry show one more collector; one of that name is made only once."""
        with self._lock:
            if name not in self._added:
                self.registry.register(make())
                self._added.add(name)

    @contextmanager
    def passing(self, account: str) -> Iterator[None]:
        """Count and time one pass of this thread over an account."""
        began = time.perf_counter()
        self.outcome("error")  # unless it gets so far as to tell another
        try:
            yield
        finally:
            self._passes.labels(account, self._pass.outcome).inc()
            self._pass_seconds.labels(account).observe(time.perf_counter() - began)

    def outcome(self, outcome: str) -> None:
        """Say how the pass of this thread goes: the health of its account, or broken_off."""
        self._pass.outcome = outcome

    def called(self, call: CallMade) -> None:
        """Count a call to a cloud."""
        self._calls.labels(call.account, call.api, call.operation, call.outcome).inc()
        self._call_seconds.labels(call.account, call.api).observe(call.seconds)

    def decided(self, account: str, lags: Iterable[timedelta]) -> None:
        """Note how late the decisions of one pass came after the edges that asked for them."""
        for lag in lags:
            self._lag.labels(account).observe(max(lag.total_seconds(), 0.0))

    def evidence(self, account: str, ages: Iterable[timedelta | None]) -> None:
        """Note how old the evidence of idle rules is; None where there is none."""
        found = list(ages)
        known = [age.total_seconds() for age in found if age is not None]
        oldest = max(known, default=None)
        self._told.set("idle_evidence_age_seconds", account, oldest)
        self._told.set("idle_evidence_missing_endpoints", account, len(found) - len(known))

    def skew(
        self, account: str, told: datetime | None, asked_at: datetime, answered_at: datetime
    ) -> None:
        """Note by how much a cloud's clock differs from ours, as far as an answer tells."""
        if told is None:
            return
        # The Date header counts whole seconds, and the answer took a while.
        late = (told - answered_at).total_seconds()
        early = (asked_at - told).total_seconds() - 1.0
        self._told.set("clock_skew_seconds", account, late if late > 0 else -max(early, 0.0))

    def watch(self, database: Database) -> AbstractContextManager[None]:
        """Count what is committed to a store by this process, for the length of a block."""
        return watching(database, self._committed)

    def _committed(self, told: Committed) -> None:
        for event in told.events:
            self._events.labels(event.kind).inc()
        for operation in told.ended:
            self._ended.labels(operation.kind, operation.status).inc()
            finished = operation.finished_at or operation.created_at
            took = (finished - operation.created_at).total_seconds()
            self._operation_seconds.labels(operation.kind).observe(max(took, 0.0))


_TOLD = {
    "idle_evidence_age_seconds": "Age of the oldest evidence that an idle rule used last.",
    "idle_evidence_missing_endpoints": "Endpoints that an idle rule watches without evidence.",
    "clock_skew_seconds": "The cloud's clock minus ours at the last look; 0 if in doubt.",
}


class _Told(Collector):
    """What the last pass told of each account, as long as that is not long ago."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[tuple[str, str], tuple[float, float]] = {}

    def set(self, name: str, account: str, value: float | None) -> None:
        """Keep a value, None for none."""
        with self._lock:
            if value is None:
                self._values.pop((name, account), None)
            else:
                self._values[name, account] = (value, time.monotonic())

    def describe(self) -> Iterable[Metric]:
        """Return the families without values."""
        return [
            GaugeMetricFamily(PREFIX + name, text, labels=("account",))
            for name, text in _TOLD.items()
        ]

    def collect(self) -> Iterable[Metric]:
        """Return the families with what is fresh."""
        families = {family.name: family for family in self.describe()}
        oldest = time.monotonic() - TOLD_FOR_S
        with self._lock:
            values = sorted(self._values.items())
        for (name, account), (value, at) in values:
            family = families[PREFIX + name]
            if at >= oldest and isinstance(family, GaugeMetricFamily):
                family.add_metric((account,), value)
        return families.values()


class _Process(Collector):
    """What is asked of this process at each scrape."""

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments

    def describe(self) -> Iterable[Metric]:
        """Return the families without values."""
        return self._families().values()

    def _families(self) -> dict[str, GaugeMetricFamily | CounterMetricFamily]:
        lane = ("account", "api")
        return {
            "build": GaugeMetricFamily(
                PREFIX + "build_info", "The version of this process.", labels=("version", "python")
            ),
            "engine": GaugeMetricFamily(
                PREFIX + "engine_punctual",
                "1 where the engine of this process works, 0 where it is late; absent without one.",
            ),
            "waited": CounterMetricFamily(
                PREFIX + "pacing_waited_seconds",
                "Seconds that calls waited for their pace.",
                labels=lane,
            ),
            "throttled": CounterMetricFamily(
                PREFIX + "pacing_throttled_calls",
                "Calls that a cloud refused for their rate.",
                labels=lane,
            ),
            "rate": GaugeMetricFamily(
                PREFIX + "pacing_rate_calls_per_second",
                "Calls a second that the pace allows now.",
                labels=lane,
            ),
        }

    def collect(self) -> Iterable[Metric]:
        """Return the families with the values of now."""
        found, mine = self._families(), self._instruments
        found["build"].add_metric((__version__, platform.python_version()), 1)
        if mine.engine_ok is not None:
            found["engine"].add_metric((), float(mine.engine_ok()))
        for labels, lanes in _by_name(mine.pacing()).items():
            found["waited"].add_metric(labels, sum(lane.waited_seconds for lane in lanes))
            found["throttled"].add_metric(labels, sum(lane.throttled for lane in lanes))
            found["rate"].add_metric(labels, min(lane.rate for lane in lanes))
        return found.values()


def _by_name(lanes: Iterable[PaceReport]) -> dict[tuple[str, str], list[PaceReport]]:
    """Return lanes by what they are shown as; an account that moved has two of one name."""
    found: dict[tuple[str, str], list[PaceReport]] = {}
    for lane in lanes:
        found.setdefault((lane.account, lane.api), []).append(lane)
    return found
