"""What an engine counts of its own work."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from orchestrator.engine.engine import Cadence, Engine
from orchestrator.providers.account import CallMade, CallWatch
from orchestrator.providers.base import (
    AmbiguousError,
    BusyError,
    CredentialsError,
    NotFoundError,
    ProviderError,
    ThrottledError,
    UnavailableError,
)
from orchestrator.providers.pacing import HeldBackError, PaceReport
from orchestrator.providers.permit import NotPermittedError
from orchestrator.services.instruments import Instruments
from orchestrator.store.database import Database
from orchestrator.store.tables import Event
from tests.support import rows
from tests.support.stage import NAMESPACE, Stage, open_stage


@pytest.fixture
def stage(sqlite_database: Database) -> Stage:
    return open_stage(sqlite_database, cadence=Cadence(rest=timedelta(minutes=5)))


def value(stage: Stage, name: str, **labels: str) -> float | None:
    registry = stage.context.instruments.registry
    return registry.get_sample_value("orchestrator_" + name, labels)


def event(kind: str) -> Event:
    return Event(at=rows.NOON, kind=kind, actor="ada", message="test")


def interrupt() -> None:
    raise InterruptedError


class TestPasses:
    def test_they_are_counted_and_timed_by_account(self, stage: Stage) -> None:
        stage.step()
        stage.step()
        assert value(stage, "passes_total", account=NAMESPACE, outcome="ok") == 2
        assert value(stage, "pass_duration_seconds_count", account=NAMESPACE) == 2

    def test_an_outcome_is_the_health_that_came_of_it(self, stage: Stage) -> None:
        def refuse(account: Any) -> Any:
            raise CredentialsError(f"no token for {account.name}")

        stage.context.providers._make = refuse
        stage.step()
        assert value(stage, "passes_total", account=NAMESPACE, outcome="no_credentials") == 1

    def test_a_pass_without_a_claim_is_broken_off(self, stage: Stage) -> None:
        class Lost:
            def of(self, account_ids: Any) -> Any:
                return account_ids

            def claim(self, account_id: str) -> Any:
                raise NotPermittedError(account_id)

        claims: Any = Lost()
        Engine(stage.context, stage.cadence, claims=claims).step(stage.clock.now())
        assert value(stage, "passes_total", account=NAMESPACE, outcome="broken_off") == 1


class TestDecisions:
    def test_the_lag_of_an_edge_is_told(self, stage: Stage) -> None:
        """The engine was away when the window began at 8:00, and comes back 20 minutes later."""
        stage.add("search")
        stage.run(minutes=1)
        stage.adopt("search")
        stage.schedule(drain_minutes=0)
        stage.step()
        before = value(stage, "decision_lag_seconds_sum", account=NAMESPACE) or 0.0
        stage.clock.set(stage.started + timedelta(hours=8, minutes=20))
        stage.step()
        after = value(stage, "decision_lag_seconds_sum", account=NAMESPACE) or 0.0
        assert after - before == 1200

    def test_the_age_of_evidence_is_told(self, stage: Stage) -> None:
        stage.add("search")
        stage.run(minutes=1)
        stage.adopt("search")
        stage.idle_policy()
        stage.step()
        age = value(stage, "idle_evidence_age_seconds", account=NAMESPACE)
        missing = value(stage, "idle_evidence_missing_endpoints", account=NAMESPACE)
        assert (age, missing) == (0, 0)

    def test_the_clouds_clock_is_compared(self, stage: Stage) -> None:
        stage.step()
        skew = value(stage, "clock_skew_seconds", account=NAMESPACE)
        assert skew is not None
        assert abs(skew) <= 1


class TestEnds:
    def test_operations_and_events_count_once_they_are_committed(self, stage: Stage) -> None:
        with stage.context.instruments.watch(stage.database):
            stage.add("search")
            stage.run(minutes=1)
            stage.adopt("search")
            stage.click("pause", "search")
            stage.run(minutes=30)
        assert [one.status for one in stage.operations()] == ["succeeded"]
        assert value(stage, "operations_ended_total", kind="pause", outcome="succeeded") == 1
        took = value(stage, "operation_duration_seconds_sum", kind="pause")
        (operation,) = stage.operations()
        assert operation.finished_at is not None
        assert took == (operation.finished_at - operation.created_at).total_seconds()
        kinds = [event.kind for event in stage.events()]
        for kind in set(kinds):
            assert value(stage, "events_total", kind=kind) == kinds.count(kind), kind

    def test_what_is_rolled_back_does_not_count(self, sqlite_database: Database) -> None:
        instruments = Instruments()
        with instruments.watch(sqlite_database):
            with suppress(InterruptedError), sqlite_database.write() as session:
                session.add(event("tried"))
                session.flush()
                interrupt()
            with sqlite_database.write() as session:
                session.add(event("done"))
                with suppress(InterruptedError), session.begin_nested():
                    session.add(event("tried"))
                    session.flush()
                    interrupt()
                with session.begin_nested():
                    session.add(event("done"))
        with sqlite_database.write() as session:
            session.add(event("later"))
        count = instruments.registry.get_sample_value
        assert count("orchestrator_events_total", {"kind": "tried"}) is None
        assert count("orchestrator_events_total", {"kind": "done"}) == 2
        assert count("orchestrator_events_total", {"kind": "later"}) is None


class TestCalls:
    @pytest.mark.parametrize(
        ("error", "outcome"),
        [
            (None, "ok"),
            (ThrottledError("slow down"), "throttled"),
            (AmbiguousError("lost"), "ambiguous"),
            (NotFoundError("gone"), "not_found"),
            (CredentialsError("no"), "refused"),
            (BusyError("moving"), "refused"),
            (UnavailableError("no route"), "unreachable"),
        ],
    )
    def test_how_they_went(self, error: ProviderError | None, outcome: str) -> None:
        instruments = Instruments()
        watch = CallWatch("lab", instruments.called)
        with suppress(ProviderError), watch.call("management", "list endpoints") as timing:
            timing.sent()
            if error is not None:
                raise error
        labels = {"account": "lab", "api": "management"}
        count = instruments.registry.get_sample_value
        counted = {**labels, "operation": "list endpoints", "outcome": outcome}
        assert count("orchestrator_cloud_calls_total", counted) == 1
        assert count("orchestrator_cloud_call_duration_seconds_count", labels) == 1

    @pytest.mark.parametrize("error", [HeldBackError("its pace"), NotPermittedError("not ours")])
    def test_what_was_not_sent_is_no_call(self, error: Exception) -> None:
        made: list[CallMade] = []
        watch = CallWatch("lab", made.append)
        with suppress(type(error)), watch.call("management", "list endpoints") as timing:
            if isinstance(error, NotPermittedError):
                timing.sent()  # the pace let it go, the permit did not
            raise error
        assert made == []

    def test_waits_are_told_by_lane_and_two_of_one_name_are_one(self) -> None:
        instruments = Instruments()
        instruments.pacing = lambda: (
            PaceReport("lab", "hub", 10, 2, 1.5, 4.0),
            PaceReport("lab", "hub", 1, 1, 0.5, 3.0),
        )
        count, lane = instruments.registry.get_sample_value, {"account": "lab", "api": "hub"}
        assert count("orchestrator_pacing_waited_seconds_total", lane) == 2.0
        assert count("orchestrator_pacing_throttled_calls_total", lane) == 3
        assert count("orchestrator_pacing_rate_calls_per_second", lane) == 3.0


def test_an_engine_that_is_late_says_so() -> None:
    instruments = Instruments()
    count = instruments.registry.get_sample_value
    assert count("orchestrator_engine_punctual") is None
    for punctual in (True, False):
        instruments.engine_ok = lambda answer=punctual: answer
        assert count("orchestrator_engine_punctual") == punctual


def test_the_first_failure_of_a_process_is_an_increase(sqlite_database: Database) -> None:
    stage = open_stage(sqlite_database)
    assert value(stage, "operations_ended_total", kind="delete", outcome="failed") == 0
