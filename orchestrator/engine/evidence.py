"""Readings of a cloud's request counts, for endpoints whose listing does not tell enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from orchestrator.domain.endpoints import Usage
from orchestrator.domain.idle import Activity
from orchestrator.providers.base import Provider, ProviderError, RefusedError, ThrottledError

# How often the counts are read again for an endpoint that a rule watches.
USAGE_EVERY = timedelta(minutes=5)
# So many calls for counts in one pass; the other endpoints have their turn in the next ones.
CALLS_PER_PASS = 40
# Of these, no more are for the record of use alone.
CALLS_FOR_RECORD = 10
# Of these, so many are left for readings just before a stop.
KEPT_FOR_STOPS = 10
# After so many failures in one pass the rest waits: each may have taken its whole time limit.
MOST_FAILURES = 3
MONTH = timedelta(hours=730)
# How often the counts are read of an endpoint that no rule watches, only to have them recorded.
RECORD_EVERY = timedelta(hours=1)
RECORD_SHARE = 4
_SELDOMEST = timedelta(days=3650)
# Counts are asked for from a little earlier, so that late or coarse ones cover the whole span.
LEAD = timedelta(minutes=10)
# What came since the last reading is asked for with it, as far back as this: a longer span costs
# no more, and what is recorded has no hole.
FARTHEST = timedelta(hours=3)
_NEVER = datetime.fromtimestamp(0, UTC)

Key = tuple[str, str]


class NoReadingError(Exception):
    """The counts could not be read now; another pass may."""


@dataclass(frozen=True, slots=True)
class UsageWatch:
    """How the counts of an account are read: of how many endpoints, how often, at what cost.

    `endpoints` are those that idle rules watch; `recorded` the others that bill, read for the
    record of use alone. `month_nano` is what both cost a month (730 hours) in nano-dollars, at most
    `cap_nano`: where it would be more, the counts are read less often. Readings around a stop
    come on top.
    """

    endpoints: int
    every: timedelta
    month_nano: int
    cap_nano: int
    recorded: int = 0
    record_every: timedelta = RECORD_EVERY

    def to_json(self) -> dict[str, int]:
        """Return it as it is stored with the account."""
        return {
            "endpoints": self.endpoints,
            "every_seconds": int(self.every.total_seconds()),
            "month_nano": self.month_nano,
            "cap_nano": self.cap_nano,
            "recorded": self.recorded,
            "record_every_seconds": int(self.record_every.total_seconds()),
        }


def usage_watch(
    endpoints: int, nano_per_reading: int, cap_nano: int, recorded: int = 0
) -> UsageWatch:
    """Return how often counts may be read, so that a month of it stays under the cap.

    The record alone gets a quarter of the cap at most; idle rules what that leaves.
    """
    record = _pace(RECORD_EVERY, recorded * nano_per_reading, cap_nano // RECORD_SHARE)
    every = _pace(USAGE_EVERY, endpoints * nano_per_reading, cap_nano - record[1])
    return UsageWatch(endpoints, every[0], every[1] + record[1], cap_nano, recorded, record[0])


def _pace(shortest: timedelta, nano_per_round: int, cap_nano: int) -> tuple[timedelta, int]:
    """Return how far apart rounds are, and what a month of them costs."""
    every = max(shortest, timedelta(seconds=_ceil_seconds(nano_per_round, cap_nano)))
    return every, nano_per_round * int(MONTH.total_seconds()) // int(every.total_seconds())


def _ceil_seconds(nano_per_round: int, cap_nano: int) -> int:
    """Return the seconds between rounds at which a month of them costs the cap."""
    if nano_per_round == 0:
        return 0
    least = -(-nano_per_round * int(MONTH.total_seconds()) // max(cap_nano, 1))
    return min(least, int(_SELDOMEST.total_seconds()))


class UsageReader:
    """Reads request counts in batches, keeps them for a while, and limits the calls of a pass."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[datetime, Usage | None]] = {}
        self._reached: dict[str, datetime] = {}
        self._tried: dict[str, datetime] = {}
        self._left = CALLS_PER_PASS
        # What this pass has read, by endpoint, for those who record it.
        self.fresh: dict[str, Usage] = {}

    def begin_pass(self) -> None:
        """Start counting calls anew."""
        self._left = CALLS_PER_PASS
        self.fresh = {}

    def refresh(
        self,
        provider: Provider,
        wanted: Mapping[Key, timedelta],
        every: timedelta,
        now: datetime,
    ) -> None:
        """Read counts anew that are older than `every`, in batches, the longest not tried first.

        `wanted` holds the span of each endpoint (id, name). A failure holds back no other.
        """
        due = [key for key in wanted if self._older(key, every, now)]
        self._read(provider, wanted, due, now, CALLS_PER_PASS)

    def take_turns(
        self,
        provider: Provider,
        wanted: Mapping[Key, timedelta],
        every: timedelta,
        now: datetime,
    ) -> None:
        """Read counts for the record, `every` apart at least: what failed waits for its next turn.

        `wanted` as with `refresh`. At most `CALLS_FOR_RECORD` calls.
        """
        due = [key for key in wanted if now - self._tried.get(key[0], _NEVER) >= every]
        self._read(provider, wanted, due, now, CALLS_FOR_RECORD)

    def _read(
        self,
        provider: Provider,
        wanted: Mapping[Key, timedelta],
        due: list[Key],
        now: datetime,
        most: int,
    ) -> None:
        due.sort(key=lambda key: self._tried.get(key[0], _NEVER))
        size, failures = provider.capabilities.usage_batch, 0
        for start in range(0, min(len(due), most * size), size):
            if self._left <= KEPT_FOR_STOPS or failures == MOST_FAILURES:
                return
            batch = due[start : start + size]
            try:
                self._read_batch(provider, batch, max(wanted[key] for key in batch), now)
            except NoReadingError:
                failures += 1

    def held(self, key: Key) -> Usage | None:
        """Return the last counts of an endpoint; None is unknown."""
        return self._held.get(key[0], (None, None))[1]

    def read_anew(
        self, provider: Provider, key: Key, span: timedelta, now: datetime
    ) -> Usage | None:
        """Return counts up to now, as a stop needs them; None where this cloud tells none.

        Raises NoReadingError when they could not be read, or this pass has read enough.
        """
        self._read_batch(provider, [key], span, now)
        if key[0] not in self._held:
            raise NoReadingError
        return self.held(key)

    def _older(self, key: Key, every: timedelta, now: datetime) -> bool:
        held = self._held.get(key[0])
        return held is None or now - held[0] >= every

    def _read_batch(
        self, provider: Provider, batch: Sequence[Key], span: timedelta, now: datetime
    ) -> None:
        """Replace what is held of a batch; what could not be read is forgotten."""
        if self._left == 0:
            raise NoReadingError
        self._left -= 1
        for key in batch:
            self._held.pop(key[0], None)
            self._tried[key[0]] = now
        names = [name for _, name in batch]
        since = min(now - span, *(self._reached.get(key[0], now - FARTHEST) for key in batch))
        try:
            counts = provider.usage(names, max(since, now - max(span, FARTHEST)) - LEAD, now)
        except RefusedError:
            counts = dict.fromkeys(names)
        except ProviderError as error:
            if isinstance(error, ThrottledError):
                self._left = 0
            raise NoReadingError from error
        for key in batch:
            if key[1] in counts:
                self._take(key[0], counts[key[1]], now)

    def _take(self, endpoint_id: str, usage: Usage | None, now: datetime) -> None:
        if usage is not None:
            usage = replace(usage, late=max(now - usage.end, timedelta(0)))
            self.fresh[endpoint_id] = usage
            self._reached[endpoint_id] = usage.end
        self._held[endpoint_id] = (now, usage)


def merge_usage(activity: Activity, usage: Usage) -> Activity:
    """Join what the listing tells with the cloud's request counts; either may say "active"."""
    latest = [t for t in (activity.last_request_at, usage.last_request_at) if t is not None]
    if activity.covered_to is not None:
        return replace(
            activity, last_request_at=max(latest, default=None), in_flight=usage.in_flight
        )
    since = usage.whole_since
    return replace(
        activity,
        last_request_at=max(latest, default=None),
        covered_from=since,
        covered_to=None if since is None else usage.end,
        in_flight=usage.in_flight,
        source="the cloud's request counts",
        late=usage.late,
    )
