"""Time zones from the pinned ``tzdata`` package, never from the host's own files."""

import difflib
import importlib
import importlib.resources
from functools import cache
from zoneinfo import ZoneInfo

from orchestrator.domain.schedules.errors import ScheduleError

_PACKAGE = "tzdata"
_LONGEST_SHOWN = 60


class UnknownZone(ScheduleError):  # noqa: N818 - the name says what is wrong
    """The name is not an IANA time zone of the pinned rules; ``field`` is ``timezone``."""

    def __init__(self, name: str) -> None:
        shown = name if len(name) <= _LONGEST_SHOWN else f"{name[:_LONGEST_SHOWN]}..."
        nearest = closest_names(name)
        hint = f"did you mean {', '.join(nearest)}?" if nearest else "write it like Europe/Berlin"
        super().__init__("timezone", f"unknown time zone {shown!r}; {hint}")


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
