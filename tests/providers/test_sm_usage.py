"""Counting requests by CloudWatch: no data is not zero, and the newest minutes come late."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import httpx2
import pytest

from orchestrator.domain.endpoints import Usage
from orchestrator.providers.base import CredentialsError, UnavailableError
from orchestrator.providers.sagemaker.factory import make_sagemaker
from orchestrator.providers.sagemaker.provider import SageMakerProvider
from orchestrator.sandbox.aws.switches import AwsSwitches
from orchestrator.sandbox.traffic import Traffic
from tests.providers.aws_wire import NOW, AwsWire, invalid, refusal
from tests.providers.sm_world import SmWorld

MINUTE = timedelta(minutes=1)
START = NOW - timedelta(minutes=10)
GET = "monitoring:GetMetricData"
Series = Mapping[datetime, float]


class Metrics(AwsWire):
    """Endpoints of one variant each, whose metrics are set by name."""

    def __init__(self, **series: Series) -> None:
        super().__init__()
        self.series = series
        self.status = "Complete"
        self.on("DescribeEndpoint", self._endpoint)
        variant = {"VariantName": "Only", "ModelName": "m", "InstanceType": "ml.g5.xlarge"}
        self.on("DescribeEndpointConfig", {"ProductionVariants": [variant]})
        self.on("DescribeModel", {"ModelName": "m"})
        self.on(GET, self._metrics)

    def _endpoint(self, params: dict[str, Any]) -> Any:
        name = params["EndpointName"]
        if name == "gone":
            return invalid('Could not find endpoint "gone".')
        variants = [{"VariantName": "Only"}]
        return {"EndpointName": name, "EndpointConfigName": "c", "ProductionVariants": variants}

    def _metrics(self, params: dict[str, Any]) -> dict[str, Any]:
        return {"MetricDataResults": [self._result(item) for item in params["MetricDataQueries"]]}

    def _result(self, query: dict[str, Any]) -> dict[str, Any]:
        points = self.series.get(query["MetricStat"]["Metric"]["MetricName"], {})
        return {
            "Id": query["Id"],
            "StatusCode": self.status,
            "Timestamps": [at.timestamp() for at in points],
            "Values": list(points.values()),
        }

    def driver(self) -> SageMakerProvider:
        return make_sagemaker(self.account(), self.hooks())

    def usage(self, start: datetime = START, end: datetime = NOW) -> Usage:
        found = self.driver().usage(["chat"], start, end)["chat"]
        assert found is not None
        return found


def minutes(*values: float | None) -> dict[datetime, float]:
    """One value for each minute from START on, None for no data point."""
    return {START + i * MINUTE: value for i, value in enumerate(values) if value is not None}


FLOWING = minutes(*[1] * 10)


class TestProof:
    def test_no_data_at_all_covers_nothing(self) -> None:
        found = Metrics().usage()
        assert (found.requests, found.covered_seconds, found.last_request_at) == (0, 0, None)

    def test_metrics_that_flow_make_silence_a_zero(self) -> None:
        found = Metrics(CPUUtilization=FLOWING).usage()
        assert (found.start, found.end) == (START, NOW - 2 * MINUTE)
        assert (found.requests, found.covered_seconds) == (0, 8 * 60)

    def test_a_minute_without_proof_is_not_covered(self) -> None:
        found = Metrics(CPUUtilization=minutes(1, 1, None, 1, 0, 1, 1, 1)).usage()
        assert found.covered_seconds == 6 * 60

    def test_requests_prove_their_own_minute(self) -> None:
        found = Metrics(Invocations=minutes(None, 3)).usage()
        assert (found.requests, found.covered_seconds) == (3, 60)
        assert found.last_request_at == START + 2 * MINUTE

    def test_requests_of_the_newest_minutes_tell_of_use(self) -> None:
        metrics = Metrics(CPUUtilization=FLOWING, Invocations=minutes(*[None] * 9, 2))
        found = metrics.usage()
        assert found.last_request_at == START + 10 * MINUTE
        assert (found.requests, found.covered_seconds) == (0, 8 * 60)

    def test_a_span_is_narrowed_to_whole_minutes(self) -> None:
        found = Metrics(CPUUtilization=FLOWING).usage(
            START + timedelta(seconds=20), NOW - timedelta(minutes=5, seconds=20)
        )
        assert (found.start, found.end) == (START + MINUTE, START + 4 * MINUTE)
        assert found.covered_seconds == 3 * 60

    @pytest.mark.parametrize("status", ["InternalError", "Forbidden"])
    def test_a_metric_that_failed_covers_nothing(self, status: str) -> None:
        metrics = Metrics(CPUUtilization=FLOWING)
        metrics.status = status
        assert metrics.usage().covered_seconds == 0

    def test_requests_in_flight_are_those_of_the_newest_minute(self) -> None:
        recent = {START + 8 * MINUTE: 2.0}
        assert Metrics(ConcurrentRequestsPerModel=recent).usage().in_flight == 2
        assert Metrics(ConcurrentRequestsPerModel=minutes(3)).usage().in_flight is None


class TestQueries:
    def test_metrics_are_asked_with_their_variant(self) -> None:
        wire = Metrics()
        wire.usage()
        (params,) = wire.params(GET)
        asked = [item["MetricStat"] for item in params["MetricDataQueries"]]
        assert {item["Metric"]["MetricName"]: item["Stat"] for item in asked} == {
            "Invocations": "Sum",
            "CPUUtilization": "SampleCount",
            "ConcurrentRequestsPerModel": "Maximum",
        }
        for item in asked:
            names = {dim["Name"]: dim["Value"] for dim in item["Metric"]["Dimensions"]}
            assert names == {"EndpointName": "chat", "VariantName": "Only"}
            assert item["Period"] == 60

    def test_a_full_batch_is_one_call(self) -> None:
        wire = Metrics(CPUUtilization=FLOWING)
        driver = wire.driver()
        names = [f"e{number}" for number in range(driver.capabilities.usage_batch)]
        found = driver.usage(names, START, NOW)
        assert set(found) == set(names)
        assert wire.asked[GET] == 1
        (params,) = wire.params(GET)
        assert len(params["MetricDataQueries"]) <= 500
        assert driver.capabilities.usage_nano_per_reading == 3 * 10_000

    def test_variants_are_known_after_the_first_look(self) -> None:
        wire = Metrics()
        driver = wire.driver()
        for _ in range(3):
            driver.usage(["chat"], START, NOW)
        assert wire.asked["sagemaker:DescribeEndpoint"] == 1
        assert wire.asked[GET] == 3

    def test_a_metric_may_go_on_upon_the_next_page(self) -> None:
        wire = Metrics()

        def answer(params: dict[str, Any]) -> dict[str, Any]:
            minute = START if "NextToken" not in params else START + MINUTE
            result = {"StatusCode": "PartialData", "Timestamps": [minute.timestamp()]}
            (query,) = (
                item["Id"]
                for item in params["MetricDataQueries"]
                if item["MetricStat"]["Metric"]["MetricName"] == "Invocations"
            )
            page = {"MetricDataResults": [{**result, "Id": query, "Values": [2.0]}]}
            return page if "NextToken" in params else {**page, "NextToken": "1"}

        wire.on(GET, answer)
        assert wire.usage().requests == 4


class TestRefusals:
    def test_without_the_right_nothing_is_told(self) -> None:
        wire = Metrics().on(GET, refusal("AccessDeniedException", "not authorized"))
        assert wire.driver().usage(["chat"], START, NOW) == {"chat": None}

    def test_an_endpoint_that_is_gone_is_left_out(self) -> None:
        assert set(Metrics().driver().usage(["chat", "gone"], START, NOW)) == {"chat"}

    @pytest.mark.parametrize("answer", [httpx2.ReadTimeout("slow"), {}])
    def test_an_outage_is_no_zero(self, answer: Any) -> None:
        with pytest.raises(UnavailableError):
            Metrics().on(GET, answer).driver().usage(["chat"], START, NOW)

    def test_bad_keys_are_an_error(self) -> None:
        with pytest.raises(CredentialsError):
            Metrics().on(GET, refusal("ExpiredToken")).driver().usage(["chat"], START, NOW)


class TestOnTheCloud:
    def test_traffic_is_seen_and_silence_too(self) -> None:
        world = SmWorld()
        world.add("busy", traffic=Traffic.steady(60))
        world.add("idle")
        world.wait()
        found = world.driver.usage(
            ["busy", "idle"], world.now() - timedelta(minutes=30), world.now()
        )
        busy, idle = found["busy"], found["idle"]
        assert busy is not None
        assert idle is not None
        assert busy.requests > 0
        assert (idle.requests, idle.last_request_at) == (0, None)
        assert idle.covered_seconds == busy.covered_seconds == 28 * 60

    def test_a_component_is_counted_by_its_own_name(self) -> None:
        world = SmWorld()
        world.add_component("lab", traffic=Traffic.steady(60))
        world.wait(minutes=30)
        found = world.driver.usage(["lab"], world.now() - timedelta(minutes=20), world.now())["lab"]
        assert found is not None
        assert found.requests > 0
        assert found.covered_seconds == 18 * 60

    def test_late_data_do_not_count_as_idle(self) -> None:
        world = SmWorld(AwsSwitches(metrics_delay_s=600))
        world.add("busy", traffic=Traffic.steady(60))
        world.wait()
        found = world.driver.usage(["busy"], world.now() - timedelta(minutes=9), world.now())[
            "busy"
        ]
        assert found is not None
        assert found.covered_seconds == 0
