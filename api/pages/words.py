"""How figures, instants and states read on a page; pure, and the same in every template."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

from orchestrator.costs.figures import Figure
from orchestrator.domain.money import SECONDS_PER_HOUR, format_dollars, to_dollars
from orchestrator.domain.status import IN_TRANSITION, Status, Wish
from orchestrator.services.lengths import brief
from orchestrator.store.tables import Operation

JUST_NOW = 5
_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class MoneyText:
    """A figure in words: `main` is `$1,234.50` or `unpriced`, `band` is `±0.30` or empty."""

    main: str
    band: str = ""
    note: str = ""
    title: str = ""

    def __str__(self) -> str:
        return " ".join(part for part in (self.main, self.band, self.note) if part)


def money(figure: Figure | None) -> MoneyText:
    """Return a figure in words; what has no price reads `unpriced`, never `$0.00`."""
    if figure is None:
        return MoneyText("unpriced", title="The price is not known.")
    unpriced = figure.unpriced_seconds
    if unpriced and not figure.high:
        return MoneyText("unpriced", title=f"{hours(unpriced)} ran at a price that is not known.")
    title = _range(figure)
    if unpriced:
        title += f" {hours(unpriced)} without a known price are not in it."
    note = "+ unpriced" if unpriced else ""
    return MoneyText(format_dollars(figure.nano), _band(figure), note, title)


def price(nano_per_hour: int | None, places: int = 2) -> str:
    """Return an hourly price such as `$1.80`; an unknown one reads `unpriced`."""
    if nano_per_hour is None:
        return "unpriced"
    exact = to_dollars(nano_per_hour)
    if exact != exact.quantize(_CENT):
        places = max(places, 3)
    return format_dollars(nano_per_hour, places)


def dollars(nano: int, places: int = 2) -> str:
    """Return a known amount, such as `$1,234.50`."""
    return format_dollars(nano, places)


def _cents(nano: int) -> Decimal:
    return to_dollars(nano).quantize(_CENT, ROUND_HALF_UP)


def _band(figure: Figure) -> str:
    below, above = _cents(figure.nano - figure.low), _cents(figure.high - figure.nano)
    if below == above:
        return f"±{above:,}" if above else ""
    minus = "\N{MINUS SIGN}"
    parts = (f"{minus}{below:,}" if below else "", f"+{above:,}" if above else "")
    return " ".join(part for part in parts if part)


def _range(figure: Figure) -> str:
    if figure.low == figure.high:
        return "Exact as far as metered."
    low, high = format_dollars(figure.low), format_dollars(figure.high)
    return f"Between {low} and {high}."


def hours(seconds: int) -> str:
    """Return a length of time such as `3.5 h`, `12 min` or `40 s`."""
    if seconds < 60:
        return f"{seconds} s"
    if seconds < SECONDS_PER_HOUR:
        return f"{seconds // 60} min"
    tenths = Decimal(seconds) / SECONDS_PER_HOUR
    return f"{tenths.quantize(Decimal('0.1'), ROUND_HALF_UP).normalize():,f} h"


def iso(instant: datetime) -> str:
    """Return an instant as RFC 3339 in UTC, whole seconds."""
    return instant.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")


def absolute(instant: datetime) -> str:
    """Return an instant in full, such as `2026-11-21 14:02 UTC`."""
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def ago(instant: datetime, now: datetime) -> str:
    """Return how long ago an instant was: `12 s ago`, `5 min ago`, `3 h ago`, `2 days ago`."""
    seconds = int((now - instant).total_seconds())
    if seconds <= -60:
        return f"in {span(-seconds)}"
    return "just now" if seconds < JUST_NOW else f"{span(seconds)} ago"


def span(seconds: int) -> str:
    """Return a length of time in its largest unit: `12 s`, `5 min`, `3 h`, `2 days`."""
    for size, unit in ((86400, "day"), (3600, "h"), (60, "min")):
        if seconds >= size * (2 if unit == "day" else 1):
            count = seconds // size
            return f"{count} days" if unit == "day" else f"{count} {unit}"
    return f"{max(seconds, 0)} s"


def when(instant: datetime, now: datetime) -> str:
    """Return an instant near `now` as people say it: `19:00 UTC today`, `Mon 07:00 UTC`."""
    instant, now = instant.astimezone(UTC), now.astimezone(UTC)
    away = (instant.date() - now.date()).days
    clock = f"{instant:%H:%M} UTC"
    named = {0: "today", 1: "tomorrow", -1: "yesterday"}
    if away in named:
        return f"{clock} {named[away]}"
    if 1 < away < 7:
        return f"{instant:%a} {clock}"
    return f"{day(instant.date(), now.date())} {clock}"


def day(value: date, today: date | None = None) -> str:
    """Return a date such as `24 Dec`, with its year where that is not this one."""
    year = "" if today is not None and today.year == value.year else f" {value.year}"
    return f"{value.day} {value:%b}{year}"


@dataclass(frozen=True, slots=True)
class StateWords:
    """A state for people: its name, the family that gives it colour and icon, what it means."""

    text: str
    tone: str
    icon: str
    meaning: str


_STATES = {
    Status.PENDING: ("Pending", "move", "spin", "The cloud has accepted it and not begun."),
    Status.INITIALIZING: ("Starting", "move", "spin", "Replicas are on their way up."),
    Status.RUNNING: ("Running", "on", "run", "At least one replica serves."),
    Status.UPDATING: ("Updating", "move", "spin", "It changes while it serves."),
    Status.SCALED_TO_ZERO: ("At zero", "zero", "moon", "No replica; a request wakes it."),
    Status.PAUSING: ("Pausing", "move", "spin", "Replicas are on their way down."),
    Status.PAUSED: ("Paused", "off", "pause", "No replica; it wakes only when resumed."),
    Status.STOPPING: ("Stopping", "move", "spin", "Replicas are on their way down."),
    Status.WAITING_FOR_CAPACITY: (
        "No capacity",
        "warn",
        "wait",
        "The cloud has no machine for it yet and keeps trying.",
    ),
    Status.FAILED: ("Failed", "bad", "fail", "The cloud gave up; see its message."),
    Status.UPDATE_FAILED: (
        "Update failed",
        "bad",
        "fail",
        "The old version serves; the change failed.",
    ),
    Status.DELETED: ("Deleted", "off", "gone", "The cloud says that it is gone."),
    Status.UNKNOWN: ("Unknown", "warn", "ask", "The cloud used a word that we do not know."),
}

STATE_ORDER = (
    Status.RUNNING,
    Status.INITIALIZING,
    Status.PENDING,
    Status.UPDATING,
    Status.WAITING_FOR_CAPACITY,
    Status.FAILED,
    Status.UPDATE_FAILED,
    Status.UNKNOWN,
    Status.PAUSING,
    Status.STOPPING,
    Status.SCALED_TO_ZERO,
    Status.PAUSED,
    Status.DELETED,
)


def state(status: str) -> StateWords:
    """Return a state for people; a word that we do not know reads as `Unknown`."""
    known = status if status in {member.value for member in Status} else Status.UNKNOWN
    return StateWords(*_STATES[Status(known)])


def in_transition(status: str) -> bool:
    """Whether the cloud leaves this state by itself."""
    return status in IN_TRANSITION


_NEXT = {
    Wish.RUNNING: "wakes",
    Wish.AVAILABLE: "may wake",
    Wish.PAUSED: "sleeps",
    Wish.DELETED: "is deleted",
}
_WISHES = {
    Wish.RUNNING: "running",
    Wish.AVAILABLE: "available (running or at zero)",
    Wish.PAUSED: "paused",
    Wish.DELETED: "deleted",
}


def next_verb(wish: str) -> str:
    """Return what an endpoint does at its next edge: `sleeps`, `wakes`; else `is decided anew`."""
    return _NEXT.get(Wish(wish), "") if wish in set(Wish) else "is decided anew"


def wish_words(wish: str) -> str:
    """Return a wish for people."""
    return _WISHES[Wish(wish)] if wish in set(Wish) else "nothing asked"


_KINDS = {
    "pause": "Pausing",
    "resume": "Resuming",
    "scale_to_zero": "Scaling to zero",
    "create": "Creating",
    "update": "Changing",
    "delete": "Deleting",
    "restore_scaling": "Restoring scaling",
}


def doing(kind: str) -> str:
    """Return an operation under way for people: `Pausing`."""
    return _KINDS.get(kind.replace("-", "_"), kind.replace("_", " ").capitalize())


def stuck(operation: Operation, now: datetime) -> str:
    """Return that an operation lasts longer than usual, and what the cloud says; or nothing."""
    if operation.stuck_since is None:
        return ""
    usual = brief(timedelta(seconds=operation.usual_s or 0))
    said = ": ".join(filter(None, (operation.cloud_state, operation.cloud_message)))
    told = f"; the cloud says {said}" if said else ""
    return f"usually {usual}, now {brief(now - operation.created_at)}{told}"


def plural(count: int, one: str, many: str = "") -> str:
    """Return a count with its noun: `1 endpoint`, `2 endpoints`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
