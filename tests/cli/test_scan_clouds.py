"""A scan over several kinds of clouds and regions, on the simulated ones."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli.errors import ExitCode
from orchestrator.sandbox.aws.cloud import AwsCloud
from orchestrator.sandbox.faults import error
from orchestrator.sandbox.payloads import endpoint_payload
from orchestrator.sandbox.server import SandboxServer
from orchestrator.sandbox.world import World
from tests.cli.conftest import Cli, Result, SteppingClock

START = datetime(2026, 9, 20, 12, tzinfo=UTC)
ACCOUNT, KEY, TOKEN = "123456789012", "AKIAEXAMPLESCAN", "sandbox-scanner"
REGIONS = ("eu-west-1", "us-east-1", "us-west-2")
DAY = timedelta(days=1)


class Clouds:
    """The simulated clouds behind one address, and scans of them with the usual credentials."""

    def __init__(self, cli: Cli, world: World, url: str) -> None:
        self.cli = cli
        self.world = world
        self.url = url

    @property
    def aws(self) -> AwsCloud:
        return self.world.aws

    def add(self, name: str, region: str = "us-east-1", **values: Any) -> None:
        self.aws.add_endpoint(ACCOUNT, region, name, **{"created_at": START - 10 * DAY, **values})

    def scan(self, *more: str) -> Result:
        urls = (f"huggingface.api_url={self.url}/v2", f"huggingface.hub_url={self.url}")
        options = [word for url in urls for word in ("--option", url)]
        return self.cli("scan", *options, *more, clock=SteppingClock(start=START))

    def aws_scan(self, *more: str) -> Result:
        return self.scan("--provider", "sagemaker", *more)

    def items(self, *more: str) -> dict[str, dict[str, Any]]:
        return {item["name"]: item for item in self.aws_scan("-o", "json", *more).json["items"]}

    def operations(self) -> list[str]:
        return [call.path.rsplit("/", 1)[-1] for call in self.world.calls]


@pytest.fixture(autouse=True)
def _no_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the machine's own reaches a scan."""
    for name in ("HF_TOKEN", "AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    monkeypatch.setattr("orchestrator.providers.credentials.get_token", lambda: None)


@pytest.fixture
def world() -> World:
    world = World(start=START, seed=3)
    world.add_namespace("acme", kind="org")
    world.add_user("dana", token=TOKEN, orgs=("acme",))
    world.aws.add_account(ACCOUNT, name="acme", access_keys={KEY: ""}, regions=REGIONS)
    return world


@pytest.fixture
def clouds(cli: Cli, world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clouds]:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-the-sandbox")
    with SandboxServer(world, lambda: START) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        yield Clouds(cli, world, server.url)


def dollars(price: dict[str, str] | None) -> Decimal:
    assert price is not None
    return Decimal(price["amount"])


class TestPlaces:
    def test_every_cloud_with_usual_credentials_is_read_in_all_its_places(
        self, clouds: Clouds
    ) -> None:
        payload = endpoint_payload("shared", hardware="aws-us-east-1-nvidia-l4-x1", min_replica=1)
        clouds.world.add_endpoint("acme", payload, state="running", created_at=START - DAY)
        clouds.add("chat")
        clouds.add("chat", "eu-west-1")
        result = clouds.scan()
        assert result.code == ExitCode.OK
        for name in ("acme/shared", f"{ACCOUNT}/us-east-1/chat", f"{ACCOUNT}/eu-west-1/chat"):
            assert name in result.out
        assert "Hugging Face" in result.out
        assert "Amazon SageMaker" in result.out
        assert clouds.world.calls.mutating() == []

    def test_regions_without_endpoints_take_one_line_and_two_calls_each(
        self, clouds: Clouds
    ) -> None:
        clouds.add("chat")
        result = clouds.aws_scan()
        assert "no endpoints in 2 of 3 regions" in result.err
        assert "eu-west-1" not in result.out + result.err
        there = [call.path for call in clouds.world.calls if "/eu-west-1/" in call.path]
        assert sorted(path.rsplit("/", 1)[-1] for path in there) == [
            "GetCallerIdentity",
            "ListEndpoints",
        ]

    def test_only_the_asked_regions_are_read(self, clouds: Clouds) -> None:
        clouds.add("chat")
        clouds.add("other", "us-west-2")
        assert set(clouds.items("--region", "us-west-2")) == {"other"}
        assert not [call for call in clouds.world.calls if "/eu-west-1/" in call.path]

    def test_a_region_leaves_clouds_without_regions_out(self, clouds: Clouds) -> None:
        clouds.add("chat")
        answer = clouds.scan("--region", "us-east-1", "-o", "json").json
        assert {place["provider"] for place in answer["places"]} == {"sagemaker"}
        alone = clouds.scan("--provider", "huggingface", "--region", "us-east-1")
        assert alone.code == ExitCode.USAGE

    def test_a_namespace_goes_to_the_cloud_that_has_it(self, clouds: Clouds) -> None:
        clouds.add("chat")
        answer = clouds.scan("--namespace", "dana", "-o", "json").json
        assert [(p["provider"], p["namespace"]) for p in answer["places"]] == [
            ("huggingface", "dana")
        ]
        answer = clouds.scan("--namespace", ACCOUNT, "-o", "json").json
        assert {place["region"] for place in answer["places"]} == set(REGIONS)

    def test_the_calls_are_counted(self, clouds: Clouds) -> None:
        clouds.add("chat")
        answer = clouds.aws_scan("-o", "json").json
        assert answer["calls"] == len(clouds.operations())


class TestMoney:
    def test_the_disk_is_part_of_what_it_costs(self, clouds: Clouds) -> None:
        clouds.add("small", volume_gb=10)
        clouds.add("large", volume_gb=500)
        items = clouds.items()
        small, large = items["small"], items["large"]
        assert small["compute_per_hour"] == large["compute_per_hour"]
        gigabyte = (dollars(large["price_per_hour"]) - dollars(small["price_per_hour"])) / 490
        assert gigabyte > 0
        assert dollars(small["price_per_hour"]) == dollars(small["compute_per_hour"]) + 10 * (
            gigabyte
        )
        assert dollars(small["burn_per_hour"]) == dollars(small["price_per_hour"])

    def test_prices_of_a_copy_are_told_with_their_date(self, clouds: Clouds) -> None:
        clouds.add("chat", volume_gb=10)
        clouds.aws.deny(ACCOUNT, "pricing:GetProducts")
        result = clouds.aws_scan()
        assert result.code == ExitCode.OK
        assert "prices of 1 are not of now" in result.err
        assert "as of 2026-" in result.err
        item = clouds.items()["chat"]
        assert dollars(item["price_per_hour"]) > 0
        assert any("as of" in source for source in item["price_sources"])
        assert "price of disk" in item["unknown"]
        assert "disk unpriced for 1" in result.err

    def test_what_the_copy_is_not_of_is_unpriced_and_not_zero(self, clouds: Clouds) -> None:
        clouds.add("chat", "eu-west-1")
        clouds.aws.deny(ACCOUNT, "pricing:GetProducts")
        result = clouds.aws_scan()
        (line,) = [text for text in result.out.splitlines() if "eu-west-1/chat" in text]
        assert "unpriced" in line
        assert "$" not in line
        assert clouds.items()["chat"]["burn_per_hour"] is None


class TestUse:
    def test_silence_is_not_taken_for_being_forgotten(self, clouds: Clouds) -> None:
        clouds.add("chat")
        result = clouds.aws_scan()
        assert "1 endpoints, 0 look forgotten" in result.out
        assert "unknown for 1" in result.out
        assert "--usage counts the requests of the last 24 h, for $0.0000" in result.err
        assert "GetMetricData" not in clouds.operations()

    def test_counted_silence_is_and_the_cost_of_counting_is_told(self, clouds: Clouds) -> None:
        clouds.add("chat")
        result = clouds.aws_scan("--usage")
        (line,) = [text for text in result.out.splitlines() if "/chat" in text]
        assert "none in 1 d" in line
        assert "<= $" in line
        assert "1 look forgotten" in result.out
        assert "counting requests at Amazon SageMaker cost $0.0000" in result.err

    def test_missing_counts_stay_unknown(self, clouds: Clouds) -> None:
        clouds.add("chat")
        clouds.aws.deny(ACCOUNT, "cloudwatch:GetMetricData")
        item = clouds.items("--usage")["chat"]
        assert item["forgotten"] is False
        assert "last use" in item["unknown"]
        assert item["idle"] is None


class TestHandling:
    def test_how_it_stops_and_what_is_only_observed_is_told(self, clouds: Clouds) -> None:
        clouds.add("classic")
        clouds.aws.add_component_endpoint(ACCOUNT, "us-east-1", "shared", created_at=START - DAY)
        clouds.add("queue", config={"AsyncInferenceConfig": ASYNC})
        items = clouds.items()
        assert {name: item["stop"] for name, item in items.items()} == {
            "classic": "recreate",
            "shared": "pause",
            "queue": "none",
        }
        result = clouds.aws_scan()
        (line,) = [text for text in result.out.splitlines() if "/classic" in text]
        assert "deletion" in line
        assert "1 stop only by being deleted" in result.err
        assert f"1 can only be observed: {items['queue']['observe_only']}" in result.err
        assert f"({ACCOUNT}/us-east-1/queue)" in result.err


ASYNC = {"OutputConfig": {"S3OutputPath": "s3://bucket/out"}}


class TestFailures:
    def test_a_region_that_cannot_be_read_hides_no_other(self, clouds: Clouds) -> None:
        clouds.add("chat")
        clouds.world.faults.add(error(500), path="/eu-west-1/sagemaker/ListEndpoints$")
        result = clouds.aws_scan("--option", "max_attempts=1")
        assert result.code == ExitCode.PARTIAL
        assert "us-east-1/chat" in result.out
        assert f"warning: {ACCOUNT}/eu-west-1 could not be read" in result.err
        assert "1 of 3 places" in result.err

    def test_an_endpoint_that_cannot_be_read_is_counted(self, clouds: Clouds) -> None:
        clouds.add("chat")
        clouds.world.faults.add(error(500), path="/sagemaker/DescribeEndpoint$", nth=2)
        result = clouds.aws_scan("--option", "max_attempts=1", "--region", "us-east-1")
        assert result.code == ExitCode.PARTIAL
        assert "1 endpoints could not be read" in result.err

    def test_a_cloud_that_refuses_hides_no_other(
        self, clouds: Clouds, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clouds.add("chat")
        monkeypatch.setenv("HF_TOKEN", "sandbox-unknown")
        result = clouds.scan()
        assert result.code == ExitCode.PARTIAL
        assert "us-east-1/chat" in result.out
        assert "warning: Hugging Face could not be read" in result.err

    def test_a_cloud_without_credentials_is_left_out_and_that_is_told(
        self, clouds: Clouds, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clouds.add("chat")
        monkeypatch.delenv("HF_TOKEN")
        result = clouds.scan()
        assert result.code == ExitCode.OK
        assert "note: not looked at: Hugging Face" in result.err
        asked = clouds.scan("--provider", "huggingface", "--provider", "sagemaker")
        assert asked.code == ExitCode.PARTIAL
        assert "warning: Hugging Face" in asked.err

    def test_without_any_credentials_one_line_has_the_remedy_of_each_cloud(self, cli: Cli) -> None:
        result = cli("scan")
        assert result.code == ExitCode.AUTH
        (line,) = result.err.splitlines()
        for part in ("no credentials", "hf auth login", "No AWS credentials", "aws-profile:NAME"):
            assert part in line

    def test_credentials_are_tried_only_where_they_belong(
        self, clouds: Clouds, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MY_KEYS", f"{KEY}:secret-of-the-sandbox")
        result = clouds.scan("--credential", "env:MY_KEYS")
        assert result.code == ExitCode.USAGE
        assert "--provider" in result.err
        assert list(clouds.world.calls) == []
        named = clouds.aws_scan("--credential", "env:MY_KEYS")
        assert named.code == ExitCode.OK
        own = clouds.scan("--credential", "aws-default", "-o", "json").json
        assert {place["provider"] for place in own["places"]} == {"sagemaker"}

    @pytest.mark.parametrize(
        "words",
        [
            ("--provider", "azure"),
            ("--option", "endpoint_url=http://localhost"),
            ("--provider", "sagemaker", "--namespace", "acme"),
            ("--provider", "sagemaker", "--option", "colour=blue"),
        ],
    )
    def test_wrong_usage_is_told(self, clouds: Clouds, words: tuple[str, ...]) -> None:
        assert clouds.scan(*words).code == ExitCode.USAGE
