"""Opaque ids that sort by the time of their making."""

from __future__ import annotations

import secrets
from datetime import datetime

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32, in lower case
_TIME_DIGITS = 10
_RANDOM_DIGITS = 16


def new_id(prefix: str, at: datetime) -> str:
    """Return an id such as `ep_01jd…`: a prefix, the instant in milliseconds, 80 random bits."""
    millis = int(at.timestamp() * 1000)
    return (
        f"{prefix}_{_encode(millis, _TIME_DIGITS)}{_encode(secrets.randbits(80), _RANDOM_DIGITS)}"
    )


def _encode(number: int, digits: int) -> str:
    out = []
    for _ in range(digits):
        number, index = divmod(number, 32)
        out.append(_ALPHABET[index])
    return "".join(reversed(out))
