"""Figures of money with their uncertainty; all in nano-dollars."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Figure:
    """A cost: the likely amount, its bounds, and for how many seconds no price was known."""

    nano: int = 0
    low: int = 0
    high: int = 0
    unpriced_seconds: int = 0

    def __add__(self, other: Figure) -> Figure:
        return Figure(
            self.nano + other.nano,
            self.low + other.low,
            self.high + other.high,
            self.unpriced_seconds + other.unpriced_seconds,
        )

    @property
    def complete(self) -> bool:
        """Return whether every billed second had a price."""
        return self.unpriced_seconds == 0


@dataclass(frozen=True, slots=True)
class Burn:
    """Nano-dollars per hour with bounds; `unpriced` counts endpoints of which a price is missing.

    What of them has a price is in the amounts. An endpoint that is known to be asleep burns 0 and
    needs no price.
    """

    nano: int = 0
    low: int = 0
    high: int = 0
    unpriced: int = 0

    def __add__(self, other: Burn) -> Burn:
        return Burn(
            self.nano + other.nano,
            self.low + other.low,
            self.high + other.high,
            self.unpriced + other.unpriced,
        )

    def beside(self, other: Burn) -> Burn:
        """Return the sum of two components of one endpoint, which counts once."""
        return replace(self + other, unpriced=max(self.unpriced, other.unpriced))
