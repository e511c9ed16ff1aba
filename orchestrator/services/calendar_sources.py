"""Where the dates of a named calendar come from: the `holidays` library, a file, or a list."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from difflib import get_close_matches
from enum import StrEnum
from functools import cache
from importlib.metadata import version
from typing import Any

import holidays
from holidays.registry import COUNTRIES

from orchestrator.domain import calendars as rules
from orchestrator.domain.bounds import YEARS, is_within
from orchestrator.domain.calendars import Dates
from orchestrator.domain.schedules.zones import UnknownZone, zone
from orchestrator.services.errors import ServiceError, invalid
from orchestrator.store.tables import Json

YEARS_BEFORE, YEARS_AHEAD = 2, 4
LONGEST_TEXT = 256 * 1024
READING_SECONDS = 30
READING_CPU_SECONDS = 5
MOST_SHOWN = 20
READER = "orchestrator.services.icalendar_reader"
LIBRARY = f"holidays {version('holidays')}"


class Kind(StrEnum):
    """Where dates come from."""

    HOLIDAYS = "holidays"
    ICALENDAR = "icalendar"
    DATES = "dates"


@dataclass(frozen=True, slots=True)
class Source:
    """A checked source: its parameters, the text of a file, or the dates themselves."""

    kind: Kind
    parameters: Json = field(default_factory=dict)
    content: str = ""
    names: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Made:
    """The dates that a source gives, with the library that told them."""

    dates: Dates
    made_with: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """A country whose holidays are known, with the codes of its parts."""

    code: str
    name: str
    parts: Sequence[str]


@cache
def places() -> Sequence[Place]:
    """Return the countries whose holidays are known, by name."""
    names = {
        entry[1]: re.sub(r"(?<=[a-z])(?=[A-Z])", " ", entry[0]) for entry in COUNTRIES.values()
    }
    parts = holidays.list_supported_countries(include_aliases=False)
    found = [Place(code, names.get(code, code), tuple(parts[code])) for code in parts]
    return sorted(found, key=lambda one: one.name)


def of_holidays(
    country: str,
    *,
    subdivision: str = "",
    categories: Sequence[str] = (),
    language: str = "",
    observed: bool = True,
) -> Source:
    """Return the public holidays of a country, as the `holidays` library tells them.

    Raises ServiceError 422 for what the library does not know, naming the nearest that it does.
    """
    code = country.upper()
    if code not in holidays.list_supported_countries(include_aliases=False):
        raise invalid(
            "source.country", f"There is no country {country[:60]!r}.", remedy=_country(country)
        )
    known = holidays.country_holidays(code)
    parameters = {
        "country": code,
        "subdivision": _subdivision(known, subdivision, code),
        "categories": sorted(
            {
                _known("categories", "category", one, known.supported_categories, code)
                for one in categories
            }
        ),
        "language": _known("language", "language", language, known.supported_languages, code),
        "observed": observed,
    }
    return Source(Kind.HOLIDAYS, {key: value for key, value in parameters.items() if value != ""})


def of_icalendar(text: str, *, timezone: str = "", skip_partial: bool = False) -> Source:
    """Return the days off of an iCalendar file; its text is read when the dates are made.

    Raises ServiceError 422 for a text that is too long and an unknown zone.
    """
    if len(text.encode()) > LONGEST_TEXT:
        raise invalid(
            "source.text",
            f"The file is longer than {LONGEST_TEXT // 1024} KiB.",
            remedy="Leave out what is no day off.",
        )
    if timezone:
        try:
            zone(timezone)
        except UnknownZone as error:
            problem, _, remedy = str(error).removeprefix("timezone: ").partition("; ")
            raise invalid("source.timezone", f"{problem.capitalize()}.", remedy=remedy) from error
    given = {"timezone": timezone, "skip_partial": skip_partial}
    parameters = {key: value for key, value in given.items() if value}
    return Source(Kind.ICALENDAR, parameters, text.replace("\r\n", "\n"))


def of_dates(names: Mapping[str, str]) -> Source:
    """Return a list of dates. Raises ServiceError 422 for what is no date, and for none."""
    if not names:
        raise invalid(
            "source.dates", "A calendar needs a date.", remedy="Name one such as 2026-12-24."
        )
    if len(names) > rules.MOST_DATES:
        raise invalid("source.dates", f"A calendar has at most {rules.MOST_DATES} dates.")
    for day in names:
        _check_date(day)
    return Source(Kind.DATES, names={day: names[day] or "day off" for day in sorted(names)})


def make(source: Source, today: date) -> Made:
    """Return the dates of a source for the years around `today`; slow, so not in a transaction.

    Raises ServiceError 422 for a file that cannot be read, and a source without any date.
    """
    if source.kind is Kind.DATES:
        return Made(Dates(source.names, *rules.whole_years(source.names)))
    start, end = span_around(today)
    if source.kind is Kind.HOLIDAYS:
        return Made(holiday_dates(source.parameters, start, end), LIBRARY)
    return Made(_file_dates(source, start, end))


def span_around(today: date) -> tuple[date, date]:
    """Return the first and last date for which dates are made."""
    return date(today.year - YEARS_BEFORE, 1, 1), date(today.year + YEARS_AHEAD, 12, 31)


def holiday_dates(parameters: Mapping[str, Any], start: date, end: date) -> Dates:
    """Return what the library of this installation says of whole years."""
    plain = holidays.country_holidays(parameters["country"])
    first, last = max(start.year, plain.start_year), min(end.year, plain.end_year)
    found = holidays.country_holidays(
        parameters["country"],
        subdiv=parameters.get("subdivision"),
        years=range(first, last + 1),
        categories=tuple(parameters.get("categories") or ()) or None,
        language=parameters.get("language"),
        observed=parameters.get("observed", True),
    )
    names = {day.isoformat(): name[: rules.LONGEST_NAME] for day, name in sorted(found.items())}
    span = (f"{first}-01-01", f"{last}-12-31")
    return Dates(
        {day: names[day] for day in names if span[0] <= day <= span[1]}, *span, extends=True
    )


def _file_dates(source: Source, start: date, end: date) -> Dates:
    reading = _read(source, start, end)
    partial = list(dict.fromkeys(reading["partial"]))
    if partial and not source.parameters.get("skip_partial"):
        more = f" and {len(partial) - 1} more" if len(partial) > 1 else ""
        raise invalid(
            "source.text",
            f"{partial[0][:160]}{more}: the event covers that day in part only.",
            remedy="Leave it out of the file, name the zone of the file's times (`timezone`), "
            "or say `skip_partial`.",
        )
    names: dict[str, str] = reading["names"]
    if not names:
        raise invalid("source.text", f"The file has no day off from {start} to {end}.")
    listed, endless = reading["last_listed"], bool(reading["endless"])
    first, last = rules.whole_years(names)
    if listed:
        last = f"{listed[:4]}-12-31"
    elif endless:
        last = end.isoformat()
    return Dates(names, first, last, endless)


def _read(source: Source, start: date, end: date) -> dict[str, Any]:
    """Read a file in a process with limits of its own: the text may be made to hang a reader."""
    question = {
        "text": source.content,
        "zone": source.parameters.get("timezone", ""),
        "start": start.isoformat(),
        "end": end.isoformat(),
    }
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and module, no shell
            [sys.executable, "-m", READER, str(READING_CPU_SECONDS)],
            input=json.dumps(question).encode(),
            capture_output=True,
            timeout=READING_SECONDS,
            check=False,
            env={"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONWARNINGS": "ignore"},
        )
    except subprocess.TimeoutExpired:
        raise _too_slow() from None
    if done.returncode != 0:
        raise _too_slow()
    answer: dict[str, Any] = json.loads(done.stdout)
    if "error" in answer:
        raise invalid("source.text", f"The file: {answer['error']}.", remedy=answer["remedy"])
    return answer


def _too_slow() -> ServiceError:
    return invalid(
        "source.text",
        "The file cannot be read, or that takes too much time or memory.",
        remedy="Leave out what repeats in odd ways, or list the dates themselves.",
    )


def _check_date(day: str) -> None:
    try:
        parsed = date.fromisoformat(day)
    except ValueError:
        parsed = None
    if parsed is None or parsed.isoformat() != day:
        raise invalid(
            "source.dates", f"{day[:40]!r} is no date.", remedy="Write dates as 2026-12-24."
        )
    if not is_within(parsed):
        raise invalid("source.dates", f"{day} is too far away.", remedy=f"Name years from {YEARS}.")


def _subdivision(known: holidays.HolidayBase, given: str, country: str) -> str:
    aliases: Mapping[str, str] = known.subdivisions_aliases or {}
    wanted = {name.casefold(): code for name, code in aliases.items()}
    wanted |= {code.casefold(): code for code in known.subdivisions}
    if not given or given.casefold() in wanted:
        return wanted[given.casefold()] if given else ""
    return _known("subdivision", "subdivision", given, known.subdivisions, country)


def _known(where: str, noun: str, given: str, known: Iterable[str], country: str) -> str:
    if not given or given in known:
        return given
    raise invalid(
        f"source.{where}",
        f"{country} has no {noun} {given[:60]!r} in the library.",
        remedy=_hint(given, known),
    )


def _hint(given: str, known: Iterable[str]) -> str:
    names = {name.casefold(): name for name in sorted(known)}
    close = get_close_matches(given.casefold(), names, n=3, cutoff=0.6)
    if close:
        return f"Did you mean {' or '.join(repr(names[one]) for one in close)}?"
    shown = ", ".join(list(names.values())[:MOST_SHOWN])
    more = f" and {len(names) - MOST_SHOWN} more" if len(names) > MOST_SHOWN else ""
    return f"Known are: {shown}{more}." if names else "It has none."


def _country(given: str) -> str:
    spelled: dict[str, tuple[str, str]] = {}
    for module, (title, code, *others) in COUNTRIES.items():
        for spelling in (module.replace("_", " "), title, *others):
            spelled[spelling.casefold()] = (code, title)
    close = get_close_matches(given.casefold().replace("_", " "), spelled, n=3, cutoff=0.7)
    codes = dict.fromkeys(spelled[one] for one in close)
    if codes:
        shown = " or ".join(f"{code!r} ({title})" for code, title in codes)
        return f"Did you mean {shown}?"
    return "Give a code of two letters (ISO 3166-1), such as DE."
