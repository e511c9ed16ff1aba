"""Money in answers: exact decimals in dollars, as text."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from orchestrator.api.schemas.base import Answer
from orchestrator.costs.figures import Figure
from orchestrator.domain.money import to_dollars


class Price(Answer):
    """A price per hour, or another plain amount."""

    amount: str = Field(examples=["1.800000000"])
    currency: Literal["USD"] = "USD"


Basis = Literal["metered", "billed", "expected"]


class Money(Answer):
    """A figure with its bounds; `unpriced_seconds` of it have no known price and count as none."""

    amount: str = Field(examples=["43.200000000"])
    low: str = Field(examples=["43.100000000"])
    high: str = Field(examples=["43.350000000"])
    currency: Literal["USD"] = "USD"
    basis: Basis = Field(
        "metered", description="By the meter, by the cloud's bill, or expected: worked out."
    )
    unpriced_seconds: int = Field(0, ge=0, examples=[0])


def decimal_text(nano: int) -> str:
    """Return nano-dollars as dollars with nine decimal places."""
    return f"{to_dollars(nano):.9f}"


def price(nano: int | None) -> Price | None:
    """Return a price, or None when it is not known."""
    return None if nano is None else Price(amount=decimal_text(nano))


def money(figure: Figure, basis: Basis = "metered") -> Money:
    """Return a figure of the ledger, or one that is worked out."""
    return Money(
        amount=decimal_text(figure.nano),
        low=decimal_text(figure.low),
        high=decimal_text(figure.high),
        basis=basis,
        unpriced_seconds=figure.unpriced_seconds,
    )
