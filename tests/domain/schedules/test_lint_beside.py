"""Points stand over all schedules of an endpoint, so remarks on them look at those beside."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from orchestrator.domain.schedules.findings import Finding
from orchestrator.domain.schedules.lint import lint
from orchestrator.domain.schedules.lint_beside import beside
from orchestrator.domain.schedules.model import Schedule
from orchestrator.domain.schedules.neighbours import Neighbour, Neighbours
from orchestrator.domain.schedules.text import parse_point, parse_window

START = datetime(2026, 11, 16, tzinfo=UTC)
OFFICE = "mon-fri 08:00-19:00"


def made(*windows: str, points: tuple[str, ...] = ()) -> Schedule:
    return Schedule(
        "UTC",
        tuple(parse_window(text) for text in windows),
        points=tuple(parse_point(text) for text in points),
    )


def looked(schedule: Schedule, neighbours: Neighbours) -> list[Finding]:
    return beside(schedule, START, lint(schedule, START), neighbours)


def said(schedule: Schedule, *others: Schedule, all_known: bool = True) -> list[str]:
    known = tuple(Neighbour(f"B{place}", one) for place, one in enumerate(others))
    return [str(one.code) for one in looked(schedule, Neighbours(known, all_known))]


LATE_STOP = made(OFFICE, points=("stop 0 22 * * *",))
LATE_START = made(OFFICE, points=("start 50 18 * * *",))
KEPT_START = made(f"{OFFICE} keep-running", points=("start 0 9 * * mon",))


@pytest.mark.parametrize(
    ("schedule", "others", "expected"),
    [
        (LATE_STOP, (), ["point_repeats"]),
        (LATE_STOP, (made("daily 20:00-21:00"),), ["point_repeats"]),
        (LATE_STOP, (made("daily 20:00-24:00"),), ["point_stops_beside"]),
        (LATE_STOP, (made("last 20:00-24:00"),), ["point_stops_beside"]),
        (LATE_STOP, (made(points=("start 0 20 * * *",)),), []),
        (LATE_STOP, (made(points=("stop 0 23 * * *",)),), ["point_repeats"]),
        (KEPT_START, (made(OFFICE),), ["point_repeats"]),
        (KEPT_START, (made(points=("stop 0 8 * * *",)),), ["stopped_beside"]),
        (LATE_START, (), ["point_overtaken"]),
        (LATE_START, (made("daily 18:30-20:00"),), []),
        (made(OFFICE), (LATE_STOP,), []),
        (made("daily 20:00-24:00"), (LATE_STOP,), ["stopped_beside"]),
        (made(points=("stop 0 22 * * *",)), (made("daily 20:00-24:00"),), ["point_stops_beside"]),
    ],
)
def test_points_are_held_against_the_schedules_beside(
    schedule: Schedule, others: tuple[Schedule, ...], expected: list[str]
) -> None:
    assert said(schedule, *others) == expected


def test_beside_too_many_nothing_is_said_to_change_nothing() -> None:
    assert said(LATE_STOP, made("daily 20:00-21:00"), all_known=False) == []


def test_the_remark_names_the_other_schedule_and_the_day() -> None:
    night = made("wed 20:00-24:00")
    (found,) = looked(LATE_STOP, Neighbours((Neighbour("night", night),)))
    assert (found.point, str(found.when)) == (0, "2026-11-18")
    assert "what the schedule night has up then" in found.message
    (back,) = looked(night, Neighbours((Neighbour("office", LATE_STOP),)))
    assert str(back.when) == "2026-11-18"
    assert "stop 0 22 * * * of the schedule office" in back.message


def test_remarks_on_windows_stay_beside_others() -> None:
    twice = made(OFFICE, OFFICE, points=("stop 0 22 * * *", "stop 0 22 * * *"))
    assert said(twice, made("daily 20:00-24:00")) == [
        "point_stops_beside",
        "window_duplicate",
        "point_duplicate",
    ]
