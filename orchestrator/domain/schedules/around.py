"""What a schedule says at one instant, from the stretches of its windows in order of start."""

from dataclasses import dataclass, field
from datetime import datetime

from orchestrator.domain.schedules.model import Interval, ScheduleState


@dataclass(slots=True)
class Stretch:
    """The unbroken stretch that holds an instant, or else the first after it; fed in order."""

    instant: datetime
    start: datetime | None = None
    end: datetime | None = None
    _after: datetime | None = None

    @property
    def inside(self) -> bool:
        """Whether the stretch holds the instant."""
        return bool(self.start and self.end and self.start <= self.instant < self.end)

    @property
    def next_start(self) -> datetime | None:
        """The first start after the instant at which nothing ran before; None if not yet seen."""
        late = self.start and self.start > self.instant
        return self.start if late else self._after

    def feed(self, start: datetime, end: datetime) -> None:
        """Take a span that starts no earlier than all before it."""
        if self.end is None or (start > self.end and self.end <= self.instant):
            self.start, self.end = start, end
        elif start <= self.end:
            self.end = max(self.end, end) if self._after is None else self.end
        else:
            self._after = self._after or start

    def change(self, seen_to: datetime) -> datetime | None:
        """When it next begins or ends, where all spans that start before ``seen_to`` were fed."""
        if not self.inside:
            return self.next_start
        return self.end if self._after or (self.end and self.end < seen_to) else None


@dataclass(slots=True)
class Around:
    """Finds the state at ``instant`` from spans in order of start, as few as needed."""

    instant: datetime
    awake: Stretch = field(init=False)
    kept: Stretch = field(init=False)
    next_opens: datetime | None = None
    opens_at: datetime | None = None
    _open: bool = False

    def __post_init__(self) -> None:
        self.awake, self.kept = Stretch(self.instant), Stretch(self.instant)

    def feed(self, span: Interval) -> bool:
        """Take a span; True once later ones can change nothing."""
        self.awake.feed(span.start, span.end)
        if span.keep_running:
            self.kept.feed(span.start, span.end)
        if span.end > self.instant:
            self._feed_opening(span)
        return self.next_opens is not None and span.start >= self.next_opens

    def _feed_opening(self, span: Interval) -> None:
        opens = span.opens_at or span.start
        following = self.awake.next_start
        if following and span.start >= following:
            self.next_opens = min(self.next_opens or opens, opens)
        elif opens <= self.instant:
            self._open = True
        else:
            self.opens_at = min(self.opens_at or opens, opens)

    def state(self, since: datetime | None, seen_to: datetime) -> ScheduleState:
        """The state, where all spans that start before ``seen_to`` were fed.

        ``since`` is the start of the stretch, where spans before the first fed one reach it.
        """
        inside = self.awake.inside
        ends = self.awake.change(seen_to)
        shifts = self.kept.change(seen_to)
        edges = [edge for edge in (ends, shifts) if edge]
        return ScheduleState(
            inside=inside,
            keep_running=self.kept.inside,
            window_start=since if inside else None,
            window_end=ends if inside else None,
            next_start=self.awake.next_start,
            next_edge=min(edges, default=None),
            opens_at=self.opens_at if inside and not self._open else None,
            next_opens=self.next_opens,
        )
