"""Geometry of the charts: plain numbers in, rectangles and ticks out; templates draw them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from orchestrator.domain.schedules.model import DAY_NAMES, Window
from orchestrator.domain.schedules.text import format_window

COLOURS = 6
_DAY_MINUTES = 24 * 60


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle with the class that fills it and the text of its title."""

    x: float
    y: float
    width: float
    height: float
    fill: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Tick:
    """A place on an axis and what is written there."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a stack: its parts from the bottom up, and the ends of its whisker."""

    x: float
    width: float
    boxes: tuple[Box, ...]
    top: float
    whisker: tuple[float, float] | None
    title: str
    partial: bool = False
    hollow: bool = False


@dataclass(frozen=True, slots=True)
class StackChart:
    """A drawn stack of columns; `floor` is the y of its base line."""

    width: int
    height: int
    left: int
    floor: float
    columns: tuple[Column, ...]
    y_ticks: tuple[Tick, ...]
    x_ticks: tuple[Tick, ...]


@dataclass(frozen=True, slots=True)
class Slot:
    """One column to draw: parts as (fill, amount), bounds of the sum, a title."""

    label: str
    parts: tuple[tuple[str, int], ...]
    low: int
    high: int
    title: str
    partial: bool = False
    incomplete: bool = False


def stack(
    slots: Sequence[Slot], texts: Sequence[tuple[int, str]], width: int = 760, height: int = 190
) -> StackChart:
    """Lay out columns under a scale whose ticks are `texts`, pairs of amount and label."""
    left, right, above, below = 46, 4, 14, 22
    floor = float(height - below)
    peak = max([1, *(amount for amount, _ in texts), *(slot.high for slot in slots)])
    scale = (floor - above) / peak
    step = (width - left - right) / max(len(slots), 1)
    columns = tuple(
        _column(slot, left + index * step, step, floor, scale) for index, slot in enumerate(slots)
    )
    labelled = tuple(
        Tick(round(left + (index + 0.5) * step, 1), slot.label)
        for index, slot in enumerate(slots)
        if slot.label
    )
    y_ticks = tuple(Tick(round(floor - amount * scale, 1), text) for amount, text in texts)
    return StackChart(width, height, left, floor, columns, y_ticks, labelled)


def thinned(slots: Sequence[Slot]) -> list[Slot]:
    """Return the columns with every second label only, for a narrow chart."""
    labelled = [index for index, slot in enumerate(slots) if slot.label]
    kept = set(labelled[::-2])
    return [slot if index in kept else replace(slot, label="") for index, slot in enumerate(slots)]


def _column(slot: Slot, x: float, step: float, floor: float, scale: float) -> Column:
    gap = min(max(step * 0.22, 1.5), 10)
    width = round(step - gap, 2)
    at, y, boxes = round(x + gap / 2, 2), floor, []
    for fill, amount in slot.parts:
        tall = amount * scale
        if tall > 0:
            y -= tall
            boxes.append(Box(at, round(y, 2), width, round(tall, 2), fill))
    low, high = floor - slot.low * scale, floor - slot.high * scale
    whisker = (round(high, 2), round(low, 2)) if low - high >= 2 else None
    hollow = slot.incomplete
    return Column(at, width, tuple(boxes), round(y, 2), whisker, slot.title, slot.partial, hollow)


def scale_steps(peak: int, unit: int) -> list[int]:
    """Return three to five round amounts from zero that reach over `peak`, in steps of 1, 2, 5."""
    if peak <= 0:
        return [0, unit]
    step = max(unit // 100, 1)
    factors = (2, 5, 10)
    base, index = step, 0
    while step * 4 < peak:
        step = base * factors[index]
        index += 1
        if index == len(factors):
            base, index = step, 0
    count = -(-peak // step)
    return [step * number for number in range(count + 1)]


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of time in one state; `fill` is the class of its colour."""

    start: datetime
    end: datetime
    fill: str
    title: str


@dataclass(frozen=True, slots=True)
class TimeBar:
    """A bar of states over time, with ticks at midnights (UTC)."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    ticks: tuple[Tick, ...]


def time_bar(stretches: Sequence[Stretch], start: datetime, end: datetime, width: int) -> TimeBar:
    """Lay out stretches between two instants; what lies outside is cut off."""
    height, total = 34, (end - start).total_seconds()

    def place(instant: datetime) -> float:
        inside = min(max(instant, start), end)
        return round((inside - start).total_seconds() / total * width, 2)

    boxes = []
    for one in stretches:
        left, right = place(one.start), place(one.end)
        if right > left:
            wide = max(round(right - left, 2), 0.8)
            boxes.append(Box(left, 0, wide, height, one.fill, one.title))
    first = start.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    midnights = [first + timedelta(days=number) for number in range(1, (end - first).days + 1)]
    ticks = tuple(Tick(place(one), f"{one:%a} {one.day}") for one in midnights if one < end)
    return TimeBar(width, height, tuple(boxes), ticks)


def share(part: int, whole: int, width: int = 100) -> float:
    """Return the length of a horizontal bar, at most `width`; something is never nothing."""
    if whole <= 0 or part <= 0:
        return 0.0
    return max(round(min(part / whole, 1) * width, 2), 0.5)


@dataclass(frozen=True, slots=True)
class Lane:
    """A day of the week: its name, the top of its lane, and what is open on it."""

    name: str
    y: int
    boxes: tuple[Box, ...]


@dataclass(frozen=True, slots=True)
class WeekGrid:
    """Seven lanes of 24 hours; `now` is the place of the present minute: x and the lane's top."""

    width: int
    height: int
    left: int
    lane: int
    lanes: tuple[Lane, ...]
    ticks: tuple[Tick, ...]
    now: tuple[float, int] | None


def week_grid(windows: Iterable[Window], wall: datetime | None = None) -> WeekGrid:
    """Lay out the nominal week of some windows; `wall` is the time on the zone's clocks."""
    width, left, lane, gap = 400, 30, 15, 4
    scale = (width - left) / _DAY_MINUTES
    opened = sorted(
        (piece for window in windows for piece in _pieces(window)), key=lambda one: one[3]
    )
    lanes = tuple(
        Lane(
            name,
            day * (lane + gap),
            tuple(
                _open_box(left, scale, day * (lane + gap), lane, piece)
                for piece in opened
                if piece[0] == day
            ),
        )
        for day, name in enumerate(DAY_NAMES)
    )
    ticks = tuple(
        Tick(round(left + hour * 60 * scale, 1), f"{hour:02d}") for hour in range(0, 25, 6)
    )
    mark = None
    if wall is not None:
        minute = wall.hour * 60 + wall.minute
        mark = (round(left + minute * scale, 1), wall.weekday() * (lane + gap))
    return WeekGrid(width, 7 * (lane + gap) + 14, left, lane, lanes, ticks, mark)


Piece = tuple[int, int, int, bool, str]


def _pieces(window: Window) -> Iterator[Piece]:
    """Yield (day, first minute, last minute, keeps running, text), cut at midnights."""
    begin = window.start.hour * 60 + window.start.minute
    end = window.end.hour * 60 + window.end.minute
    text = format_window(window) + (", kept running" if window.keep_running else "")
    for day in sorted(window.days):
        if not window.ends_next_day:
            yield day, begin, end, window.keep_running, text
            continue
        yield day, begin, _DAY_MINUTES, window.keep_running, text
        if end:
            yield (day + 1) % 7, 0, end, window.keep_running, text


def _open_box(left: int, scale: float, y: int, height: int, piece: Piece) -> Box:
    _, begin, end, keep, text = piece
    x = round(left + begin * scale, 2)
    return Box(x, y, round((end - begin) * scale, 2), height, "keep" if keep else "up", text)
