"""Prices of SageMaker hosting: from the price list, or a dated copy, never from EC2."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import httpx2
import pytest

from orchestrator.domain.endpoints import HardwareOffer
from orchestrator.providers.sagemaker.factory import make_sagemaker
from orchestrator.providers.sagemaker.prices import per_hour
from tests.providers.aws_wire import AwsWire, refusal
from tests.providers.sm_world import SmWorld

GET = "pricing:GetProducts"
QUOTAS = "servicequotas:ListServiceQuotas"
DENIED = refusal("AccessDeniedException", "not authorized")


def product(usage: str, usd: str = "0.99", unit: str = "Hrs", **attributes: str) -> str:
    told = {"usagetype": usage, "regionCode": "us-east-1", **attributes}
    price = {"unit": unit, "pricePerUnit": {"USD": usd}}
    terms = {"OnDemand": {"a.b": {"priceDimensions": {"a.b.c": price}}}}
    return json.dumps({"product": {"attributes": told}, "terms": terms})


def prices(*instances: str, disk: str = "") -> AwsWire:
    """A price list of some products for hosting, and of the disk."""

    def answer(params: dict[str, Any]) -> dict[str, Any]:
        fields = {item["Field"]: item["Value"] for item in params["Filters"]}
        disks = [disk] if disk else []
        return {"PriceList": disks if "volumeType" in fields else list(instances)}

    return AwsWire().on(GET, answer).on(QUOTAS, {"Quotas": []})


def offers(wire: AwsWire) -> dict[str, HardwareOffer]:
    found = make_sagemaker(wire.account(), wire.hooks()).hardware()
    return {item.hardware.instance_type: item for item in found}


class TestPriceList:
    def test_hosting_is_read_by_its_usage_type(self) -> None:
        wire = prices(
            product("USE1-Host:ml.inf2.xlarge", "0.9900000000"),
            product("USE1-AsyncInf:ml.inf2.xlarge", "9"),
            product("USE1-Train:ml.inf2.xlarge", "9"),
            product("Host:ml.g5.xlarge", "1.408"),
            product("USE1-Host:ml.g5.2xlarge", "1", regionCode="eu-west-1"),
        )
        found = offers(wire)
        assert set(found) == {"ml.inf2.xlarge", "ml.g5.xlarge", "ebs-gp2"}
        assert found["ml.inf2.xlarge"].nano_per_hour == 990_000_000
        assert found["ml.g5.xlarge"].nano_per_hour == 1_408_000_000
        assert found["ml.inf2.xlarge"].source == ""

    def test_an_offer_tells_the_machine(self) -> None:
        inf2 = offers(prices(product("USE1-Host:ml.inf2.48xlarge", "15.58")))["ml.inf2.48xlarge"]
        assert inf2.hardware.key == "sagemaker/us-east-1/ml.inf2.48xlarge/x1"
        assert (inf2.accelerators, inf2.memory_gb, inf2.accelerator_memory_gb) == (12, "768", "384")
        assert (inf2.hardware.accelerator, inf2.architecture) == ("neuron", "inf2")

    def test_what_is_asked(self) -> None:
        wire = prices(product("USE1-Host:ml.inf2.xlarge"))
        offers(wire)
        asked = [
            {item["Field"]: item["Value"] for item in params["Filters"]}
            for params in wire.params(GET)
        ]
        assert asked == [
            {"regionCode": "us-east-1", "component": "Hosting"},
            {"regionCode": "us-east-1", "volumeType": "General Purpose-Hosting"},
        ]

    def test_disk_is_by_the_month(self) -> None:
        disk = product("USE1-Host:VolumeUsage.gp2", "0.14", "GB-Mo")
        found = offers(prices(product("USE1-Host:ml.inf2.xlarge"), disk=disk))["ebs-gp2"]
        assert found.hardware.key == "sagemaker/us-east-1/ebs-gp2/gb"
        assert (found.nano_per_hour, found.component) == (191_781, "disk")

    def test_a_month_is_730_hours_and_rounding_is_half_to_even(self) -> None:
        assert per_hour(Decimal("0.73")) == 1_000_000
        assert per_hour(Decimal("0.14")) == round(Decimal(140_000_000) / 730)
        assert per_hour(None) is None

    @pytest.mark.parametrize("usd", ["", "free", "NaN", "-1", "1e9"])
    def test_what_is_no_price_is_none(self, usd: str) -> None:
        found = offers(prices(product("USE1-Host:ml.inf2.xlarge", usd)))
        assert found["ml.inf2.xlarge"].nano_per_hour is None

    def test_another_unit_is_no_price(self) -> None:
        found = offers(prices(product("USE1-Host:ml.inf2.xlarge", "1", "Days")))
        assert found["ml.inf2.xlarge"].nano_per_hour is None

    def test_two_prices_are_no_price(self) -> None:
        rows = [product("USE1-Host:ml.inf2.xlarge", usd) for usd in ("1", "2")]
        assert offers(prices(*rows))["ml.inf2.xlarge"].nano_per_hour is None
        same = [product("USE1-Host:ml.inf2.xlarge", "1.0") for _ in range(2)]
        assert offers(prices(*same))["ml.inf2.xlarge"].nano_per_hour == 1_000_000_000


class TestCopy:
    @pytest.mark.parametrize(
        "answer",
        [DENIED, httpx2.ConnectError("no"), {"PriceList": []}, {"PriceList": ["not json"]}],
    )
    def test_it_stands_in_and_says_its_date(self, answer: Any) -> None:
        found = offers(AwsWire().on(GET, answer).on(QUOTAS, DENIED))
        inf2 = found["ml.inf2.48xlarge"]
        assert inf2.nano_per_hour == 15_580_000_000
        assert "2026-09-27" in inf2.source
        assert found["ebs-gp2"].nano_per_hour is None
        assert found["ml.trn2.48xlarge"].nano_per_hour is None
        assert "unpriced" in found["ml.trn2.48xlarge"].source

    def test_it_is_of_one_region_only(self) -> None:
        world = SmWorld()
        driver = world.make(region="eu-west-1")
        with world.denied("pricing:GetProducts"):
            found = driver.hardware()
        assert {offer.nano_per_hour for offer in found} == {None}
        assert {offer.hardware.region for offer in found} == {"eu-west-1"}


class TestQuotas:
    def test_they_are_merged_in(self) -> None:
        quotas = [
            {"QuotaName": "ml.inf2.xlarge for endpoint usage", "Value": 4.0},
            {"QuotaName": "ml.inf2.xlarge for training job usage", "Value": 9.0},
            {"QuotaName": "Number of instances across active endpoints", "Value": 9.0},
        ]
        wire = prices(product("USE1-Host:ml.inf2.xlarge")).on(QUOTAS, {"Quotas": quotas})
        found = offers(wire)["ml.inf2.xlarge"]
        assert (found.quota_max, found.quota_used, found.quota_each) == (4, None, 1)

    @pytest.mark.parametrize("answer", [DENIED, httpx2.ReadTimeout("slow")])
    def test_without_them_prices_are_still_told(self, answer: Any) -> None:
        wire = prices(product("USE1-Host:ml.inf2.xlarge")).on(QUOTAS, answer)
        found = offers(wire)["ml.inf2.xlarge"]
        assert (found.quota_max, found.nano_per_hour) == (None, 990_000_000)


class TestOnTheCloud:
    def test_the_list_of_a_region(self) -> None:
        world = SmWorld()
        found = {item.hardware.instance_type: item for item in world.driver.hardware()}
        assert found["ml.inf2.48xlarge"].nano_per_hour == 15_580_000_000
        assert found["ml.inf2.48xlarge"].quota_max == 1000
        assert found["ebs-gp2"].nano_per_hour == 191_781

    def test_what_runs_is_priced(self) -> None:
        world = SmWorld()
        world.add("chat", volume_gb=100)
        found = {item.hardware.key: item.nano_per_hour for item in world.driver.hardware()}
        snapshot = world.seen()
        assert found[snapshot.hardware.key]
        (disk,) = snapshot.extras
        assert found[disk.hardware_key]
