"""The price list: products of AmazonSageMaker, each a JSON text, as `GetProducts` gives them.

One instance type is sold several times over: for hosting, for asynchronous inference, for training
and for processing, at different prices; so is the disk. Only the prices of hosting are real ones.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from orchestrator.sandbox.aws.accounts import REGIONS
from orchestrator.sandbox.aws.calls import AwsCall, Handlers, Result
from orchestrator.sandbox.aws.errors import AwsError
from orchestrator.sandbox.aws.hardware import INSTANCES
from orchestrator.sandbox.aws.prices import DISK, usage_prefix
from orchestrator.sandbox.aws.tokens import page
from orchestrator.sandbox.instants import rfc3339

SERVICE = "AmazonSageMaker"

_PAGE = 100
_FIRST_PRICES = "2025-01-01T00:00:00Z"
_TERM, _DIMENSION = "JRTCKXETXF", "6YS6EN2CT7"
# component -> part of the usage type, operation, and its made-up price over that of hosting
_COMPONENTS = {
    "Hosting": ("Host", "RunInstance", Decimal(1)),
    "AsyncInf": ("AsyncInf", "RunInstance", Decimal("1.10")),
    "Training": ("Train", "RunInstance", Decimal("1.25")),
    "Processing": ("Processing", "RunInstance", Decimal("1.15")),
}
_LOCATIONS = {
    "us-east-1": "US East (N. Virginia)",
    "us-east-2": "US East (Ohio)",
    "us-west-2": "US West (Oregon)",
    "eu-west-1": "EU (Ireland)",
    "eu-west-3": "EU (Paris)",
    "eu-central-1": "EU (Frankfurt)",
}

Attributes = dict[str, str]


def _products(call: AwsCall) -> Iterator[tuple[str, Attributes, str, Decimal, str]]:
    """Family, attributes, unit, USD and instant of effect of everything that is sold."""
    prices, now = call.cloud.prices, call.instant
    for region in REGIONS:
        for product in (*INSTANCES, DISK):
            usd = prices.at(region, product, now)
            if usd is None:
                continue
            changed = prices.effective_since(region, product, now)
            since = _FIRST_PRICES if changed is None else rfc3339(changed)
            for component, (kind, operation, factor) in _COMPONENTS.items():
                row = _disk if product == DISK else _instance
                family, attributes, unit = row(region, product, component, kind)
                attributes["operation"] = operation
                yield family, attributes, unit, usd * factor, since


def _common(region: str, usage: str) -> Attributes:
    return {
        "servicecode": SERVICE,
        "servicename": "Amazon SageMaker",
        "regionCode": region,
        "location": _LOCATIONS.get(region, region),
        "locationType": "AWS Region",
        "usagetype": f"{usage_prefix(region)}-{usage}",
    }


def _instance(region: str, product: str, component: str, kind: str) -> tuple[str, Attributes, str]:
    machine = INSTANCES[product]
    own = {
        "instanceName": product,
        "instanceType": f"{product}-{component}",
        "component": component,
        "memory": f"{machine.host_gib} GiB",
        "computeType": "Standard" if machine.kind == "cpu" else "Accelerated computing",
    }
    return "ML Instance", {**_common(region, f"{kind}:{product}"), **own}, "Hrs"


def _disk(region: str, product: str, component: str, kind: str) -> tuple[str, Attributes, str]:
    own = {"volumeType": f"General Purpose-{component}"}
    usage = f"{kind}:VolumeUsage.{product}"
    return "ML Storage", {**_common(region, usage), **own}, "GB-Mo"


def _matches(wanted: Mapping[str, str], family: str, attributes: Attributes) -> bool:
    found = _value_of(wanted["Field"].lower(), family, attributes)
    if found is None:
        return wanted["Type"] == "NONE_OF"
    return _TESTS[wanted["Type"]](found, wanted["Value"])


def _value_of(field: str, family: str, attributes: Attributes) -> str | None:
    if field == "productfamily":
        return family
    return next((value for name, value in attributes.items() if name.lower() == field), None)


def _listed(found: str, values: str) -> bool:
    return found in {value.strip() for value in values.split(",")}


_TESTS: Mapping[str, Callable[[str, str], bool]] = {
    "TERM_MATCH": lambda found, value: found == value,
    "EQUALS": lambda found, value: found == value,
    "CONTAINS": lambda found, value: value in found,
    "ANY_OF": _listed,
    "NONE_OF": lambda found, values: not _listed(found, values),
}


def _item(family: str, attributes: Attributes, unit: str, usd: Decimal, since: str) -> str:
    name = f"{attributes['usagetype']}|{attributes['regionCode']}"
    sku = hashlib.blake2b(name.encode(), digest_size=8).hexdigest().upper()
    rate = f"{sku}.{_TERM}.{_DIMENSION}"
    dimension: dict[str, Any] = {
        "unit": unit,
        "beginRange": "0",
        "endRange": "Inf",
        "description": f"${usd.normalize():f} per {attributes['usagetype']} in {unit}",
        "appliesTo": [],
        "rateCode": rate,
        "pricePerUnit": {"USD": f"{usd:.10f}"},
    }
    term = {
        "priceDimensions": {rate: dimension},
        "sku": sku,
        "effectiveDate": since,
        "offerTermCode": _TERM,
        "termAttributes": {},
    }
    value = {
        "product": {"productFamily": family, "attributes": attributes, "sku": sku},
        "serviceCode": SERVICE,
        "terms": {"OnDemand": {f"{sku}.{_TERM}": term}},
        "version": since[:10].replace("-", ""),
        "publicationDate": since,
    }
    return json.dumps(value, separators=(",", ":"))


def get_products(call: AwsCall) -> Result:
    """The products that pass every filter, 100 a page; raises AwsError."""
    if call.params["ServiceCode"] != SERVICE:
        raise AwsError("NotFoundException", f"Invalid ServiceCode {call.params['ServiceCode']}")
    filters = call.params.get("Filters", [])
    rows = [
        _item(family, attributes, unit, usd, since)
        for family, attributes, unit, usd, since in _products(call)
        if all(_matches(wanted, family, attributes) for wanted in filters)
    ]
    shown, token = page(
        rows,
        call.params.get("NextToken"),
        call.params.get("MaxResults", _PAGE),
        refused_as="InvalidNextTokenException",
    )
    result: Result = {"FormatVersion": "aws_v1", "PriceList": shown}
    return result if token is None else {**result, "NextToken": token}


HANDLERS: Handlers = {("pricing", "GetProducts"): (get_products, False)}
