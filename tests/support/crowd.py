"""A namespace with too little quota for all that its schedules want up at once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from orchestrator.domain.schedules.text import parse_window
from orchestrator.engine.engine import Cadence
from orchestrator.sandbox.payloads import endpoint_payload
from orchestrator.store import usage
from orchestrator.store.database import Database
from orchestrator.store.tables import UsageSample
from tests.support.stage import MONDAY, NAMESPACE, Stage, open_stage

NINE = MONDAY + timedelta(hours=9)
OFFICE = parse_window("mon-fri 09:00-18:00")
NIGHT = parse_window("mon-fri 20:00-10:00")
SELDOM = Cadence(rest=timedelta(minutes=20), transition=timedelta(seconds=20))


def crowd(database: Database, quota: int, start: datetime = NINE - timedelta(hours=2)) -> Stage:
    """Return a stage whose namespace has a quota of nvidia-l4."""
    stage = open_stage(database, cadence=SELDOM, start=start)
    stage.world.accounts.namespaces[NAMESPACE].quotas = {"nvidia-l4": quota}
    return stage


def add(stage: Stage, name: str, state: Any = "paused", **payload: Any) -> None:
    """Let there be an endpoint that was used yesterday."""
    now = stage.clock.now()
    stage.world.add_endpoint(
        NAMESPACE,
        endpoint_payload(name, **payload),
        state=state,
        startup_s=60,
        created_at=now - timedelta(days=3),
        used_at=now - timedelta(days=1),
    )


def used(stage: Stage, requests: Mapping[str, int]) -> None:
    """Let so many requests have been recorded of each yesterday."""
    start = usage.stretch_of(stage.clock.now() - timedelta(days=1, hours=1))
    samples = [
        UsageSample(
            endpoint_id=stage.endpoint(name).id,
            start=start,
            requests=count,
            covered_s=600,
            source="counts",
        )
        for name, count in requests.items()
    ]
    with stage.database.write() as session:
        usage.put(session, samples)


def bind(stage: Stage, name: str, *windows: Any) -> None:
    """Let an endpoint have a schedule of its own."""
    selector = {"endpoint": stage.endpoint(name).id}
    stage.schedule(*(windows or (OFFICE,)), name=f"hours of {name}", selector=selector)


def giving_way(database: Database) -> Stage:
    """Return a stage before nine: `spare` at zero gives way to `other`; `third` finds no room."""
    stage = crowd(database, quota=2)
    add(stage, "spare", "scaledToZero", min_replica=0, timeout_minutes=15)
    add(stage, "fixed", "running")
    for name in ("other", "third"):
        add(stage, name)
    stage.step()
    stage.adopt("spare", "other", "third")
    used(stage, {"spare": 3, "other": 50, "third": 20})
    for name in ("other", "third"):
        bind(stage, name)
    stage.step()
    return stage
