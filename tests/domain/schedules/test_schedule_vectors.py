"""The table of test vectors, held against the rules, and itself against a walk along the clocks."""

import json
import re
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestrator.domain.schedules.model import (
    EVERY_DAY,
    CronPoint,
    DateKind,
    DateRule,
    Interval,
    PointAction,
    PointFiring,
    Schedule,
    Window,
)
from orchestrator.domain.schedules.occurrences import intervals, state_at
from orchestrator.domain.schedules.points import point_end, points
from orchestrator.domain.schedules.zones import zone
from tests.support.walking import Walk

DAY_NUMBERS = {"mon": 0, "tue": 1, "wed": 2, "thu": 3, "fri": 4, "sat": 5, "sun": 6}
TABLE = Path(__file__).parents[2] / "vectors" / "schedules.json"
FILE: dict[str, Any] = json.loads(TABLE.read_text(encoding="utf-8"))
VECTORS: list[dict[str, Any]] = FILE["vectors"]
# What the walk reads for itself: numbers and stars.
PLAIN = re.compile("[0-9*, ]+")


def those_with(part: str) -> pytest.MarkDecorator:
    chosen = [vector for vector in VECTORS if part in vector]
    return pytest.mark.parametrize("vector", chosen, ids=[vector["id"] for vector in chosen])


def window_of(raw: dict[str, Any], days: frozenset[int]) -> Window:
    return Window(
        days=days,
        start=time.fromisoformat(raw["start"]),
        end=time.fromisoformat(raw["end"]),
        keep_running=raw.get("keep_running", False),
        ready_by=raw.get("ready_by", False),
        month_days=frozenset(raw.get("month_days", ())),
        nth_weekdays=frozenset((n, DAY_NUMBERS[day]) for n, day in raw.get("nth_weekdays", ())),
    )


def date_rule_of(raw: dict[str, Any]) -> DateRule:
    own = (window_of(window, EVERY_DAY) for window in raw.get("windows", ()))
    return DateRule(date.fromisoformat(raw["day"]), DateKind(raw["kind"]), tuple(own))


def schedule_of(vector: dict[str, Any]) -> Schedule:
    return Schedule(
        vector["timezone"],
        tuple(
            window_of(raw, frozenset(DAY_NUMBERS[day] for day in raw.get("days", ())))
            for raw in vector["windows"]
        ),
        points=tuple(
            CronPoint(raw["expression"], PointAction(raw["action"]))
            for raw in vector.get("points", ())
        ),
        days_off=frozenset(date.fromisoformat(day) for day in vector.get("days_off", ())),
        dates=tuple(date_rule_of(raw) for raw in vector.get("dates", ())),
    )


def early_of(vector: dict[str, Any]) -> timedelta:
    return timedelta(minutes=vector.get("early_minutes", 0))


def span_of(vector: dict[str, Any]) -> tuple[datetime, datetime]:
    return instant(vector["span"]["start"]), instant(vector["span"]["end"])


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def intervals_of(vector: dict[str, Any]) -> list[Interval]:
    return [
        Interval(
            instant(raw["start"]),
            instant(raw["end"]),
            raw.get("keep_running", False),
            instant(raw["opens_at"]) if "opens_at" in raw else None,
        )
        for raw in vector["intervals"]
    ]


def firings_of(vector: dict[str, Any]) -> list[tuple[datetime, str]]:
    return [(instant(raw["at"]), raw["action"]) for raw in vector["firings"]]


def brief(firings: list[PointFiring]) -> list[tuple[datetime, str]]:
    return [(one.at, one.action.value) for one in firings]


def value_of(raw: str | bool | None) -> datetime | bool | None:
    return instant(raw) if isinstance(raw, str) else raw


@those_with("intervals")
def test_intervals_are_those_of_the_vector(vector: dict[str, Any]) -> None:
    found = intervals(schedule_of(vector), *span_of(vector), early_of(vector))
    assert found == intervals_of(vector)


@those_with("intervals")
def test_a_walk_along_the_clocks_confirms_the_intervals(vector: dict[str, Any]) -> None:
    walk = Walk(vector["timezone"], *span_of(vector))
    early = vector.get("early_minutes", 0)
    assert walk.intervals(schedule_of(vector), early) == intervals_of(vector)


@those_with("firings")
def test_firings_are_those_of_the_vector(vector: dict[str, Any]) -> None:
    assert brief(points(schedule_of(vector), *span_of(vector))) == firings_of(vector)


@those_with("firings")
def test_a_walk_along_the_clocks_confirms_the_firings(vector: dict[str, Any]) -> None:
    if all(PLAIN.fullmatch(raw["expression"]) for raw in vector["points"]):
        walk = Walk(vector["timezone"], *span_of(vector))
        assert brief(walk.points(schedule_of(vector))) == firings_of(vector)


@those_with("firings")
def test_a_firing_stands_until_the_vector_says(vector: dict[str, Any]) -> None:
    schedule = schedule_of(vector)
    for firing, raw in zip(points(schedule, *span_of(vector)), vector["firings"], strict=True):
        if "until" in raw:
            assert point_end(schedule, firing) == value_of(raw["until"])


@pytest.mark.parametrize(
    ("vector", "state"),
    [
        pytest.param(vector, state, id=f"{vector['id']}@{state['at']}")
        for vector in VECTORS
        for state in vector.get("states", ())
    ],
)
def test_state_is_that_of_the_vector(vector: dict[str, Any], state: dict[str, Any]) -> None:
    found = state_at(schedule_of(vector), instant(state["at"]), early_of(vector))
    wanted = {name: value_of(raw) for name, raw in state.items() if name != "at"}
    assert {name: getattr(found, name) for name in wanted} == wanted


def test_local_readings_are_those_of_the_zone() -> None:
    for vector in VECTORS:
        rules = zone(vector["timezone"])
        pairs = [
            (raw[name], raw[f"local_{name}"])
            for raw in [*vector.get("intervals", ()), *vector.get("firings", ())]
            for name in ("start", "end", "at")
            if name in raw
        ]
        assert all(instant(utc).astimezone(rules).isoformat() == local for utc, local in pairs)


def test_the_table_has_its_form() -> None:
    assert FILE["format"] == "schedules/1"
    names = [vector["id"] for vector in VECTORS]
    assert len(set(names)) == len(names)
    for vector in VECTORS:
        assert vector["why"]
        assert "intervals" in vector or "firings" in vector
        start, end = span_of(vector)
        assert start < end <= start + timedelta(days=70)
