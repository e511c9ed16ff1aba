"""Random schedules with all that there is, mostly close to a change of the clocks."""

from calendar import monthrange
from datetime import UTC, date, datetime, time

from hypothesis import strategies as st

from orchestrator.domain.schedules.model import (
    EVERY_DAY,
    CronPoint,
    DateKind,
    DateRule,
    PointAction,
    Schedule,
    Window,
)
from orchestrator.domain.schedules.zones import zone, zone_names
from tests.support.walking import DAY, MINUTE

EVENTFUL_ZONES = (
    "Africa/Cairo",
    "Africa/Casablanca",
    "America/Asuncion",
    "America/Havana",
    "America/New_York",
    "America/Nuuk",
    "America/Santiago",
    "America/St_Johns",
    "Antarctica/Troll",
    "Asia/Beirut",
    "Asia/Gaza",
    "Asia/Pyongyang",
    "Australia/Lord_Howe",
    "Europe/Berlin",
    "Europe/Dublin",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Pacific/Kwajalein",
)


def clock_changes(timezone: str, year: int) -> list[datetime]:
    """UTC midnights of a year after which, within a day, the zone's offset changes."""
    rules = zone(timezone)
    days = [datetime(year, 1, 1, tzinfo=UTC) + number * DAY for number in range(366)]
    return [
        day
        for day in days
        if day.astimezone(rules).utcoffset() != (day + DAY).astimezone(rules).utcoffset()
    ]


@st.composite
def moments(draw: st.DrawFn, timezone: str) -> datetime:
    """A whole minute of 1973 to 2045, mostly close to a change of the zone's clocks."""
    year = draw(st.integers(1973, 2045) | st.sampled_from((1993, 2006, 2011, 2015, 2018, 2025)))
    ahead = draw(st.integers(-1440, 2 * 1440)) * MINUTE
    changes = clock_changes(timezone, year)
    near_change = draw(st.integers(0, 4)) > 0
    any_day = datetime(year, 1, 1, tzinfo=UTC) + draw(st.integers(0, 364)) * DAY
    return (draw(st.sampled_from(changes)) if changes and near_change else any_day) + ahead


clock_times = st.one_of(
    st.builds(time, st.sampled_from((0, 1, 2, 3, 23)), st.sampled_from((0, 1, 15, 30, 45, 59))),
    st.builds(time, st.integers(0, 23), st.integers(0, 59)),
)
zones = st.sampled_from(EVENTFUL_ZONES) | st.sampled_from(sorted(zone_names()))


@st.composite
def windows(draw: st.DrawFn, near: list[date]) -> Window:
    """A window of any kind of day, which often comes on one of the dates that are near."""
    days, month_days, nths = set(), set(), set()
    for day in draw(st.lists(st.sampled_from(near), min_size=1, max_size=3)):
        length = monthrange(day.year, day.month)[1]
        kind = draw(st.integers(0, 4))
        if kind <= 1:
            days.add(day.weekday())
        elif kind == 2:
            month_days.add(draw(st.sampled_from((day.day, day.day - length - 1))))
        else:
            from_start, from_end = (day.day + 6) // 7, -((length - day.day) // 7) - 1
            nths.add((draw(st.sampled_from((from_start, from_end))), day.weekday()))
    return Window(
        frozenset(days),
        draw(clock_times),
        draw(clock_times),
        keep_running=draw(st.booleans()),
        ready_by=draw(st.booleans()),
        month_days=frozenset(month_days),
        nth_weekdays=frozenset(nths),
    )


@st.composite
def date_rules(draw: st.DrawFn, near: list[date]) -> DateRule:
    kind = draw(st.sampled_from(DateKind))
    count = 0 if kind is DateKind.OFF else draw(st.integers(1, 2))
    own = [
        Window(EVERY_DAY, draw(clock_times), draw(clock_times), ready_by=draw(st.booleans()))
        for _ in range(count)
    ]
    return DateRule(draw(st.sampled_from(near)), kind, tuple(own))


@st.composite
def expressions(draw: st.DrawFn, near: list[date]) -> str:
    """A few minutes past a few hours or all of them, on all dates or on some that are near."""
    minutes = draw(st.lists(st.sampled_from((0, 1, 15, 30, 59)), min_size=1, max_size=2))
    hours = draw(st.lists(st.sampled_from((0, 1, 2, 3, 12, 23)), max_size=2))
    day = draw(st.sampled_from(near))
    dated = draw(st.sampled_from(("* * *", f"{day.day} * *", f"{day.day} {day.month} *")))
    weekly = draw(st.sampled_from((f"* * {day.isoweekday()}", f"1 * {day.isoweekday()}", "* * *")))
    return " ".join(
        [
            ",".join(str(minute) for minute in minutes),
            ",".join(str(hour) for hour in hours) or "*",
            draw(st.sampled_from((dated, weekly))),
        ]
    )


@st.composite
def schedules(draw: st.DrawFn, timezone: str, moment: datetime) -> Schedule:
    """A schedule with all that there is, about the dates around a moment."""
    today = moment.astimezone(zone(timezone)).date()
    near = [today + number * DAY for number in range(-2, 4)]

    def once(rule: DateRule) -> object:
        return rule.day if rule.kind is DateKind.REPLACED else rule

    rules = draw(st.lists(date_rules(near), max_size=3, unique_by=once))
    cron = st.builds(CronPoint, expressions(near), st.sampled_from(PointAction))
    return Schedule(
        timezone,
        tuple(draw(st.lists(windows(near), max_size=3))),
        points=tuple(draw(st.lists(cron, max_size=3))),
        days_off=draw(st.frozensets(st.sampled_from(near), max_size=2)),
        dates=tuple(rules),
    )
