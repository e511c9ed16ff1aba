"""CloudWatch as boto3 sees it: which metrics have datapoints, and which have none."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from orchestrator.sandbox.aws.switches import AwsSwitches
from orchestrator.sandbox.traffic import Traffic, Window
from tests.sandbox.aws_clients import ACCOUNT, REGION, WireScene, refused
from tests.sandbox.scene import START

SAGEMAKER, MACHINES = "AWS/SageMaker", "/aws/sagemaker/Endpoints"
HOUR = 3600


@pytest.fixture
def scene() -> WireScene:
    return WireScene()


def _of(name: str) -> dict[str, str]:
    return {"EndpointName": name, "VariantName": "AllTraffic"}


def _query(
    metric: str,
    dimensions: dict[str, str],
    *,
    namespace: str = SAGEMAKER,
    stat: str = "Sum",
    period: int = HOUR,
    identity: str = "q",
    **options: Any,
) -> dict[str, Any]:
    rows = [{"Name": name, "Value": value} for name, value in dimensions.items()]
    named = {"Namespace": namespace, "MetricName": metric, "Dimensions": rows}
    return {
        "Id": identity,
        "MetricStat": {"Metric": named, "Period": period, "Stat": stat},
        **options,
    }


def _data(scene: WireScene, *queries: dict[str, Any], **options: Any) -> list[dict[str, Any]]:
    span = {"StartTime": START, "EndTime": scene.world.now, "ScanBy": "TimestampAscending"}
    pages = scene.client("cloudwatch").get_paginator("get_metric_data")
    found = pages.paginate(MetricDataQueries=list(queries), **(span | options))
    return [row for page in found for row in page["MetricDataResults"]]


def _points(scene: WireScene, query: dict[str, Any], **options: Any) -> dict[datetime, float]:
    (row,) = _data(scene, query, **options)
    return dict(zip(row["Timestamps"], row["Values"], strict=True))


def _hours(*numbers: int) -> list[datetime]:
    return [START + timedelta(hours=number) for number in numbers]


class TestInvocations:
    def test_are_counted_only_where_there_were_any(self, scene: WireScene) -> None:
        # Blocks are ten minutes long: requests in the first and in the third hour.
        traffic = Traffic([Window(0, 30, 1.0), Window(13, 12, 1.0)])
        scene.add("chat", traffic=traffic)
        scene.pass_time(hours=4)
        assert _points(scene, _query("Invocations", _of("chat"))) == dict(
            zip(_hours(0, 2), [30, 12], strict=True)
        )

    def test_without_traffic_have_no_datapoint_while_machines_do(self, scene: WireScene) -> None:
        scene.add("idle")
        scene.pass_time(hours=2)
        assert _points(scene, _query("Invocations", _of("idle"))) == {}
        cpu = _query("CPUUtilization", _of("idle"), namespace=MACHINES, stat="Average")
        assert list(_points(scene, cpu)) == _hours(0, 1)

    @pytest.mark.parametrize(
        "dimensions",
        [
            {"EndpointName": "chat"},
            {"EndpointName": "CHAT", "VariantName": "AllTraffic"},
            {"EndpointName": "chat", "VariantName": "another"},
            {"VariantName": "AllTraffic"},
            {},
        ],
    )
    def test_need_exactly_their_dimensions(
        self, scene: WireScene, dimensions: dict[str, str]
    ) -> None:
        scene.add("chat", traffic=Traffic.steady(10))
        scene.pass_time(hours=2)
        assert _points(scene, _query("Invocations", dimensions)) == {}

    def test_are_in_their_own_namespace(self, scene: WireScene) -> None:
        scene.add("chat", traffic=Traffic.steady(10))
        scene.pass_time(hours=2)
        assert _points(scene, _query("Invocations", _of("chat"), namespace=MACHINES)) == {}

    def test_of_a_deleted_endpoint_remain(self, scene: WireScene) -> None:
        scene.add("chat", traffic=Traffic.steady(10))
        scene.pass_time(hours=2)
        scene.client("sagemaker").delete_endpoint(EndpointName="chat")
        scene.pass_time(hours=4)
        invocations = _points(scene, _query("Invocations", _of("chat")))
        assert list(invocations) == _hours(0, 1)
        cpu = _query("CPUUtilization", _of("chat"), namespace=MACHINES, stat="Average")
        assert list(_points(scene, cpu)) == _hours(0, 1, 2)

    def test_by_the_minute_add_up_to_those_by_the_hour(self, scene: WireScene) -> None:
        scene.add("chat", traffic=Traffic.steady(10))
        scene.pass_time(hours=3)
        hours, minutes = (
            _points(scene, _query("Invocations", _of("chat"), period=period))
            for period in (HOUR, 60)
        )
        assert sum(hours.values()) == sum(minutes.values()) == 180
        assert len(minutes) > len(hours)

    def test_have_their_statistics(self, scene: WireScene) -> None:
        scene.add("chat", traffic=Traffic.steady(60), count=2)
        scene.pass_time(hours=1)
        wanted = {
            ("Invocations", "Sum"): 360,
            ("Invocations", "SampleCount"): 360,
            ("Invocations", "Average"): 1,
            ("InvocationsPerInstance", "Sum"): 180,
            ("Invocation5XXErrors", "Sum"): 0,
            ("ModelLatency", "Average"): 2_000_000,
            ("ConcurrentRequestsPerModel", "Maximum"): 1,
        }
        found = {
            (name, stat): next(iter(_points(scene, _query(name, _of("chat"), stat=stat)).values()))
            for name, stat in wanted
        }
        assert found == wanted


class TestMachines:
    def test_have_metrics_only_while_they_are_up(self, scene: WireScene) -> None:
        scene.add("chat", state=None, startup_s=400)
        scene.pass_time(hours=1)
        cpu = _query("CPUUtilization", _of("chat"), namespace=MACHINES, stat="Average", period=60)
        assert START not in _points(scene, cpu)
        assert max(_points(scene, cpu)) == START + timedelta(minutes=59)

    def test_with_gpus_have_more_of_them(self, scene: WireScene) -> None:
        scene.add("neuron", instance_type="ml.inf2.xlarge")
        scene.add("gpu", instance_type="ml.g5.xlarge")
        scene.pass_time(hours=1)
        counts = [
            len(_points(scene, _query("GPUUtilization", _of(name), namespace=MACHINES, stat="p90")))
            for name in ("neuron", "gpu")
        ]
        assert counts == [0, 1]

    def test_work_harder_under_load(self, scene: WireScene) -> None:
        scene.add("idle")
        scene.add("busy", traffic=Traffic.steady(300))
        scene.pass_time(hours=1)
        idle, busy = (
            _points(scene, _query("CPUUtilization", _of(name), namespace=MACHINES, stat="Maximum"))
            for name in ("idle", "busy")
        )
        assert max(idle.values()) < 5 < max(busy.values())


class TestComponents:
    def test_have_metrics_by_their_own_name(self, scene: WireScene) -> None:
        traffic = Traffic([Window(0, 30, 1.0)])
        scene.aws.add_component_endpoint(ACCOUNT, REGION, "chat", component="c", traffic=traffic)
        scene.pass_time(minutes=30)
        own = {"InferenceComponentName": "c"}
        span = {"EndTime": START + timedelta(minutes=15)}
        assert list(_points(scene, _query("Invocations", own), **span).values()) == [30]
        assert _points(scene, _query("Invocations", _of("chat")), **span) == {}
        assert _points(scene, _query("NoCapacityInvocationFailures", own), **span) == {}

    def test_at_zero_count_the_requests_that_they_refuse(self, scene: WireScene) -> None:
        scene.aws.add_component_endpoint(
            ACCOUNT, REGION, "chat", component="c", state="zero", most_copies=0
        )
        scene.pass_time(minutes=10)
        runtime = scene.client("sagemaker-runtime")
        for _ in range(3):
            with pytest.raises(ClientError, match="no capacity to process this request"):
                runtime.invoke_endpoint(EndpointName="chat", InferenceComponentName="c", Body=b"{}")
        scene.pass_time(minutes=10)
        own = {"InferenceComponentName": "c"}
        refusals = _points(scene, _query("NoCapacityInvocationFailures", own, period=60))
        assert refusals == {START + timedelta(minutes=9): 3}
        cpu = _query("CPUUtilization", _of("chat"), namespace=MACHINES, stat="Average")
        assert _points(scene, cpu) == {}


class TestTime:
    def test_is_cut_at_whole_periods_of_the_clock(self, scene: WireScene) -> None:
        scene.add("chat", traffic=Traffic.steady(10))
        scene.pass_time(hours=4, minutes=20)
        points = _points(
            scene,
            _query("Invocations", _of("chat")),
            StartTime=START + timedelta(hours=1, minutes=31, seconds=7),
            EndTime=START + timedelta(hours=3, minutes=1),
        )
        assert list(points) == _hours(1, 2, 3)
        assert points[START + timedelta(hours=1)] == 60

    def test_has_the_newest_first_unless_asked_otherwise(self, scene: WireScene) -> None:
        scene.add("chat", traffic=Traffic.steady(10))
        scene.pass_time(hours=3)
        query = _query("Invocations", _of("chat"))
        (row,) = _data(scene, query, ScanBy="TimestampDescending")
        assert row["Timestamps"] == _hours(2, 1, 0)

    def test_comes_late_with_the_switch(self) -> None:
        scene = WireScene(switches=AwsSwitches(metrics_delay_s=300))
        scene.add("chat", traffic=Traffic.steady(600))
        scene.pass_time(hours=1)
        points = _points(scene, _query("Invocations", _of("chat"), period=60))
        assert max(points) == START + timedelta(minutes=54)

    def test_wears_the_finer_datapoints_away(self, scene: WireScene) -> None:
        scene.add("chat", traffic=Traffic.steady(10))
        scene.pass_time(days=20)
        span = {"StartTime": START, "EndTime": START + timedelta(hours=1)}
        counts = [
            len(_points(scene, _query("Invocations", _of("chat"), period=period), **span))
            for period in (60, 300, HOUR)
        ]
        assert counts[0] == 0
        assert counts[1] > counts[2] == 1


class TestLimits:
    def test_of_queries_is_five_hundred(self, scene: WireScene) -> None:
        queries = [_query("Invocations", _of("chat"), identity=f"q{n}") for n in range(501)]
        scene.pass_time(hours=1)
        assert len(_data(scene, *queries[:500])) == 500
        with pytest.raises(ClientError) as error:
            _data(scene, *queries)
        assert refused(error.value) == (
            "ValidationError",
            "The collection MetricDataQueries must not have a size greater than 500.",
            400,
        )

    def test_of_datapoints_makes_pages(self, scene: WireScene) -> None:
        scene.add("chat", traffic=Traffic.steady(10))
        scene.pass_time(hours=5)
        queries = [
            _query("Invocations", _of("chat"), identity="a"),
            _query("Invocations", _of("nothing"), identity="b"),
            _query("ModelLatency", _of("chat"), identity="c", stat="Average"),
        ]
        rows = _data(scene, *queries, MaxDatapoints=4)
        assert [(row["Id"], len(row["Values"]), row["StatusCode"]) for row in rows] == [
            ("a", 4, "PartialData"),
            ("a", 1, "Complete"),
            ("b", 0, "Complete"),
            ("c", 2, "PartialData"),
            ("c", 3, "Complete"),
        ]

    @pytest.mark.parametrize(
        ("change", "complaint"),
        [
            ({"Id": "Upper"}, "parameter Id"),
            ({"MetricStat": None, "Expression": "q1 + q2"}, "only MetricStat is supported"),
        ],
    )
    def test_of_what_a_query_says(
        self, scene: WireScene, change: dict[str, Any], complaint: str
    ) -> None:
        scene.pass_time(hours=1)
        query = {**_query("Invocations", _of("chat")), **change}
        with pytest.raises(ClientError, match=complaint):
            _data(scene, {key: value for key, value in query.items() if value is not None})

    @pytest.mark.parametrize(
        ("options", "complaint"),
        [({"period": 90}, "multiple of 60"), ({"stat": "Median"}, "parameter Stat")],
    )
    def test_of_periods_and_statistics(
        self, scene: WireScene, options: dict[str, Any], complaint: str
    ) -> None:
        scene.pass_time(hours=1)
        with pytest.raises(ClientError, match=complaint):
            _data(scene, _query("Invocations", _of("chat"), **options))

    def test_of_ids_is_that_they_differ(self, scene: WireScene) -> None:
        scene.pass_time(hours=1)
        with pytest.raises(ClientError, match="not unique"):
            _data(scene, *[_query("Invocations", _of("chat"))] * 2)

    def test_of_time_is_its_order(self, scene: WireScene) -> None:
        with pytest.raises(ClientError, match="StartTime must be less than"):
            _data(scene, _query("Invocations", _of("chat")), EndTime=START)


class TestCharges:
    def test_are_by_metric_requested(self, scene: WireScene) -> None:
        scene.pass_time(hours=1)
        _data(scene, *[_query("Invocations", _of(f"e{n}"), identity=f"q{n}") for n in range(7)])
        _data(scene, _query("Invocations", _of("e")))
        assert scene.world.calls.metrics_requested == {ACCOUNT: 8}


class TestNames:
    def test_are_listed_once_there_are_datapoints(self, scene: WireScene) -> None:
        scene.add("idle")
        scene.add("chat", traffic=Traffic.steady(10))
        assert scene.client("cloudwatch").list_metrics()["Metrics"] == []
        scene.pass_time(hours=1)
        found = scene.client("cloudwatch").list_metrics(Namespace=SAGEMAKER)["Metrics"]
        owners = {
            row["Dimensions"][0]["Value"] for row in found if row["MetricName"] == "Invocations"
        }
        assert owners == {"chat"}

    def test_are_filtered_by_parts_of_their_dimensions(self, scene: WireScene) -> None:
        scene.add("idle")
        scene.add("other")
        scene.pass_time(hours=1)
        pages = scene.client("cloudwatch").get_paginator("list_metrics")
        wanted = [{"Name": "EndpointName", "Value": "idle"}, {"Name": "VariantName"}]
        rows = pages.paginate(Dimensions=wanted).build_full_result()["Metrics"]
        assert {row["Dimensions"][0]["Value"] for row in rows} == {"idle"}
        assert {row["Namespace"] for row in rows} == {MACHINES}

    def test_are_forgotten_two_weeks_after_the_last_datapoint(self, scene: WireScene) -> None:
        scene.add("chat")
        scene.pass_time(hours=1)
        scene.client("sagemaker").delete_endpoint(EndpointName="chat")
        cloudwatch = scene.client("cloudwatch")
        counts = []
        for days in (1, 14):
            scene.pass_time(days=days)
            counts.append(len(cloudwatch.list_metrics()["Metrics"]))
            counts.append(len(cloudwatch.list_metrics(RecentlyActive="PT3H")["Metrics"]))
        assert counts[0] > 0
        assert counts[1:] == [0, 0, 0]


class TestStatistics:
    def _ask(self, scene: WireScene, **options: Any) -> list[dict[str, Any]]:
        values: dict[str, Any] = {
            "Namespace": SAGEMAKER,
            "MetricName": "Invocations",
            "Dimensions": [{"Name": name, "Value": value} for name, value in _of("chat").items()],
            "StartTime": START,
            "EndTime": scene.world.now,
            "Period": HOUR,
            "Statistics": ["Sum", "Average"],
        }
        found = scene.client("cloudwatch").get_metric_statistics(**values | options)
        rows: list[dict[str, Any]] = found["Datapoints"]
        return rows

    def test_are_the_older_way_to_the_same_values(self, scene: WireScene) -> None:
        scene.add("chat", traffic=Traffic.steady(10))
        scene.pass_time(hours=2)
        assert self._ask(scene)[0] == {
            "Timestamp": START,
            "Sum": 60.0,
            "Average": 1.0,
            "Unit": "None",
        }
        assert self._ask(scene, Dimensions=[]) == []
        assert self._ask(scene, Unit="Seconds") == []

    def test_have_at_most_1440_datapoints(self, scene: WireScene) -> None:
        scene.pass_time(days=2)
        with pytest.raises(ClientError, match="exceeds the limit of 1,440"):
            self._ask(scene, Period=60)

    def test_have_to_be_asked_for(self, scene: WireScene) -> None:
        scene.pass_time(hours=1)
        values = {"Namespace": SAGEMAKER, "MetricName": "Invocations", "Period": HOUR}
        span = {"StartTime": START, "EndTime": scene.world.now}
        cloudwatch = scene.client("cloudwatch")
        with pytest.raises(ClientError, match="At least one of"):
            cloudwatch.get_metric_statistics(**values, **span)


def test_metrics_are_those_of_one_region(scene: WireScene) -> None:
    scene.add("chat")
    scene.pass_time(hours=1)
    assert scene.client("cloudwatch").list_metrics()["Metrics"]
    assert scene.client("cloudwatch", region="eu-west-1").list_metrics()["Metrics"] == []
    assert scene.aws.endpoint(ACCOUNT, REGION, "chat").status == "InService"
