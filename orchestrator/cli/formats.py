"""Values as people read them: money with its band, prices, instants, labels."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import ROUND_CEILING, Decimal
from typing import Any

from orchestrator.domain.bounds import YEARS, is_within
from orchestrator.domain.money import format_dollars, to_nano

Json = Mapping[str, Any]

UNPRICED = "unpriced"
NOTHING = "-"
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))
_CENT = Decimal("0.01")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_SPAN = re.compile(r"\+?(?:([0-9]+)d)?(?:([0-9]+)h)?(?:([0-9]+)m(?:in)?)?")
_TOO_FAR = "{!r} is too far away; name years from " + YEARS
_CLOCK = re.compile(r"([0-9]{1,2}):([0-9]{2})")


def plain(value: object) -> str:
    """Return text that cannot steer a terminal: what a cloud sent may hold control characters."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", str(value)).replace("\n", " ")


def money(figure: Json | None) -> str:
    """Return an amount with its uncertainty, such as `$12.30 ±0.10`; unknown reads `unpriced`."""
    if figure is None:
        return UNPRICED
    middle = Decimal(figure["amount"])
    unpriced = int(figure.get("unpriced_seconds") or 0)
    if not middle and unpriced and not Decimal(figure.get("high") or 0):
        return UNPRICED
    below = middle - Decimal(figure.get("low") or figure["amount"])
    above = Decimal(figure.get("high") or figure["amount"]) - middle
    shown = _amount(middle, figure) + _band(below, above)
    return f"{shown} + {duration(unpriced)} unpriced" if unpriced else shown


def amount(figure: Json | None) -> str:
    """Return an amount without uncertainty, such as `$12.30`; unknown reads `unpriced`."""
    if figure is None or figure.get("amount") is None:
        return UNPRICED
    return money(figure) if "low" in figure else _amount(Decimal(figure["amount"]), figure)


def price(figure: Json | None, unit: str = "/h") -> str:
    """Return a price such as `$0.80/h`; an unknown one reads `unpriced`, never zero."""
    if figure is None or figure.get("amount") is None:
        return UNPRICED
    exact = Decimal(figure["amount"])
    places = min(4, max(2, -int(exact.normalize().as_tuple().exponent)))
    return _amount(exact, figure, places) + unit


def duration(seconds: float) -> str:
    """Return a length of time in its two largest units, such as `3 h 20 min`."""
    whole = int(seconds)
    days, hours, minutes = whole // 86400, whole % 86400 // 3600, whole % 3600 // 60
    if days:
        return f"{days} d {hours} h" if hours else f"{days} d"
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{minutes} min" if minutes else f"{whole} s"


def age(past: timedelta) -> str:
    """Return how long ago something was, or that it lies ahead, which a wrong clock makes it."""
    if past <= timedelta(seconds=-1):
        return f"lies {duration(-past.total_seconds())} ahead of this clock"
    return f"{duration(max(past.total_seconds(), 0))} ago"


def instant(text: str | None, zone: tzinfo | None) -> str:
    """Return an RFC 3339 instant as wall-clock time with its zone; None is the local zone."""
    if not text:
        return NOTHING
    moment = datetime.fromisoformat(text).astimezone(zone)
    return f"{moment:%Y-%m-%d %H:%M} {moment.tzname()}"


def ago(text: str | None, now: datetime) -> str:
    """Return how long ago an instant was, such as `3 h ago`."""
    if not text:
        return NOTHING
    seconds = int((now - datetime.fromisoformat(text)).total_seconds())
    length = abs(seconds)
    size, unit = next((each for each in _UNITS if length >= each[0]), (1, "s"))
    return f"{length // size} {unit} ago" if seconds >= 0 else f"in {length // size} {unit}"


def labels(pairs: Json | None) -> str:
    """Return labels as `stage=prod team=search`."""
    return " ".join(f"{key}={value}" for key, value in sorted((pairs or {}).items())) or NOTHING


def parse_instant(text: str, now: datetime, zone: tzinfo | None) -> datetime:
    """Read `2026-03-01T18:00Z`, `2026-03-01`, `18:00` (the next one) or `2h30m` (from now).

    Raises ValueError with the accepted forms.
    """
    span = _SPAN.fullmatch(text)
    if span and any(span.groups()):
        return _ahead(now, span.groups(), text)
    try:
        if clock := _CLOCK.fullmatch(text):
            return _next_clock(time(int(clock[1]), int(clock[2])), now, zone)
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is no instant; write 2026-03-01T18:00Z, 2026-03-01, 18:00 or 2h30m"
        ) from None
    return _aware(moment, zone)


def _ahead(now: datetime, parts: Sequence[str | None], text: str) -> datetime:
    days, hours, minutes = (int(part or 0) for part in parts)
    try:
        return _near(now + timedelta(days=days, hours=hours, minutes=minutes), text)
    except OverflowError:
        raise ValueError(_TOO_FAR.format(text)) from None


def parse_month(text: str, zone: tzinfo | None) -> tuple[datetime, datetime]:
    """Return start and end of a month such as `2026-03`. Raises ValueError for anything else."""
    try:
        first = date.fromisoformat(f"{text}-01")
    except ValueError:
        raise ValueError(f"{text!r} is no month; write 2026-03") from None
    if not is_within(first):
        raise ValueError(_TOO_FAR.format(text))
    following = (first + timedelta(days=31)).replace(day=1)
    return _midnight(first, zone), _midnight(following, zone)


def rfc3339(moment: datetime) -> str:
    """Return an instant as the API wants it, in UTC."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _next_clock(wall: time, now: datetime, zone: tzinfo | None) -> datetime:
    today = now.astimezone(zone).date()
    moment = _aware(datetime.combine(today, wall), zone)
    return (
        moment if moment > now else _aware(datetime.combine(today + timedelta(days=1), wall), zone)
    )


def _midnight(day: date, zone: tzinfo | None) -> datetime:
    return _aware(datetime.combine(day, time()), zone)


def _aware(moment: datetime, zone: tzinfo | None) -> datetime:
    """Return the instant; a time that the clocks skip is the first instant after it."""
    if _near(moment, moment.isoformat()).tzinfo is not None:
        return moment.astimezone(UTC)
    found = (moment.astimezone() if zone is None else moment.replace(tzinfo=zone)).astimezone(UTC)
    if _wall(found, zone) == moment:
        return found
    start, second = found - timedelta(days=1), timedelta(seconds=1)
    passed = bisect_left(
        range(2 * 86400), x=True, key=lambda step: _wall(start + step * second, zone) >= moment
    )
    return start + passed * second


def _wall(moment: datetime, zone: tzinfo | None) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


def _near(moment: datetime, text: str) -> datetime:
    if not is_within(moment):
        raise ValueError(_TOO_FAR.format(text))
    return moment


def _amount(exact: Decimal, figure: Json, places: int = 2) -> str:
    shown = format_dollars(to_nano(exact), places)
    currency = figure.get("currency") or "USD"
    return shown if currency == "USD" else f"{shown.replace('$', '')} {plain(currency)}"


def _band(below: Decimal, above: Decimal) -> str:
    """Return the uncertainty, rounded up so that it is never understated.

    Two different sides are shown as the wider one; a side that is certain is left out.
    """
    low, high = (max(Decimal(0), side.quantize(_CENT, ROUND_CEILING)) for side in (below, above))
    if low and high:
        return f" ±{max(low, high)}"
    return f" +{high}" if high else f" -{low}" if low else ""
