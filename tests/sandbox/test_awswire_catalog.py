"""Price list, quotas and regions, read by boto3."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.aws_clients import ACCOUNT, REGION, WireScene, refused

SERVICE = "AmazonSageMaker"


@pytest.fixture
def scene() -> WireScene:
    return WireScene()


def _filter(kind: str = "TERM_MATCH", /, **fields: str) -> list[dict[str, str]]:
    return [{"Type": kind, "Field": key, "Value": value} for key, value in fields.items()]


def _products(scene: WireScene, filters: list[dict[str, str]], **options: Any) -> list[Any]:
    pages = scene.client("pricing").get_paginator("get_products")
    found = pages.paginate(ServiceCode=SERVICE, Filters=filters, **options)
    return [json.loads(text) for page in found for text in page["PriceList"]]


def _price(product: dict[str, Any]) -> tuple[str, Decimal]:
    (term,) = product["terms"]["OnDemand"].values()
    (dimension,) = term["priceDimensions"].values()
    return dimension["unit"], Decimal(dimension["pricePerUnit"]["USD"])


class TestProducts:
    def test_for_hosting_are_one_by_type_and_region(self, scene: WireScene) -> None:
        wanted = _filter(regionCode=REGION, component="Hosting", instanceName="ml.inf2.xlarge")
        (found,) = _products(scene, wanted)
        assert _price(found) == ("Hrs", Decimal("0.99"))
        attributes = found["product"]["attributes"]
        assert attributes["usagetype"] == "USE1-Host:ml.inf2.xlarge"
        assert found["serviceCode"] == attributes["servicecode"] == SERVICE

    def test_are_sold_for_other_ends_at_other_prices(self, scene: WireScene) -> None:
        found = _products(scene, _filter(regionCode=REGION, instanceName="ml.inf2.xlarge"))
        prices = {one["product"]["attributes"]["component"]: _price(one)[1] for one in found}
        assert prices.keys() == {"Hosting", "AsyncInf", "Training", "Processing"}
        assert len(set(prices.values())) == 4

    def test_for_the_disk_are_by_gigabyte_and_month(self, scene: WireScene) -> None:
        wanted = _filter(regionCode=REGION, volumeType="General Purpose-Hosting")
        (found,) = _products(scene, wanted)
        assert _price(found) == ("GB-Mo", Decimal("0.14"))
        assert found["product"]["attributes"]["usagetype"] == "USE1-Host:VolumeUsage.gp2"

    def test_cost_more_elsewhere(self, scene: WireScene) -> None:
        there = _filter(regionCode="eu-west-1", component="Hosting", instanceName="ml.g6.xlarge")
        assert Decimal("1.12") < _price(_products(scene, there)[0])[1] < Decimal("1.3")

    def test_follow_a_change_of_the_price(self, scene: WireScene) -> None:
        wanted = _filter(regionCode=REGION, component="Hosting", instanceName="ml.g5.xlarge")
        at = scene.world.now + timedelta(hours=1)
        scene.aws.set_price(REGION, "ml.g5.xlarge", Decimal("1.2"), at=at)
        assert _price(_products(scene, wanted)[0])[1] == Decimal("1.41")
        scene.pass_time(hours=2)
        (found,) = _products(scene, wanted)
        (term,) = found["terms"]["OnDemand"].values()
        assert (_price(found)[1], term["effectiveDate"]) == (Decimal("1.2"), "2026-03-02T01:00:00Z")

    def test_without_a_known_price_are_not_listed(self, scene: WireScene) -> None:
        assert _products(scene, _filter(instanceName="ml.trn2.48xlarge")) == []

    def test_come_a_hundred_a_page(self, scene: WireScene) -> None:
        first = scene.client("pricing").get_products(ServiceCode=SERVICE)
        everything = _products(scene, [])
        assert len(first["PriceList"]) == 100
        assert len(everything) > 500
        skus = {one["product"]["sku"] for one in everything}
        assert len(skus) == len(everything)
        assert len(_products(scene, [], PaginationConfig={"PageSize": 7})) == len(everything)

    @pytest.mark.parametrize(
        ("kind", "value", "count"),
        [
            ("EQUALS", "ml.inf2.xlarge", 4),
            ("CONTAINS", "ml.inf2.", 16),
            ("ANY_OF", "ml.inf2.xlarge, ml.inf2.8xlarge", 8),
        ],
    )
    def test_are_filtered_in_several_ways(
        self, scene: WireScene, kind: str, value: str, count: int
    ) -> None:
        wanted = _filter(kind, instanceName=value) + _filter(regionCode=REGION)
        assert len(_products(scene, wanted)) == count

    def test_are_filtered_by_what_they_are_not(self, scene: WireScene) -> None:
        wanted = _filter("NONE_OF", component="Training, AsyncInf, Processing")
        found = _products(scene, wanted + _filter(productFamily="ML Instance"))
        assert {one["product"]["attributes"]["component"] for one in found} == {"Hosting"}

    def test_of_other_services_are_not_there(self, scene: WireScene) -> None:
        with pytest.raises(ClientError) as error:
            scene.client("pricing").get_products(ServiceCode="AmazonEC2")
        assert refused(error.value)[0] == "NotFoundException"

    def test_need_a_token_that_was_given(self, scene: WireScene) -> None:
        with pytest.raises(ClientError) as error:
            scene.client("pricing").get_products(ServiceCode=SERVICE, NextToken="what?")
        assert refused(error.value)[0] == "InvalidNextTokenException"


class TestQuotas:
    def test_are_listed_with_those_for_other_ends(self, scene: WireScene) -> None:
        scene.aws.set_quota(ACCOUNT, REGION, "ml.inf2.48xlarge", 2)
        pages = scene.client("service-quotas").get_paginator("list_service_quotas")
        rows = [row for page in pages.paginate(ServiceCode="sagemaker") for row in page["Quotas"]]
        values = {row["QuotaName"]: row["Value"] for row in rows}
        assert values["ml.inf2.48xlarge for endpoint usage"] == 2
        assert values["ml.inf2.xlarge for endpoint usage"] == 100
        assert values["ml.inf2.48xlarge for training job usage"] == 0
        assert values["Maximum number of instances per endpoint"] == 4
        assert len({row["QuotaCode"] for row in rows}) == len(rows)

    def test_differ_by_region(self, scene: WireScene) -> None:
        scene.aws.set_quota(ACCOUNT, REGION, "ml.g5.xlarge", 3)
        assert [_quota(scene, region, "ml.g5.xlarge") for region in (REGION, "eu-west-1")] == [
            3,
            100,
        ]

    def test_are_read_one_by_one(self, scene: WireScene) -> None:
        client = scene.client("service-quotas")
        row = client.list_service_quotas(ServiceCode="sagemaker")["Quotas"][5]
        code = row["QuotaCode"]
        found = client.get_service_quota(ServiceCode="sagemaker", QuotaCode=code)
        assert found["Quota"] == row
        only = client.list_service_quotas(ServiceCode="sagemaker", QuotaCode=code)
        assert only["Quotas"] == [row]

    def test_that_nobody_has_are_refused(self, scene: WireScene) -> None:
        client = scene.client("service-quotas")
        with pytest.raises(client.exceptions.NoSuchResourceException):
            client.get_service_quota(ServiceCode="sagemaker", QuotaCode="L-00000000")
        with pytest.raises(client.exceptions.NoSuchResourceException):
            client.list_service_quotas(ServiceCode="ec2")


def _quota(scene: WireScene, region: str, instance_type: str) -> float:
    pages = scene.client("service-quotas", region=region).get_paginator("list_service_quotas")
    name = f"{instance_type} for endpoint usage"
    rows = (row for page in pages.paginate(ServiceCode="sagemaker") for row in page["Quotas"])
    return next(float(row["Value"]) for row in rows if row["QuotaName"] == name)


class TestRegions:
    def test_tell_which_are_switched_on(self, scene: WireScene) -> None:
        open_ones = ("us-east-1", "me-south-1")
        scene.aws.add_account(
            "210987654321", access_keys={"AKIAEXAMPLEOTHER": ""}, regions=open_ones
        )
        account = scene.client("account", key="AKIAEXAMPLEOTHER")
        rows = account.get_paginator("list_regions").paginate().build_full_result()["Regions"]
        states = {row["RegionName"]: row["RegionOptStatus"] for row in rows}
        assert states["us-east-1"] == "ENABLED_BY_DEFAULT"
        assert states["me-south-1"] == "ENABLED"
        assert states["eu-west-1"] == "DISABLED"

    def test_are_filtered_by_status(self, scene: WireScene) -> None:
        account = scene.client("account")
        found = account.list_regions(RegionOptStatusContains=["DISABLED"])
        assert found["Regions"] == []
