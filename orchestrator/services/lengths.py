"""Lengths of time as people write and read them: `24h`, `7d`, `1h30m`, `4 min`."""

from __future__ import annotations

import re
from datetime import timedelta

from orchestrator.services.errors import invalid

_LENGTH = re.compile(r"(?:([0-9]{1,4})d)?(?:([0-9]{1,5})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,8})s)?")

OR_NONE = "Write 24h, 7d, 1h30m, or 0 for none."
NOT_NONE = "Write 24h, 7d or 1h30m."


def parse(text: str, field: str, remedy: str = OR_NONE) -> timedelta:
    """Read `24h`, `7d`, `1h30m`, `90s` or `0`. Raises ServiceError 422 that names `field`."""
    if text.strip() == "0":
        return timedelta(0)
    match = _LENGTH.fullmatch(text.strip().lower())
    if match is None or not any(match.groups()):
        raise invalid(
            field,
            f"{text[:40]!r} is no length of time.",
            remedy=remedy,
        )
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def brief(length: timedelta) -> str:
    """Return a length in words, to two places: `45 s`, `4 min`, `2 h 10 min`, `3 d`."""
    seconds = int(length.total_seconds())
    if seconds < 90:
        return f"{seconds} s"
    minutes = (seconds + 30) // 60
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"
