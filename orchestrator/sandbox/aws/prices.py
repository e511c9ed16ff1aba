"""What hosting costs, by region, with the instants at which prices changed."""

from __future__ import annotations

from bisect import bisect_right, insort
from decimal import Decimal
from typing import Any

from orchestrator.sandbox.aws.hardware import INSTANCES

DISK = "gp2"
DISK_USD_PER_GB_MONTH = Decimal("0.14")
HOURS_PER_MONTH = 730

# A published price of ml.g6.xlarge in that region over its price in us-east-1.
_FACTORS = {
    "eu-west-1": Decimal("1.116"),
    "eu-west-3": Decimal("1.269"),
    "eu-central-1": Decimal("1.25"),
}
_PREFIXES = {
    "us-east-1": "USE1",
    "us-east-2": "USE2",
    "us-west-1": "USW1",
    "us-west-2": "USW2",
    "ca-central-1": "CAN1",
    "eu-west-1": "EU",
    "eu-west-2": "EUW2",
    "eu-west-3": "EUW3",
    "eu-central-1": "EUC1",
    "eu-north-1": "EUN1",
    "ap-northeast-1": "APN1",
    "ap-south-1": "APS3",
    "ap-southeast-1": "APS1",
    "ap-southeast-2": "APS2",
    "sa-east-1": "SAE1",
}


def usage_prefix(region: str) -> str:
    """The first part of a usage type, such as `USE1`."""
    return _PREFIXES.get(region, region.upper().replace("-", ""))


def usage_type(region: str, product: str) -> str:
    """The usage type of an instance type, or of the disk."""
    kind = "VolumeUsage.gp2" if product == DISK else product
    return f"{usage_prefix(region)}-Host:{kind}"


class AwsPrices:
    """Prices by region and product: an instance type (USD per hour) or `gp2` (per GB-month)."""

    def __init__(self) -> None:
        self._changes: dict[str, list[tuple[int, Decimal]]] = {}

    def set(self, region: str, product: str, usd: Decimal, at: int) -> None:
        """From the instant `at` on this product costs so much."""
        insort(self._changes.setdefault(f"{region}/{product}", []), (at, usd))

    def at(self, region: str, product: str, instant: int) -> Decimal | None:
        """The price at an instant, None where it is not known."""
        changes = self._changes.get(f"{region}/{product}", [])
        after = bisect_right(changes, instant, key=lambda change: change[0])
        return changes[after - 1][1] if after else self._first(region, product)

    def changes(self, region: str, product: str, start: int, end: int) -> list[int]:
        """The instants within (start, end) at which the price changes."""
        rows = self._changes.get(f"{region}/{product}", [])
        return sorted({at for at, _ in rows if start < at < end})

    def effective_since(self, region: str, product: str, instant: int) -> int | None:
        """Since when the price of an instant has held, None for the first price."""
        rows = self._changes.get(f"{region}/{product}", [])
        after = bisect_right(rows, instant, key=lambda change: change[0])
        return rows[after - 1][0] if after else None

    def _first(self, region: str, product: str) -> Decimal | None:
        if product == DISK:
            return DISK_USD_PER_GB_MONTH
        known = INSTANCES.get(product)
        if known is None or known.usd is None:
            return None
        return known.usd * _FACTORS.get(region, Decimal(1))

    def snapshot(self) -> dict[str, Any]:
        """The changes as JSON values."""
        return {key: [[at, str(usd)] for at, usd in rows] for key, rows in self._changes.items()}

    @classmethod
    def restore(cls, state: dict[str, Any]) -> AwsPrices:
        """The prices that `snapshot` described."""
        prices = cls()
        prices._changes = {
            key: [(at, Decimal(usd)) for at, usd in rows] for key, rows in state.items()
        }
        return prices
