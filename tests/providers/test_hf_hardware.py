"""The price list."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

from orchestrator.domain.endpoints import Hardware
from orchestrator.providers.base import UnavailableError
from orchestrator.providers.huggingface.hardware import price_of
from tests.providers.wire import Wire, refusal

ROW: dict[str, Any] = {
    "id": "aws-us-east-1-nvidia-l4-x1",
    "accelerator": "gpu",
    "numAccelerators": 1,
    "numCpus": 7,
    "memoryGb": 30.0,
    "gpuMemoryGb": 24,
    "instanceType": "nvidia-l4",
    "instanceSize": "x1",
    "architecture": "Nvidia L4",
    "status": "available",
    "pricePerHour": 0.8,
    "quota": {"maxAccelerators": 16, "usedAccelerators": 1},
}


def vendors(*rows: dict[str, Any], region: str = "available") -> dict[str, Any]:
    places = [{"name": "us-east-1", "status": region, "computes": list(rows)}]
    return {"vendors": [{"name": "aws", "status": "available", "regions": places}]}


def price_in(text: str) -> int | None:
    body = json.dumps(vendors(ROW)).replace('"pricePerHour": 0.8', f'"pricePerHour": {text}')
    return Wire(httpx2.Response(200, text=body)).provider().hardware()[0].nano_per_hour


def test_reads_a_row() -> None:
    wire = Wire(vendors(ROW))
    (offer,) = wire.provider().hardware()
    assert offer.hardware == Hardware("aws", "us-east-1", "nvidia-l4", "x1", "gpu")
    assert offer.nano_per_hour == 800_000_000
    assert (offer.accelerators, offer.memory_gb, offer.accelerator_memory_gb) == (1, "30.0", "24")
    assert (offer.architecture, offer.status) == ("Nvidia L4", "available")
    assert (offer.quota_max, offer.quota_used) == (16, 1)
    assert wire.paths == ["GET /v2/provider/acme"]


@pytest.mark.parametrize(
    ("text", "nano"),
    [
        ("0.033", 33_000_000),
        ("0.1", 100_000_000),
        ("23.5", 23_500_000_000),
        ("80", 80_000_000_000),
        ("0.123456789", 123_456_789),
        ("0.3000000000000000000001", 300_000_000),
        ("1e-2", 10_000_000),
        ('"0.5"', 500_000_000),
        ("0", 0),
        ("null", None),
        ("-1", None),
        ("NaN", None),
        ("Infinity", None),
        ("1e999999", None),
        ('"free"', None),
        ("true", None),
        ("{}", None),
    ],
)
def test_prices_come_exactly_from_the_text(text: str, nano: int | None) -> None:
    assert price_in(text) == nano


def test_a_missing_price_is_unknown_not_zero() -> None:
    row = {key: value for key, value in ROW.items() if key != "pricePerHour"}
    assert Wire(vendors(row)).provider().hardware()[0].nano_per_hour is None


def test_a_float_is_no_price() -> None:
    assert price_of(0.8) is None


@pytest.mark.parametrize("field", sorted(ROW))
@pytest.mark.parametrize("value", [None, "x", -1, [], {}, 1.5])
def test_no_field_can_break_a_row(field: str, value: object) -> None:
    (offer,) = Wire(vendors(ROW | {field: value})).provider().hardware()
    assert offer.hardware.vendor == "aws"


@pytest.mark.parametrize(
    "body", [{}, {"vendors": None}, {"vendors": [7]}, {"vendors": [{"regions": [{}]}]}]
)
def test_an_odd_list_is_empty(body: dict[str, Any]) -> None:
    assert Wire(body).provider().hardware() == []


def test_a_place_that_is_not_available_shows_on_its_rows() -> None:
    (offer,) = Wire(vendors(ROW, region="not_available")).provider().hardware()
    assert offer.status == "not_available"
    (offer,) = Wire(vendors(ROW | {"status": "reserved"}, region="x")).provider().hardware()
    assert offer.status == "reserved"


@pytest.mark.parametrize("status", [401, 403, 404])
def test_without_rights_the_public_prices_have_no_quota(status: int) -> None:
    wire = Wire(refusal(status, "no access to the namespace"), vendors(ROW))
    (offer,) = wire.provider().hardware()
    assert offer.nano_per_hour == 800_000_000
    assert (offer.quota_max, offer.quota_used) == (None, None)
    assert wire.paths == ["GET /v2/provider/acme", "GET /v2/provider"]
    assert "authorization" not in wire.requests[1].headers


def test_an_outage_is_not_papered_over() -> None:
    with pytest.raises(UnavailableError):
        Wire(refusal(503)).provider().hardware()
