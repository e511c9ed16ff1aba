"""The years that rules and requests may name; far beyond them the arithmetic of dates ends."""

from __future__ import annotations

from datetime import date

FIRST_YEAR, LAST_YEAR = 1900, 2200
YEARS = f"{FIRST_YEAR} to {LAST_YEAR}"


def is_within(moment: date) -> bool:
    """Tell whether a civil date, or an instant in UTC, lies in a year that may be named."""
    return FIRST_YEAR <= moment.year <= LAST_YEAR
