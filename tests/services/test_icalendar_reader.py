"""iCalendar files: which civil dates are off, and what cannot hang or mislead us."""

from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo

import pytest

from orchestrator.services import calendar_sources as sources
from orchestrator.services.errors import ServiceError
from orchestrator.services.icalendar_reader import UnreadableError, read

START, END = date(2026, 1, 1), date(2027, 12, 31)
BERLIN = ZoneInfo("Europe/Berlin")


def file(*events: str, head: str = "") -> str:
    body = "".join(
        f"BEGIN:VEVENT\r\nUID:{number}\r\n{event}\r\nEND:VEVENT\r\n"
        for number, event in enumerate(events)
    )
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:test\r\n{head}{body}END:VCALENDAR\r\n"


def days(*events: str, head: str = "", zone: ZoneInfo | None = None) -> list[str]:
    return list(read(file(*events, head=head), START, END, zone).names)


XMAS = "SUMMARY:Xmas\r\nDTSTART;VALUE=DATE:20261224"


def test_a_byte_order_mark_is_none_of_the_file() -> None:
    assert list(read("\ufeff" + file(XMAS), START, END).names) == ["2026-12-24"]


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (XMAS, ["2026-12-24"]),
        (f"{XMAS}\r\nDTEND;VALUE=DATE:20261227", ["2026-12-24", "2026-12-25", "2026-12-26"]),
        (f"{XMAS}\r\nDURATION:P2D", ["2026-12-24", "2026-12-25"]),
        (f"{XMAS}\r\nRRULE:FREQ=YEARLY", ["2026-12-24", "2027-12-24"]),
        (f"{XMAS}\r\nRRULE:FREQ=YEARLY\r\nEXDATE;VALUE=DATE:20261224", ["2027-12-24"]),
        (f"{XMAS}\r\nRRULE:FREQ=YEARLY;COUNT=1", ["2026-12-24"]),
        (f"{XMAS}\r\nRDATE;VALUE=DATE:20270105", ["2026-12-24", "2027-01-05"]),
        (f"{XMAS}\r\nSTATUS:CANCELLED", []),
        (f"{XMAS}\r\nTRANSP:TRANSPARENT", ["2026-12-24"]),
        (
            "SUMMARY:4th\r\nDTSTART;VALUE=DATE:20001123\r\nRRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=4TH",
            ["2026-11-26", "2027-11-25"],
        ),
        ("SUMMARY:leap\r\nDTSTART;VALUE=DATE:20240229\r\nRRULE:FREQ=YEARLY", []),
        # Timed events count for the dates that they cover from midnight to midnight.
        ("DTSTART:20261224T000000\r\nDTEND:20261226T000000", ["2026-12-24", "2026-12-25"]),
        ("DTSTART;TZID=Europe/Berlin:20261224T000000\r\nDURATION:PT23H59M", ["2026-12-24"]),
        # The day on which the clocks go forward has 23 hours, and is whole all the same.
        (
            "DTSTART;TZID=Europe/Berlin:20260329T000000\r\nDTEND;TZID=Europe/Berlin:20260330T000000",
            ["2026-03-29"],
        ),
        (
            "DTSTART;TZID=Europe/Berlin:20260329T000000\r\nDTEND;TZID=Europe/Berlin:20260329T233000",
            [],
        ),
        ("DTSTART:20261223T230000Z\r\nDTEND:20261224T230000Z", []),
    ],
)
def test_an_event_makes_these_days_off(event: str, expected: list[str]) -> None:
    assert days(event) == expected


def test_times_in_utc_are_read_in_the_zone_that_is_named() -> None:
    event = "DTSTART:20261223T230000Z\r\nDTEND:20261224T230000Z"
    assert days(event, zone=BERLIN) == ["2026-12-24"]
    assert days(event, head="X-WR-TIMEZONE:Europe/Berlin\r\n") == ["2026-12-24"]


def test_times_with_a_zone_of_their_own_stay_in_it() -> None:
    berlin = "TZID=Europe/Berlin"
    event = f"DTSTART;{berlin}:20261224T000000\r\nDTEND;{berlin}:20261227T000000"
    expected = ["2026-12-24", "2026-12-25", "2026-12-26"]
    assert days(event, head="X-WR-TIMEZONE:America/New_York\r\n") == expected
    assert days(event, zone=ZoneInfo("America/New_York")) == expected


def test_a_day_that_an_event_covers_in_part_is_told() -> None:
    reading = read(
        file("SUMMARY:Move\r\nDTSTART:20261223T120000\r\nDTEND:20261225T000000"), START, END
    )
    assert list(reading.names) == ["2026-12-24"]
    assert reading.partial == ["'Move' on 2026-12-23"]


def test_an_occurrence_may_be_moved_or_cancelled() -> None:
    series = f"{XMAS}\r\nRRULE:FREQ=YEARLY"
    text = file(series).replace("END:VCALENDAR\r\n", "")
    moved = "BEGIN:VEVENT\r\nUID:0\r\nRECURRENCE-ID;VALUE=DATE:20271224\r\n"
    to = "SUMMARY:moved\r\nDTSTART;VALUE=DATE:20271227\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    gone = f"STATUS:CANCELLED\r\n{to.replace('20271227', '20271224')}"
    assert list(read(text + moved + to, START, END).names) == ["2026-12-24", "2027-12-27"]
    assert list(read(text + moved + gone, START, END).names) == ["2026-12-24"]


def test_names_are_joined_and_cleaned() -> None:
    names = read(file(XMAS, XMAS.replace("Xmas", "A\u001b[31m\\, B")), START, END).names
    assert names == {"2026-12-24": "A[31m, B, Xmas"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no events"),
        ("nonsense", "no iCalendar file"),
        ("BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n", "no"),
        (file("SUMMARY:x"), "no DTSTART"),
        (file("DTSTART;VALUE=DATE:2026"), "cannot be read"),
        (file(f"{XMAS}\r\nDTEND;VALUE=DATE:20261220"), "before it starts"),
        (file(f"{XMAS}\r\nDTEND:20261226T100000Z"), "mixes a date and a time"),
        (file("DTSTART:20261226T100000\r\nDTEND:20261226T100000Z"), "zone at one end"),
        (file("DTSTART:20261224T100000Z\r\nRRULE:FREQ=SECONDLY"), "within a day"),
        (file(f"{XMAS}\r\nRRULE:FREQ=DAILY;BYHOUR=1,2,3"), "within a day"),
        (file(f"{XMAS}\r\nRRULE:FREQ=YEARLY;BYMONTH=2,4;BYMONTHDAY=31"), "no month has"),
        (file(*[XMAS] * 2001), "2001 events"),
    ],
)
def test_what_cannot_be_used_is_refused(text: str, told: str) -> None:
    with pytest.raises(UnreadableError, match=told) as refused:
        read(text, START, END)
    assert refused.value.remedy


def test_definitions_of_zones_in_a_file_are_not_expanded() -> None:
    zone = (
        "BEGIN:VTIME\r\n ZONE\r\nTZID:Europe/Berlin\r\nBEGIN:STANDARD\r\n"
        "DTSTART:19700101T000000\r\nRRULE:FREQ=SECONDLY\r\nTZOFFSETFROM:+0100\r\nTZOFFSETTO:+0200\r\nEND:STANDARD\r\n"
        "END:VTIMEZONE\r\n"
    )
    assert days(XMAS, head=zone) == ["2026-12-24"]


# What follows goes through the process that reads files in earnest.

TODAY = date(2026, 3, 2)


def refused(text: str, **given: object) -> ServiceError:
    with pytest.raises(ServiceError) as error:
        sources.make(sources.of_icalendar(text, **given), TODAY)  # type: ignore[arg-type] # as given
    return error.value


def test_a_file_that_would_be_read_for_ever_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "READING_CPU_SECONDS", 1)
    endless = "DTSTART;VALUE=DATE:19000101\r\nRRULE:FREQ=DAILY;BYMONTH=2;BYYEARDAY=200"
    error = refused(file(*[endless] * 50))
    assert (error.status, error.field) == (422, "source.text")
    assert "too much time or memory" in error.detail


def test_an_event_of_a_few_hours_is_refused_unless_told_otherwise() -> None:
    text = file(XMAS, "SUMMARY:Stand-up\r\nDTSTART:20261228T090000Z\r\nDTEND:20261228T091500Z")
    error = refused(text)
    assert "'Stand-up'" in error.detail
    assert "skip_partial" in (error.remedy or "")
    made = sources.make(sources.of_icalendar(text, skip_partial=True), TODAY)
    assert list(made.dates.names) == ["2026-12-24"]


def test_a_list_of_days_speaks_of_its_years_and_a_series_of_all() -> None:
    listed = sources.make(sources.of_icalendar(file(XMAS)), TODAY).dates
    assert (listed.covers_from, listed.covers_to, listed.extends) == (
        "2026-01-01",
        "2026-12-31",
        False,
    )
    series = sources.make(sources.of_icalendar(file(f"{XMAS}\r\nRRULE:FREQ=YEARLY")), TODAY).dates
    assert (series.covers_to, series.extends) == ("2030-12-31", True)


def test_a_file_without_days_off_or_too_long_is_refused() -> None:
    assert "no day off" in refused(file(XMAS.replace("2026", "1999"))).detail
    assert "KiB" in refused("x" * (sources.LONGEST_TEXT + 1)).detail
