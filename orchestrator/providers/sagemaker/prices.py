"""What hosting costs: AWS's price list, else a dated copy of it for the region that it is of.

Never the prices of EC2, which are lower by 13 to 29 percent for the same machines.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from functools import cache
from importlib.resources import files
from typing import Any

from orchestrator.domain.endpoints import Hardware, HardwareOffer
from orchestrator.domain.money import to_nano
from orchestrator.providers.base import ProviderError
from orchestrator.providers.sagemaker.hardware import instance_hardware, volume_hardware
from orchestrator.providers.sagemaker.instances import INSTANCES, instance_of
from orchestrator.providers.sagemaker.quotas import Quotas
from orchestrator.providers.sagemaker.session import AwsSession

_log = logging.getLogger(__name__)

SERVICE = "AmazonSageMaker"
# AWS bills a month of storage as so many hours on average.
HOURS_PER_MONTH = 730
_INSTANCE = re.compile(r"(?:[A-Z0-9]+-)?Host:(ml\.[a-z0-9-]+\.[a-z0-9-]+)")
_VOLUME = re.compile(r"(?:[A-Z0-9]+-)?Host:VolumeUsage\.gp2")
_DEAREST = Decimal(100_000)
_UNPRICED = "unpriced: the price list of AWS could not be read"


@dataclass(slots=True)
class Prices:
    """Nano-dollars per hour of instance types, and of a gigabyte of disk; `source` says whose."""

    instances: dict[str, int | None] = field(default_factory=dict)
    volume: int | None = None
    source: str = ""


def read_offers(session: AwsSession, quotas: Quotas) -> list[HardwareOffer]:
    """Return prices with quotas; both are left out where they cannot be read.

    Types that are priced come with those that are known; the last row is the disk's.
    """
    prices = _or_else(lambda: live_prices(session), "prices")
    if prices is None or not prices.instances:
        prices = seeded_prices(session.region)
    limits = _or_else(quotas.read, "quotas")
    types = sorted({*prices.instances, *(() if not prices.source else INSTANCES)})
    offers = [_offer(session.region, name, prices, limits) for name in types]
    return [*offers, _volume_offer(session.region, prices)]


def live_prices(session: AwsSession) -> Prices:
    """Return the price list of the region. Raises ProviderError."""
    found = Prices()
    for product in _products(session, {"component": "Hosting"}):
        match = _INSTANCE.fullmatch(_usage_type(product))
        if match and _attribute(product, "regionCode") == session.region:
            found.instances[match[1]] = _one_price(found.instances, match[1], product)
    for product in _products(session, {"volumeType": "General Purpose-Hosting"}):
        if _VOLUME.fullmatch(_usage_type(product)):
            found.volume = per_hour(_price(product, "GB-Mo"))
    return found


def seeded_prices(region: str) -> Prices:
    """Return the dated copy, without prices in regions that it is not of."""
    seed = _seed()
    if seed["region"] != region:
        return Prices(source=_UNPRICED)
    source = f"{seed['source']}, as of {seed['as_of']}"
    prices = Prices(source=source)
    prices.instances.update({name: _nano(Decimal(usd)) for name, usd in seed["prices"].items()})
    return prices


def per_hour(dollars_per_month: Decimal | None) -> int | None:
    """Return a monthly price as nano-dollars per hour, rounded half to even (within 0.5 nano)."""
    return None if dollars_per_month is None else _nano(dollars_per_month / HOURS_PER_MONTH)


@cache
def _seed() -> Mapping[str, Any]:
    text = files("orchestrator.providers.sagemaker").joinpath("prices.json").read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def _products(session: AwsSession, wanted: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
    filters = {"regionCode": session.region, **wanted}
    texts = session.pages(
        "pricing",
        "GetProducts",
        "PriceList",
        ServiceCode=SERVICE,
        Filters=[
            {"Type": "TERM_MATCH", "Field": name, "Value": value} for name, value in filters.items()
        ],
        FormatVersion="aws_v1",
        MaxResults=100,
    )
    for text in texts:
        # The service model says text; numbers in it must not become floats.
        product = json.loads(str(text), parse_float=Decimal)
        if isinstance(product, dict):
            yield product


def _attribute(product: Mapping[str, Any], name: str) -> str:
    attributes = (product.get("product") or {}).get("attributes") or {}
    return str(attributes.get(name) or "")


def _usage_type(product: Mapping[str, Any]) -> str:
    return _attribute(product, "usagetype")


def _one_price(
    known: Mapping[str, int | None], name: str, product: Mapping[str, Any]
) -> int | None:
    """Return the price of a type; two that differ are no price."""
    dollars = _price(product, "Hrs")
    price = None if dollars is None else _nano(dollars)
    if name in known and known[name] != price:
        _log.warning("the price list has two prices for hosting on %s", name)
        return None
    return price


def _price(product: Mapping[str, Any], unit: str) -> Decimal | None:
    """Return the one on-demand price in dollars for a unit, None without one or with several."""
    found = {
        str((dimension.get("pricePerUnit") or {}).get("USD"))
        for term in ((product.get("terms") or {}).get("OnDemand") or {}).values()
        for dimension in (term.get("priceDimensions") or {}).values()
        if dimension.get("unit") == unit
    }
    return _dollars(found.pop()) if len(found) == 1 else None


def _dollars(text: str) -> Decimal | None:
    try:
        dollars = Decimal(text)
    except InvalidOperation:
        return None
    return dollars if dollars.is_finite() and 0 <= dollars <= _DEAREST else None


def _nano(dollars: Decimal) -> int:
    return to_nano(dollars)


def _or_else(read: Callable[[], Any], what: str) -> Any:
    """Return what is read, None where AWS refuses or cannot be reached: it is shown without."""
    try:
        return read()
    except (ProviderError, ValueError) as error:
        _log.warning("%s of SageMaker could not be read: %s", what, error)
        return None


def _offer(
    region: str, name: str, prices: Prices, quotas: Mapping[str, int] | None
) -> HardwareOffer:
    machine = instance_of(name)
    price = prices.instances.get(name)
    return HardwareOffer(
        hardware=instance_hardware(region, name),
        nano_per_hour=price,
        status="available" if price is not None else "unknown",
        accelerators=machine.devices,
        memory_gb=str(machine.host_memory or ""),
        accelerator_memory_gb=str(machine.device_memory or ""),
        architecture=name.split(".")[1],
        quota_max=(quotas or {}).get(name),
        quota_each=1,
        quota_told=quotas is not None,
        source=prices.source if price is not None else prices.source and _UNPRICED,
    )


def _volume_offer(region: str, prices: Prices) -> HardwareOffer:
    hardware: Hardware = volume_hardware(region)
    known = prices.volume is not None
    return HardwareOffer(
        hardware=hardware,
        nano_per_hour=prices.volume,
        status="available" if known else "unknown",
        accelerators=0,
        component="disk",
        source=prices.source if known else prices.source and _UNPRICED,
    )
