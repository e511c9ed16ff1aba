"""The price list: prices go from the JSON text to Decimal to nano-dollars, never through floats."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from orchestrator.domain.endpoints import Hardware, HardwareOffer
from orchestrator.domain.money import to_nano
from orchestrator.providers.huggingface.fields import Fields

_DEAREST = Decimal(100_000)


def read_offers(raw: Mapping[str, Any], *, quotas: bool) -> list[HardwareOffer]:
    """Return the rows of `GET /provider`; `quotas` is False for the public one, where they are 0.

    A price that is missing or not a price is None; a status is the cloud's own, open word.
    """
    return [
        _offer(compute, vendor, region, quotas=quotas)
        for vendor in _objects(raw, "vendors")
        for region in _objects(vendor, "regions")
        for compute in _objects(region, "computes")
    ]


def price_of(value: object) -> int | None:
    """Return nano-dollars per replica-hour of a JSON number or text, None if it is no price."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        return None
    try:
        dollars = Decimal(value)
    except InvalidOperation:
        return None
    return to_nano(dollars) if dollars.is_finite() and 0 <= dollars <= _DEAREST else None


def _objects(raw: Mapping[str, Any], key: str) -> Iterator[Mapping[str, Any]]:
    value = raw.get(key)
    yield from (
        (item for item in value if isinstance(item, Mapping)) if isinstance(value, list) else ()
    )


def _offer(
    compute: Mapping[str, Any],
    vendor: Mapping[str, Any],
    region: Mapping[str, Any],
    *,
    quotas: bool,
) -> HardwareOffer:
    fields = Fields(compute)
    return HardwareOffer(
        hardware=Hardware(
            vendor=Fields(vendor).text("name") or "?",
            region=Fields(region).text("name") or "?",
            instance_type=fields.text("instanceType") or "?",
            instance_size=fields.text("instanceSize") or "?",
            accelerator=fields.text("accelerator"),
        ),
        nano_per_hour=price_of(compute.get("pricePerHour")),
        status=_status(compute, region, vendor),
        accelerators=_number(compute.get("numAccelerators")) or 0,
        memory_gb=_size(compute.get("memoryGb")),
        accelerator_memory_gb=_size(compute.get("gpuMemoryGb")),
        architecture=fields.text("architecture"),
        quota_max=_number(fields.value("quota.maxAccelerators")) if quotas else None,
        quota_used=_number(fields.value("quota.usedAccelerators")) if quotas else None,
    )


def _status(*levels: Mapping[str, Any]) -> str:
    """Return the first word that is not `available`, from the row up to its vendor."""
    words = [word for word in (level.get("status") for level in levels) if isinstance(word, str)]
    return next((word for word in words if word != "available"), words[0] if words else "")


def _number(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    return int(value) if value == value // 1 and value >= 0 else None


def _size(value: object) -> str:
    return str(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else ""
