"""Time zones from the pinned ``tzdata`` package, never from the host's own files."""

import difflib
import importlib
import importlib.resources
import re
from functools import cache
from zoneinfo import ZoneInfo

from orchestrator.domain.schedules.errors import ScheduleError

_PACKAGE = "tzdata"
_LONGEST_SHOWN = 60
_LIKE = "write it like Europe/Berlin"
# GMT+1, UTC-05:00, +0100: what people write for an offset; Etc/GMT+1 is a zone, and one behind UTC.
_OFFSET = re.compile(
    r"(?:(?:Etc/)?(?:GMT|UTC|UT|Z))?\s*(?P<sign>[+-])(?P<hours>[0-9]{1,2}):?(?P<minutes>[0-9]{2})?",
    re.IGNORECASE,
)
# CET+1, UTC5: the zone without the number would be another time.
_COUNTED = re.compile(r"[A-Za-z]+\s*[+-]?[0-9:.]+")


class UnknownZone(ScheduleError):  # noqa: N818 - the name says what is wrong
    """The name is not an IANA time zone of the pinned rules; ``field`` is ``timezone``."""

    def __init__(self, name: str) -> None:
        shown = name if len(name) <= _LONGEST_SHOWN else f"{name[:_LONGEST_SHOWN]}..."
        super().__init__("timezone", f"unknown time zone {shown!r}; {_hint(name)}")


def _hint(name: str) -> str:
    offset = _OFFSET.fullmatch(name.strip())
    if offset is not None:
        return _of_offset(offset["sign"], int(offset["hours"]), int(offset["minutes"] or 0))
    nearest = [] if _COUNTED.fullmatch(name.strip()) else closest_names(name)
    return f"did you mean {', '.join(nearest)}?" if nearest else _LIKE


def _of_offset(sign: str, hours: int, minutes: int) -> str:
    """Name the zone of a fixed offset; the names of these have the sign turned round."""
    known = f"Etc/GMT{'-' if sign == '+' else '+'}{hours}"
    if minutes or not hours or known not in zone_names():
        return _LIKE if minutes or hours else "write UTC"
    where = "ahead of" if sign == "+" else "behind"
    return (
        f"{hours} h {where} UTC is {known}, as these names have the sign turned round; or write a "
        "place such as Europe/Berlin, which heeds summer time"
    )


def zone(name: str) -> ZoneInfo:
    """The rules of an IANA zone, such as ``Europe/Berlin``; raises :class:`UnknownZone`."""
    if name not in zone_names():
        raise UnknownZone(name)
    return _load(name)


@cache
def zone_names() -> frozenset[str]:
    """Every name that :func:`zone` accepts, aliases included."""
    listing = importlib.resources.files(_PACKAGE).joinpath("zones").read_text(encoding="utf-8")
    return frozenset(listing.split()) - {"Factory"}


@cache
def zone_rules_version() -> str:
    """Release of the IANA rules in use, such as ``2026a``."""
    return str(importlib.import_module(_PACKAGE).IANA_VERSION)


def closest_names(name: str) -> list[str]:
    """Up to three zones whose name, or city, resembles ``name``; best first."""
    wanted = name[:_LONGEST_SHOWN].strip().replace(" ", "_").casefold()
    known = _spellings()
    if wanted in known:
        return [known[wanted]]
    keys = difflib.get_close_matches(wanted, known, n=6, cutoff=0.7)
    return list(dict.fromkeys(known[key] for key in keys))[:3]


@cache
def _spellings() -> dict[str, str]:
    """Small-letter full names and cities, each with the zone meant."""
    placed = sorted(name for name in zone_names() if "/" in name)
    cities = {name.rpartition("/")[2].casefold(): name for name in reversed(placed)}
    return cities | {name.casefold(): name for name in zone_names()}


@cache
def _load(name: str) -> ZoneInfo:
    path = importlib.resources.files(_PACKAGE).joinpath("zoneinfo", *name.split("/"))
    with path.open("rb") as rules:
        return ZoneInfo.from_file(rules, key=name)
