"""What the linter finds, kept for a while: it takes long, so it is asked before a transaction."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache

from orchestrator.domain.schedules.findings import Finding
from orchestrator.domain.schedules.lint import lint
from orchestrator.domain.schedules.model import Schedule

KEPT = 1024


@lru_cache(maxsize=KEPT)
def findings(schedule: Schedule, now: datetime) -> tuple[Finding, ...]:
    """Return what is odd about a schedule; asked again for the same instant it is known."""
    return tuple(lint(schedule, now))
