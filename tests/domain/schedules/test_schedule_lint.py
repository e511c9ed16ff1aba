"""Remarks before a schedule is saved."""

from datetime import UTC, date, datetime

import pytest

from orchestrator.domain.schedules.lint import Finding, lint
from orchestrator.domain.schedules.model import Schedule
from orchestrator.domain.schedules.text import parse_window

START = datetime(2025, 1, 1, tzinfo=UTC)
SPRING, AUTUMN = date(2025, 3, 30), date(2025, 10, 26)


def schedule(*texts: str, timezone: str = "Europe/Berlin") -> Schedule:
    """Windows in the usual text; an exclamation mark stands for keep_running."""
    windows = tuple(parse_window(t.rstrip("!"), keep_running=t.endswith("!")) for t in texts)
    return Schedule(timezone, windows)


def brief(findings: list[Finding]) -> list[tuple[str, int | None, date | None]]:
    return [(finding.code.value, finding.window, finding.when) for finding in findings]


@pytest.mark.parametrize(
    "text", ["mon-fri 08:00-19:00", "sat 22:00-06:00", "sun 03:00-04:00", "sun 00:00-24:00"]
)
def test_an_ordinary_schedule_has_no_remarks(text: str) -> None:
    assert lint(schedule(text), START) == []


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], [("never_on", None, None)]),
        (["daily 00:00-24:00"], [("always_on", None, None)]),
        (["mon-fri 00:00-24:00", "sat-sun 00:00-24:00"], [("always_on", None, None)]),
        (["mon 08:00-10:00", "mon 08:00-10:00"], [("window_duplicate", 1, None)]),
        (["mon 08:00-10:00", "mon 08:00-10:00!"], [("window_covered", 0, None)]),
        (["mon 08:00-10:00", "mon 09:00-10:00!"], []),
        (["mon-fri 08:00-19:00", "wed 09:00-10:00"], [("window_covered", 1, None)]),
        (["wed 09:00-10:00", "mon-fri 08:00-19:00"], [("window_covered", 0, None)]),
        (["mon 08:00-11:00", "mon 10:00-14:00", "mon 09:00-12:00"], [("window_covered", 2, None)]),
        (["mon 08:00-12:00", "mon 11:00-19:00"], []),
        (["sun 20:00-06:00", "mon 01:00-05:00"], [("window_covered", 1, None)]),
        (["mon 00:00-06:00", "sun 23:00-06:00"], [("window_covered", 0, None)]),
        (["mon 08:00-10:00"] * 3, [("window_duplicate", 1, None), ("window_duplicate", 2, None)]),
    ],
)
def test_windows_that_change_nothing_and_schedules_that_never_change(
    texts: list[str], expected: list[tuple[str, int | None, date | None]]
) -> None:
    assert brief(lint(schedule(*texts), START)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sun 02:30-06:00", ["start_on_clock_change", "start_on_clock_change"]),
        ("sun 00:30-02:30", ["end_on_clock_change", "end_on_clock_change"]),
        ("sat 22:00-02:00", ["end_on_clock_change", "end_on_clock_change"]),
        (
            "sun 02:10-02:50",
            ["window_empty", "start_on_clock_change", "end_on_clock_change"],
        ),
    ],
)
def test_edges_on_clock_changes_are_named_with_their_date(text: str, expected: list[str]) -> None:
    found = lint(schedule(text), START, weeks=52)
    assert [finding.code.value for finding in found] == expected
    assert (found[0].when, found[-1].when) == (SPRING, AUTUMN)
    assert {finding.window for finding in found} == {0}


def test_the_messages_say_what_will_happen() -> None:
    empty, first, second = lint(schedule("sun 02:10-02:50"), START, weeks=52)
    assert empty.message == (
        "Sun 02:10-02:50 is empty on 2025-03-30, because the clocks skip all of it; "
        "make it longer if that day matters"
    )
    assert first.message == (
        "start 02:10 on 2025-10-26: the clocks show that time twice, and the first counts; "
        "choose a time outside the change if that is not meant"
    )
    assert second.message == (
        "end 02:50 on 2025-10-26: the clocks show that time twice, and the second counts; "
        "choose a time outside the change if that is not meant"
    )


def test_a_skipped_edge_says_when_it_falls() -> None:
    (spring, _) = lint(schedule("sun 02:30-06:00"), START, weeks=52)
    assert spring.message == (
        "start 02:30 on 2025-03-30: "
        "the clocks skip that time, so it means the instant of the change; "
        "choose a time outside the change if that is not meant"
    )


@pytest.mark.parametrize(("weeks", "count"), [(12, 0), (13, 1), (43, 2), (56, 2), (66, 3)])
def test_only_the_weeks_asked_for_are_looked_at(weeks: int, count: int) -> None:
    assert len(lint(schedule("sun 02:30-06:00"), START, weeks)) == count


def test_weeks_count_from_the_civil_date_of_the_zone() -> None:
    """14:30Z on Saturday is Sunday on Lord Howe, where a half hour comes twice that night."""
    saturday = datetime(2025, 4, 5, 14, 30, tzinfo=UTC)
    island = schedule("sun 01:45-05:00", timezone="Australia/Lord_Howe")
    assert brief(lint(island, saturday, weeks=1)) == [
        ("start_on_clock_change", 0, date(2025, 4, 6))
    ]


def test_a_date_that_the_zone_skips_is_named_once() -> None:
    apia = schedule("fri 08:00-09:00", "daily 20:00-21:00", timezone="Pacific/Apia")
    found = lint(apia, datetime(2011, 12, 1, tzinfo=UTC), weeks=8)
    assert brief(found) == [("date_skipped", None, date(2011, 12, 30))]


def test_an_instant_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a zone"):
        lint(schedule("sun 02:30-06:00"), START.replace(tzinfo=None))
