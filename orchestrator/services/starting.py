"""How long endpoints take to start, as windows need it that ask to be served at their start."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlmodel import Session

from orchestrator.domain.schedules.model import Schedule as Windows
from orchestrator.domain.startup import LONGEST, Start, StartUps
from orchestrator.providers.registry import CLOUDS
from orchestrator.store import startups
from orchestrator.store.tables import Account

HISTORY = timedelta(days=90)
MOST_STARTS = 2000
_KEPT = "startups"


def starts_early(windows: Windows) -> bool:
    """Tell whether any window asks that endpoints serve at its start."""
    dated = (window for rule in windows.dates for window in rule.windows)
    return any(window.ready_by for window in (*windows.windows, *dated))


def default_start_up(account: Account) -> timedelta:
    """Return how long a start usually takes at the kind of cloud of an account."""
    cloud = CLOUDS.get(account.provider)
    return LONGEST if cloud is None else timedelta(seconds=cloud.start_up_s)


def no_starts(account: Account) -> StartUps:
    """Return start-up times where none was looked up."""
    return StartUps((), default_start_up(account))


def load_startups(session: Session, account: Account, now: datetime) -> StartUps:
    """Read the starts of the last 90 days at the kind of cloud of an account, in one statement."""
    rows = startups.resumes(session, account.provider, now - HISTORY, now, MOST_STARTS)
    return StartUps([Start(*row) for row in rows], default_start_up(account))


def kept_startups(session: Session, account: Account, now: datetime) -> StartUps:
    """Return what `load_startups` does, read once for a session, an instant and a kind of cloud."""
    known: dict[tuple[str, datetime], StartUps] = session.info.setdefault(_KEPT, {})
    key = (account.provider, now)
    if key not in known:
        known[key] = load_startups(session, account, now)
    return known[key]
