"""What an incomplete listing shows after a time in which nobody looked."""

from __future__ import annotations

from datetime import timedelta

from orchestrator.domain.schedules.text import parse_window
from orchestrator.sandbox import faults
from orchestrator.store.database import Database
from tests.support.stage import open_stage

AWAY = timedelta(hours=3)


def test_a_gap_before_a_partial_listing_stays_a_gap(sqlite_database: Database) -> None:
    """It shows the endpoint as it was, which vouches for nothing in between; then it is paused."""
    stage = open_stage(sqlite_database)
    stage.add("web", min_replica=1, max_replica=3)
    stage.add("zebra")
    stage.run(minutes=2)
    stage.adopt("web")
    stage.schedule(parse_window("daily 00:00-01:00"))
    stage.run(minutes=2)
    stage.clock.set(stage.clock.now() + AWAY)
    stage.world.faults.add(faults.partial_listing(1), path="/endpoint/acme$", count=1)
    stage.step()
    assert stage.events("account.partial")
    assert stage.changes("web") == ["web pause"]
    gaps = [one for one in stage.intervals("web") if one.evidence == "unobserved"]
    assert sum((one.ended_at - one.started_at for one in gaps if one.ended_at), timedelta()) > (
        AWAY - timedelta(minutes=5)
    )
    assert max(one.replicas_high for one in gaps) == 3
