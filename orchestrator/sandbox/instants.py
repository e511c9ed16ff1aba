"""Virtual instants: whole microseconds since the Unix epoch, and how the cloud prints them."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_instant(moment: datetime) -> int:
    """Microseconds since the epoch; raises ValueError for a datetime without a zone."""
    if moment.tzinfo is None:
        raise ValueError("a datetime needs a time zone")
    return (moment - _EPOCH) // _MICROSECOND


def to_datetime(instant: int) -> datetime:
    """The aware UTC datetime of an instant."""
    return _EPOCH + timedelta(microseconds=instant)


def rfc3339(instant: int) -> str:
    """RFC 3339 with zero to nine fractional digits and `Z`, as the service prints."""
    whole, micros = divmod(instant, SECOND)
    text = (_EPOCH + timedelta(seconds=whole)).strftime("%Y-%m-%dT%H:%M:%S")
    if micros == 0:
        return text + "Z"
    nanos = micros * 1000 + micros * 7919 % 1000
    return f"{text}.{nanos:09d}".rstrip("0") + "Z"


def http_date(instant: int) -> str:
    """The value of an HTTP `Date` header."""
    return format_datetime(to_datetime(instant).replace(microsecond=0), usegmt=True)


def draw(seed: int, *key: object) -> float:
    """A number in [0, 1) that depends on the seed and the key alone."""
    text = f"{seed}|{'|'.join(map(str, key))}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=7).digest()) / (1 << 56)


def between(low: float, high: float, chance: float) -> float:
    """The point at `chance` (0 to 1) of the way from low to high."""
    return low + (high - low) * chance


def hex_id(seed: int, *key: object, digits: int = 24) -> str:
    """A made-up identifier of lower-case hexadecimal digits."""
    text = f"{seed}|{'|'.join(map(str, key))}".encode()
    return hashlib.blake2b(text, digest_size=32).hexdigest()[:digits]
