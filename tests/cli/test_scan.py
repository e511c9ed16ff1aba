from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli.errors import ExitCode
from orchestrator.sandbox.faults import error
from orchestrator.sandbox.fleet import OWNER_TOKEN, VIEWER_TOKEN, demo_world
from orchestrator.sandbox.payloads import endpoint_payload
from orchestrator.sandbox.server import SandboxServer
from orchestrator.sandbox.world import World
from tests.cli.conftest import Cli, Result, SteppingClock

START = datetime(2026, 3, 20, 12, tzinfo=UTC)
L4 = "aws-us-east-1-nvidia-l4-x1"
TOKEN = "sandbox-scanner"


class Cloud:
    """A simulated cloud behind HTTP, and a scan of it."""

    def __init__(self, cli: Cli, world: World, url: str) -> None:
        self.cli = cli
        self.world = world
        self.url = url

    def scan(self, *more: str) -> Result:
        urls = ("--option", f"api_url={self.url}/v2", "--option", f"hub_url={self.url}")
        which = ("--provider", "huggingface", *urls)
        return self.cli("scan", *which, *more, clock=SteppingClock(start=START))

    def items(self, *more: str) -> dict[str, dict[str, Any]]:
        found = self.scan("-o", "json", *more).json["items"]
        return {f"{item['namespace']}/{item['name']}": item for item in found}


@pytest.fixture
def world() -> World:
    world = World(start=START, seed=3)
    world.add_namespace("acme", kind="org")
    world.add_user("dana", token=TOKEN, orgs=("acme",))
    return world


@pytest.fixture
def cloud(cli: Cli, world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with SandboxServer(world, lambda: START) as server:
        yield Cloud(cli, world, server.url)


def add(world: World, name: str, namespace: str = "acme", **kwargs: Any) -> None:
    payload = endpoint_payload(name, hardware=L4, min_replica=kwargs.pop("min_replica", 1))
    kwargs = {"state": "running", "created_at": START - timedelta(days=40), **kwargs}
    world.add_endpoint(namespace, payload, **kwargs)


def dollars(price: dict[str, str] | None) -> Decimal:
    assert price is not None
    return Decimal(price["amount"])


class TestOneLook:
    def test_it_reads_every_namespace_of_the_token_and_changes_nothing(
        self, cloud: Cloud, world: World
    ) -> None:
        add(world, "shared")
        add(world, "mine", namespace="dana")
        assert set(cloud.items()) == {"acme/shared", "dana/mine"}
        assert world.calls.mutating() == []
        assert {call.method for call in world.calls} == {"GET"}

    def test_the_demo_fleet_is_left_as_it_was(
        self, cli: Cli, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world = demo_world(START)
        monkeypatch.setenv("HF_TOKEN", OWNER_TOKEN)
        with SandboxServer(world, lambda: START) as server:
            result = Cloud(cli, world, server.url).scan()
        assert result.code == ExitCode.OK
        assert world.calls.mutating() == []
        assert "look forgotten" in result.out

    def test_a_read_only_token_is_enough(self, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
        world = demo_world(START)
        monkeypatch.setenv("HF_TOKEN", VIEWER_TOKEN)
        with SandboxServer(world, lambda: START) as server:
            result = Cloud(cli, world, server.url).scan()
        assert result.code == ExitCode.OK

    def test_neither_state_nor_settings_are_needed_or_made(
        self, cloud: Cloud, state_dir: Path
    ) -> None:
        assert cloud.scan().code == ExitCode.OK
        assert not state_dir.exists()

    def test_only_the_asked_namespaces_are_read(self, cloud: Cloud, world: World) -> None:
        add(world, "shared")
        add(world, "mine", namespace="dana")
        assert set(cloud.items("--namespace", "dana")) == {"dana/mine"}


class TestMoney:
    def test_price_most_and_saving_follow_from_rate_age_and_last_use(
        self, cloud: Cloud, world: World
    ) -> None:
        add(world, "idle", used_at=START - timedelta(hours=10, minutes=15))
        item = cloud.items()["acme/idle"]
        rate = dollars(item["price_per_hour"])
        assert rate > 0
        assert dollars(item["burn_per_hour"]) == rate
        assert dollars(item["most_this_month"]) == rate * Decimal(24 * 19 + 12)
        saved = dollars(item["idle"]["auto_pause_saves_at_most"])
        assert abs(saved - 10 * rate) <= rate / 3600

    def test_what_is_asleep_costs_nothing_now_and_may_have_cost_this_month(
        self, cloud: Cloud, world: World
    ) -> None:
        add(world, "slept", state="paused", used_at=START - timedelta(days=30))
        item = cloud.items()["acme/slept"]
        assert dollars(item["burn_per_hour"]) == 0
        assert dollars(item["most_this_month"]) > 0
        assert item["idle"] is None
        assert item["forgotten"] is False

    def test_totals_are_the_sums_of_the_rows(self, cloud: Cloud, world: World) -> None:
        for number in range(3):
            add(world, f"e{number}", used_at=START - timedelta(days=number))
        answer = cloud.scan("-o", "json").json
        for total, read in (
            ("burn_per_hour", lambda item: dollars(item["burn_per_hour"])),
            ("most_this_month", lambda item: dollars(item["most_this_month"])),
        ):
            assert dollars(answer["totals"][total]) == sum(map(read, answer["items"]))
        saved = [
            dollars(i["idle"]["auto_pause_saves_at_most"]) for i in answer["items"] if i["idle"]
        ]
        assert dollars(answer["totals"]["auto_pause_saves_at_most"]) == sum(saved)

    def test_upper_bounds_are_called_so(self, cloud: Cloud, world: World) -> None:
        add(world, "idle", used_at=START - timedelta(days=3))
        result = cloud.scan()
        assert "month, most" in result.out
        assert "<= $" in result.out
        assert "upper bound" in result.err

    def test_an_endpoint_without_a_last_use_is_told_and_nothing_is_claimed(
        self, cloud: Cloud, world: World
    ) -> None:
        add(world, "silent")
        result = cloud.scan()
        (line,) = [text for text in result.out.splitlines() if "acme/silent" in text]
        assert "not told" in line
        assert "unknown" in line
        assert "last use is not told for 1" in result.err
        assert cloud.items()["acme/silent"]["idle"] is None

    def test_without_a_price_list_everything_is_unpriced_and_not_zero(
        self, cloud: Cloud, world: World
    ) -> None:
        add(world, "idle", used_at=START - timedelta(days=3))
        world.faults.add(error(500), path="/provider")
        result = cloud.scan()
        (line,) = [text for text in result.out.splitlines() if "acme/idle" in text]
        assert line.count("unpriced") == 2
        assert "$" not in line
        assert "warning: acme has no prices" in result.err
        item = cloud.items()["acme/idle"]
        assert (item["price_per_hour"], item["burn_per_hour"], item["idle"]) == (None, None, None)

    def test_an_incomplete_listing_is_shown_as_such(self, cloud: Cloud, world: World) -> None:
        for number in range(130):
            add(world, f"e{number}")
        world.faults.add(error(500), path="/endpoint/acme", after=None, nth=2)
        world.faults.add(error(500), path="/endpoint/acme", nth=3)
        world.faults.add(error(500), path="/endpoint/acme", nth=4)
        result = cloud.scan("--namespace", "acme")
        assert result.code == ExitCode.PARTIAL
        assert "acme is incomplete" in result.err


class TestOrder:
    def test_forgotten_ones_come_first_and_the_dearest_of_them_before_all(
        self, cloud: Cloud, world: World
    ) -> None:
        add(world, "a-busy", used_at=START - timedelta(minutes=1))
        add(world, "b-asleep", state="paused", used_at=START - timedelta(days=9))
        add(world, "c-forgotten", used_at=START - timedelta(days=2))
        add(world, "d-forgotten-long", used_at=START - timedelta(days=12))
        assert list(cloud.items()) == [
            "acme/d-forgotten-long",
            "acme/c-forgotten",
            "acme/a-busy",
            "acme/b-asleep",
        ]

    def test_quiet_prints_names_alone(self, cloud: Cloud, world: World) -> None:
        add(world, "a")
        result = cloud.scan("-q")
        assert (result.out, result.err) == ("acme/a\n", "")


class TestFailures:
    def test_a_namespace_that_may_not_be_read_is_told_and_the_others_are_shown(
        self, cloud: Cloud, world: World
    ) -> None:
        add(world, "mine", namespace="dana")
        result = cloud.scan("--namespace", "dana", "--namespace", "strangers")
        assert result.code == ExitCode.PARTIAL
        assert "dana/mine" in result.out
        assert "warning: strangers could not be read" in result.err

    def test_with_json_a_failed_namespace_is_in_the_answer(
        self, cloud: Cloud, world: World
    ) -> None:
        add(world, "mine", namespace="dana")
        answer = cloud.scan("--namespace", "dana", "--namespace", "strangers", "-o", "json").json
        good, bad = answer["places"]
        assert (good["complete"], good["problem"]) == (True, None)
        assert bad["complete"] is False
        assert bad["problem"]

    def test_when_nothing_could_be_read_the_exit_code_says_why(self, cloud: Cloud) -> None:
        result = cloud.scan("--namespace", "strangers")
        assert result.code == ExitCode.AUTH
        assert "nothing could be read" in result.err

    def test_a_wrong_token_ends_with_5_and_is_not_shown(
        self, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        wrong = "hf_" + "Wrong" * 7
        monkeypatch.setenv("HF_TOKEN", wrong)
        result = cloud.scan()
        assert result.code == ExitCode.AUTH
        assert wrong not in result.out + result.err

    def test_without_any_token_all_places_are_named(
        self, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("HF_TOKEN")
        result = cloud.scan()
        assert result.code == ExitCode.AUTH
        assert "HF_TOKEN" in result.err
        assert "hf auth login" in result.err

    def test_another_reference_is_used_alone(
        self, cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("HF_TOKEN")
        (tmp_path / "token").write_text(TOKEN)
        assert cloud.scan("--token-ref", f"file:{tmp_path}/token").code == ExitCode.OK
        assert cloud.scan("--token-ref", f"file:{tmp_path}/none").code == ExitCode.AUTH

    def test_a_pasted_token_in_place_of_a_reference_is_not_repeated(self, cloud: Cloud) -> None:
        pasted = "hf_" + "Pasted" * 6
        result = cloud.scan("--token-ref", pasted)
        assert result.code == ExitCode.AUTH
        assert pasted not in result.err

    def test_an_address_to_which_a_token_must_not_go_is_wrong_usage(
        self, cli: Cli, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        url = "hub_url=http://example.org"
        result = cli("scan", "--provider", "huggingface", "--option", url)
        assert result.code == ExitCode.USAGE
        assert "https" in result.err

    def test_no_answer_at_all_ends_with_6(self, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        urls = ("api_url=http://127.0.0.1:1/v2", "hub_url=http://127.0.0.1:1")
        options = [word for url in urls for word in ("--option", url)]
        code = cli("scan", "--provider", "huggingface", *options).code
        assert code == ExitCode.UNREACHABLE

    def test_the_token_is_in_no_output(self, cloud: Cloud, world: World) -> None:
        add(world, "a")
        for form in ("table", "json"):
            result = cloud.scan("-o", form)
            assert TOKEN not in result.out + result.err
