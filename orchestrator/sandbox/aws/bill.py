"""AWS's own bill: instance-seconds and disk of every endpoint, from the history of its status.

What costs money in which status is for the switches to say. A transition at any fraction of a
second counts from the whole second below it. The disk is billed for as long as its instance.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import pairwise

from orchestrator.sandbox.aws.endpoint import AwsEndpoint, Stretch, Variant
from orchestrator.sandbox.aws.prices import DISK, HOURS_PER_MONTH, AwsPrices, usage_type
from orchestrator.sandbox.aws.switches import AwsSwitches
from orchestrator.sandbox.catalog import NANO
from orchestrator.sandbox.instants import SECOND, to_datetime


@dataclass(frozen=True, slots=True)
class AwsBillLine:
    """One stretch of one endpoint in one status on one product at one price.

    `product` is an instance type or `gp2`; `units` are instances or gigabytes, and `unit_seconds`
    they times the seconds. `usd` is per hour, for the disk per GB-month of 730 hours; without a
    known price it is None and `nano_usd` is 0.
    """

    endpoint_arn: str
    name: str
    region: str
    product: str
    usage_type: str
    status: str
    started_at: datetime
    stopped_at: datetime
    units: int
    unit_seconds: int
    usd: Decimal | None
    nano_usd: int


@dataclass(frozen=True, slots=True)
class Biller:
    """Prices the history of endpoints."""

    prices: AwsPrices
    switches: AwsSwitches

    def lines(self, endpoint: AwsEndpoint, low: int, high: int) -> Iterator[AwsBillLine]:
        """The bill of an endpoint between two instants."""
        for stretch, begin, end in endpoint.pieces(low, high):
            first, last = begin // SECOND, end // SECOND
            if first < last:
                for product, units in self._charged(stretch).items():
                    line = _Line(endpoint, stretch.status, product, units)
                    yield from self._priced(line, first, last)

    def _charged(self, stretch: Stretch) -> dict[str, int]:
        """Units by product that cost money in a stretch."""
        found: dict[str, int] = {}
        for one, count in self._instances(stretch):
            if count:
                found[one.instance_type] = found.get(one.instance_type, 0) + count
                if one.volume_gb:
                    found[DISK] = found.get(DISK, 0) + count * one.volume_gb
        return found

    def _instances(self, stretch: Stretch) -> Iterator[tuple[Variant, int]]:
        switches = self.switches
        match stretch.status:
            case "Creating":
                for one in stretch.variants:
                    ways = {"free": 0, "instances": one.instances, "wanted": one.desired}
                    yield one, ways[switches.creating_billed]
            case "Failed" if not switches.failed_billed:
                return
            case "Deleting" if not switches.deleting_billed:
                return
            case _:
                yield from ((one, one.instances) for one in stretch.variants)
                if switches.updating_bills_both:
                    yield from ((one, one.instances) for one in stretch.incoming)

    def _priced(self, line: _Line, first: int, last: int) -> Iterator[AwsBillLine]:
        """The line, cut where its price changes."""
        region, product = line.endpoint.region, line.product
        changes = self.prices.changes(region, product, first * SECOND, last * SECOND)
        edges = [first, *(at // SECOND for at in changes), last]
        for begin, end in pairwise(edges):
            usd = self.prices.at(region, product, begin * SECOND)
            yield line.between(begin, end, usd)


@dataclass(frozen=True, slots=True)
class _Line:
    endpoint: AwsEndpoint
    status: str
    product: str
    units: int

    def between(self, begin: int, end: int, usd: Decimal | None) -> AwsBillLine:
        seconds = self.units * (end - begin)
        return AwsBillLine(
            endpoint_arn=self.endpoint.arn,
            name=self.endpoint.name,
            region=self.endpoint.region,
            product=self.product,
            usage_type=usage_type(self.endpoint.region, self.product),
            status=self.status,
            started_at=to_datetime(begin * SECOND),
            stopped_at=to_datetime(end * SECOND),
            units=self.units,
            unit_seconds=seconds,
            usd=usd,
            nano_usd=_nano(usd, seconds, self.product),
        )


def _nano(usd: Decimal | None, seconds: int, product: str) -> int:
    hours = HOURS_PER_MONTH if product == DISK else 1
    cost = (usd or Decimal(0)) * seconds * NANO / (3600 * hours)
    return int(cost.quantize(Decimal(1), ROUND_HALF_EVEN))
