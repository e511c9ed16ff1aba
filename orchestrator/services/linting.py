"""What the linter finds, kept for a while: it takes long, so it is asked before a transaction."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from functools import lru_cache

from sqlmodel import Session

from orchestrator.domain.schedules.findings import Finding
from orchestrator.domain.schedules.lint import lint
from orchestrator.domain.schedules.lint_beside import beside
from orchestrator.domain.schedules.model import Schedule
from orchestrator.domain.schedules.neighbours import ALONE, Neighbour, Neighbours
from orchestrator.services.windows import windows_in_full
from orchestrator.store import schedules

KEPT = 1024
# With more schedules than that over the same endpoints it is not said what changes nothing.
MOST_NEIGHBOURS = 20
MOST_ASKED = 100


@lru_cache(maxsize=KEPT)
def findings(schedule: Schedule, now: datetime) -> tuple[Finding, ...]:
    """Return what is odd about a schedule; asked again for the same instant it is known."""
    return tuple(lint(schedule, now))


def findings_beside(
    schedule: Schedule, now: datetime, neighbours: Neighbours
) -> tuple[Finding, ...]:
    """Return what is odd about a schedule beside others."""
    return tuple(beside(schedule, now, findings(schedule, now), neighbours))


def neighbours_of(
    session: Session,
    schedule: Schedule,
    endpoint_ids: Collection[str],
    now: datetime,
    but: str | None = None,
) -> Neighbours:
    """Return the schedules in force over these endpoints, without the saved one, `but`.

    Those that its points, or that with their points it, could not meet are left out.
    """
    rows = schedules.in_force_over(session, endpoint_ids, limit=MOST_ASKED)
    met = [row for row in rows if row.id != but and (schedule.points or row.points)]
    if not met:
        return ALONE
    looked = met[:MOST_NEIGHBOURS]
    windows = windows_in_full(session, looked, now)
    known = tuple(Neighbour(row.name, windows[row.id]) for row in looked)
    return Neighbours(known, all_known=len(looked) == len(met) and len(rows) < MOST_ASKED)
