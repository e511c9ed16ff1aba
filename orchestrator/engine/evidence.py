"""Readings of a cloud's request counts, for endpoints whose listing does not tell enough."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from orchestrator.domain.endpoints import Usage
from orchestrator.domain.idle import Activity
from orchestrator.providers.base import Provider, ProviderError, RefusedError

# How often the counts are read again for an endpoint that a rule watches.
USAGE_EVERY = timedelta(minutes=5)
# So many readings in one pass; the others have their turn in the next ones.
READS_PER_PASS = 40


class NoReadingError(Exception):
    """The counts could not be read now; another pass may."""


class UsageReader:
    """Reads request counts, keeps them for a while, and limits the calls of one pass."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[datetime, Usage | None]] = {}
        self._left = READS_PER_PASS

    def begin_pass(self) -> None:
        """Start counting calls anew."""
        self._left = READS_PER_PASS

    def read(
        self, provider: Provider, key: tuple[str, str], span: timedelta, now: datetime
    ) -> Usage | None:
        """Return counts of the last minutes for an endpoint (id, name); None is unknown."""
        held = self._held.get(key[0])
        if held is not None and now - held[0] < USAGE_EVERY:
            return held[1]
        try:
            return self.read_anew(provider, key, span, now)
        except NoReadingError:
            return None

    def read_anew(
        self, provider: Provider, key: tuple[str, str], span: timedelta, now: datetime
    ) -> Usage | None:
        """Return counts up to now, as a stop needs them; None where this cloud tells none.

        Raises NoReadingError when they could not be read, or this pass has read enough.
        """
        if self._left == 0:
            raise NoReadingError
        self._left -= 1
        try:
            usage = provider.usage(key[1], now - span, now)
        except RefusedError:
            usage = None
        except ProviderError as error:
            raise NoReadingError from error
        self._held[key[0]] = (now, usage)
        return usage


def merge_usage(activity: Activity, usage: Usage) -> Activity:
    """Join what the listing tells with the cloud's request counts; either may say "active"."""
    latest = [t for t in (activity.last_request_at, usage.last_request_at) if t is not None]
    if activity.covered_to is not None:
        return replace(
            activity, last_request_at=max(latest, default=None), in_flight=usage.in_flight
        )
    whole = usage.covered_seconds >= (usage.end - usage.start).total_seconds()
    return replace(
        activity,
        last_request_at=max(latest, default=None),
        covered_from=usage.start if whole else None,
        covered_to=usage.end if whole else None,
        in_flight=usage.in_flight,
        source="the cloud's request counts",
    )
