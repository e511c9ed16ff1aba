"""Money as integer nano-dollars; `Decimal` at the edges; never a float."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal

NANO = 1_000_000_000
SECONDS_PER_HOUR = 3600


def to_nano(dollars: Decimal) -> int:
    """Return dollars as nano-dollars, rounded half to even.

    Raises ValueError for NaN and infinities, which no price is.
    """
    if not dollars.is_finite():
        raise ValueError(f"not an amount of money: {dollars}")
    return int((dollars * NANO).to_integral_value(ROUND_HALF_EVEN))


def to_dollars(nano: int) -> Decimal:
    """Return nano-dollars as dollars, exactly."""
    return Decimal(nano) / NANO


def amount_for(nano_per_hour: int, seconds: int) -> int:
    """Return what `seconds` cost at an hourly price, in nano-dollars, rounded half to even."""
    quotient, remainder = divmod(nano_per_hour * seconds, SECONDS_PER_HOUR)
    twice = 2 * remainder
    if twice > SECONDS_PER_HOUR or (twice == SECONDS_PER_HOUR and quotient % 2):
        quotient += 1
    return quotient


def split(total: int, weights: Sequence[int]) -> list[int]:
    """Split `total` in proportion to `weights` by the largest remainder, so that parts add up.

    Raises ValueError when a weight is negative or all are zero.
    """
    whole = sum(weights)
    if whole <= 0 or min(weights) < 0:
        raise ValueError("weights must be zero or more, and not all zero")
    parts = [total * weight // whole for weight in weights]
    remainders = [total * weight % whole for weight in weights]
    order = sorted(range(len(weights)), key=lambda i: (-remainders[i], i))
    for index in order[: total - sum(parts)]:
        parts[index] += 1
    return parts


def format_dollars(nano: int, places: int = 2) -> str:
    """Return an amount for people, such as `$1,234.50`; amounts under a cent keep four places."""
    dollars = to_dollars(nano)
    if nano and abs(dollars) < Decimal("0.01"):
        places = max(places, 4)
    sign = "-" if dollars < 0 else ""
    return f"{sign}${abs(dollars):,.{places}f}"
