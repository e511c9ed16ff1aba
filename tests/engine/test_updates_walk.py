"""Each kind of update on both clouds: its price told, asked for, carried out, metered, refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from orchestrator.costs.observe import UPDATE
from orchestrator.costs.report import cost_report
from orchestrator.store.database import Database
from orchestrator.store.tables import Offer
from tests.support.aws_stage import AwsStage
from tests.support.stage import Stage
from tests.support.update_house import (
    SCALING,
    VARIANT,
    House,
    Json,
    aws_hardware,
    aws_house,
    bounds,
    hub_hardware,
    hub_house,
    in_aws,
    in_the_hub,
)

L4, A100, XLARGE, LARGE = "nvidia-l4", "nvidia-a100", "ml.inf2.xlarge", "ml.inf2.8xlarge"
URI = (
    "763104351884.dkr.ecr.us-east-1.amazonaws.com/huggingface-pytorch-tgi-inference:"
    "2.7.0-optimum3.3.6-neuronx-py310"
)
IMAGE = {"custom": {"url": "registry.example.org/acme/serve:2", "port": 8000}}


@pytest.fixture
def hub(sqlite_database: Database) -> Iterator[House]:
    made = hub_house(sqlite_database)
    yield made
    made.stage.context.providers.close()


@pytest.fixture
def aws(sqlite_database: Database) -> Iterator[House]:
    made = aws_house(sqlite_database)
    yield made
    made.stage.context.providers.close()


@dataclass(frozen=True)
class Walk:
    """An update, what the cloud has by it, and its prices; `both` of a rollout, else None."""

    kind: str
    body: Json
    seen: Json
    now: str
    least: str
    most: str
    both: str | None


REFERENCE: Json = {"environment": {"MODE": "env:WALK_MODE"}}
HUB = [
    Walk("image", {"image": IMAGE}, {"image": IMAGE}, "0.80", "0.80", "0.80", "1.60"),
    Walk("value", {"environment": {"MODE": "b"}}, {"mode": "b"}, "0.80", "0.80", "0.80", "1.60"),
    Walk("reference", REFERENCE, {"mode": "from-afar"}, "0.80", "0.80", "0.80", "1.60"),
    Walk(
        "hardware",
        {"hardware": hub_hardware(A100)},
        {"hardware": A100},
        *("0.80", "2.50", "2.50", "3.30"),
    ),
    Walk("replicas", {"scaling": bounds(2, 2)}, {"bounds": (2, 2)}, "2.50", "5.00", "5.00", None),
    Walk("bounds", {"scaling": bounds(1, 3)}, {"bounds": (1, 3)}, "5.00", "2.50", "7.50", None),
]
AWS = [
    Walk(
        "image",
        {"image": {"uri": URI}},
        {"image": URI},
        "0.99958905",
        "0.99958905",
        "0.99958905",
        "1.9991781",
    ),
    Walk(
        "value",
        {"environment": {"MODE": "b"}},
        {"mode": "b"},
        "0.99958905",
        "0.99958905",
        "0.99958905",
        "1.9991781",
    ),
    Walk(
        "reference",
        REFERENCE,
        {"mode": "from-afar"},
        "0.99958905",
        "0.99958905",
        "0.99958905",
        "1.9991781",
    ),
    Walk(
        "hardware",
        {"hardware": aws_hardware(LARGE)},
        {"hardware": LARGE},
        *("0.99958905", "2.36958905", "2.36958905", "3.3691781"),
    ),
    Walk(
        "replicas",
        {"scaling": bounds(2, 2)},
        {"bounds": (2, 2)},
        "2.36958905",
        "4.7391781",
        "4.7391781",
        None,
    ),
    Walk(
        "bounds",
        {"scaling": bounds(1, 3)},
        {"bounds": (1, 3)},
        "4.7391781",
        "2.36958905",
        "7.10876715",
        None,
    ),
]


def test_each_kind_of_update_of_the_hub(hub: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WALK_MODE", "from-afar")
    for given in HUB:
        walk(hub, given, in_the_hub)
    check_told(hub, len(HUB))


def test_each_kind_of_update_of_aws(aws: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WALK_MODE", "from-afar")
    for given in AWS:
        walk(aws, given, in_aws)
    check_told(aws, len(AWS))


def walk(made: House, given: Walk, cloud: Callable[[Stage], Json]) -> None:
    """Rehearse an update, ask for it, look while it rolls out, and see what came of it."""
    stage, before = made.stage, cloud(made.stage)
    past = (stage.changes(), len(stage.operations()))
    told = made.rehearse(**given.body)
    check_prices(told, given)
    assert (cloud(stage), (stage.changes(), len(stage.operations()))) == (before, past)
    serving = made.open_lines()["compute"]

    asked = made.ask("PATCH", made.path, 202, given.body)
    assert asked["price_per_hour_rollout"] == told["price_per_hour_rollout"]
    stage.engine.nudge()
    stage.run(seconds=70)
    check_rollout(made.open_lines(), serving, given)

    stage.run(minutes=6)
    ended = made.operation(asked)
    states = [step["state"] for step in ended["steps"] if step["name"] == "update"]
    whole = ["begun", "posted", "accepted", "succeeded"]
    assert (ended["status"], states) == ("succeeded", whole), given
    assert cloud(stage) == before | given.seen
    stage.step()
    check_bill(stage)


def check_prices(told: Json, given: Walk) -> None:
    def amount(name: str) -> Decimal | None:
        return None if told[name] is None else Decimal(told[name]["amount"])

    both = None if given.both is None else Decimal(given.both)
    assert amount("price_per_hour_before") == Decimal(given.now), given
    assert amount("price_per_hour") == Decimal(given.least), given
    assert amount("price_per_hour_most") == Decimal(given.most), given
    assert amount("price_per_hour_rollout") == both, given
    if both is not None:
        more = (both - Decimal(given.now)) * told["rollout_seconds"] / 3600
        assert amount("rollout_cost") == more.quantize(Decimal("1E-9"))


def check_rollout(
    lines: dict[str, tuple[str, int, int]], serving: tuple[str, int, int], given: Walk
) -> None:
    """While it rolls out, what serves is metered as before, and a new fleet beside it."""
    key, least, most = lines.get(UPDATE, ("", 0, 0))
    if given.both is None:
        assert most == 0, given
        return
    assert lines["compute"] == serving, given
    assert (least, most) == (0, 1), given
    wanted = given.seen.get("hardware")
    assert wanted in key if wanted else key == serving[0]


def check_told(made: House, count: int) -> None:
    """Each has its two events, and no row of the store has the value behind the reference."""
    stage = made.stage
    for kind in ("operation.requested", "operation.succeeded"):
        assert len(stage.events(kind)) == count
    stored = [row.request for row in stage.operations()] + [stage.endpoint("web").kept]
    assert "from-afar" not in str(stored + [row.message for row in stage.events()])


def check_bill(stage: Stage) -> None:
    now = stage.clock.now()
    with stage.database.read() as session:
        total = cost_report(session, start=stage.started, end=now, now=now).total
    rows = stage.aws_bill() if isinstance(stage, AwsStage) else stage.bill()
    billed = sum(row.nano_usd for row in rows)
    assert total.low - 2 <= billed <= total.high + 2, (total, billed)


REFUSED_BY_HUB: list[tuple[Json, str]] = [
    ({"hardware": hub_hardware("nvidia-l5")}, "hardware"),
    ({"hardware": hub_hardware(L4, "eu-west-1")}, "hardware"),
    ({"scaling": bounds(3, 2)}, "scaling.min_replicas"),
    ({"image": {"custom": {}, "huggingface": {}}}, "image"),
    ({"environment": {"MODE": "b"}, "options": {"volume_gb": 9}}, "options"),
]
REFUSED_BY_AWS: list[tuple[Json, str]] = [
    ({"hardware": aws_hardware("ml.inf2.9xlarge")}, "hardware"),
    ({"hardware": aws_hardware(LARGE, "eu-west-1")}, "hardware"),
    ({"hardware": aws_hardware("ml.g5.xlarge")}, "hardware"),
    ({"scaling": bounds(0, 2)}, "scaling.min_replicas"),
    ({"image": {"uri": ""}}, "image"),
]


def check_refused(made: House, body: Json, field: str) -> None:
    """It is told beforehand and at the request alike, with a remedy; nothing is changed."""
    for query in ("?dry_run=true", ""):
        problem = made.ask("PATCH", f"{made.path}{query}", 422, body)
        assert problem["field"].startswith(field), problem
        assert problem["remedy"], problem
    assert (made.stage.changes(), made.stage.operations()) == ([], [])


def test_what_the_hub_cannot_have(hub: House) -> None:
    for body, field in REFUSED_BY_HUB:
        check_refused(hub, body, field)
    body = {"environment": {"MODE": "b"}}
    hub.ask("PATCH", hub.path, 202, body)
    busy = hub.ask("PATCH", hub.path, 409, {"scaling": bounds(1, 2)})
    assert busy["code"] == "operation_in_progress"


def test_what_aws_cannot_have(aws: House) -> None:
    for body, field in REFUSED_BY_AWS:
        check_refused(aws, body, field)
    aws.ask("POST", f"{aws.path}/release", 200)
    refused = aws.ask("PATCH", aws.path, 409, {"environment": {"MODE": "b"}})
    assert refused["code"] == "not_managed"
    assert "/adopt" in refused["remedy"]


def test_a_paused_one_of_the_hub_is_changed_asleep_at_no_cost(hub: House) -> None:
    hub.ask("POST", f"{hub.path}/pause", 202)
    hub.stage.run(minutes=5)
    told = hub.rehearse(hardware=hub_hardware(A100))
    assert Decimal(told["price_per_hour_before"]["amount"]) == 0
    assert told["price_per_hour_rollout"] is None
    assert hub.update(hardware=hub_hardware(A100))["status"] == "succeeded"
    assert (hub.stage.state("web"), in_the_hub(hub.stage)["hardware"]) == ("paused", A100)
    assert UPDATE not in hub.open_lines()


def test_one_that_was_deleted_to_pause_it_has_to_be_resumed_first(aws: House) -> None:
    assert isinstance(aws.stage, AwsStage)
    aws.stage.allow("web")
    aws.ask("POST", f"{aws.path}/pause", 202)
    aws.stage.run(minutes=15)
    refused = aws.ask("PATCH", aws.path, 409, {"environment": {"MODE": "b"}})
    assert refused["code"] == "paused_by_deletion"
    assert "/resume" in refused["remedy"]


def test_a_quota_too_small_for_both_fleets_is_told_beforehand(aws: House) -> None:
    def told(**body: Any) -> bool:
        return any("quota" in text for text in aws.rehearse(**body)["warnings"])

    row = aws.stage.endpoint("web")
    for left, expected in ((1, False), (0, True)):
        with aws.stage.database.write() as session:
            offer = session.get_one(Offer, (row.account_id, row.hardware_key))
            offer.quota_max, offer.quota_used, offer.quota_each = 1 + left, 1, 1
            session.add(offer)
        assert told(environment={"MODE": "b"}) is expected
        assert told(scaling=bounds(1, 2)) is expected
        assert not told(scaling=bounds(1, 1))


def test_a_new_type_under_autoscaling_is_refused_beforehand_and_the_remedy_works(
    aws: House,
) -> None:
    aws.update(scaling=bounds(1, 3))
    count = len(aws.stage.operations())
    for query in ("?dry_run=true", ""):
        body = {"hardware": aws_hardware(LARGE)}
        problem = aws.ask("PATCH", f"{aws.path}{query}", 422, body)
        assert problem["field"] == "hardware.instance_type"
        assert "set max_replicas to min_replicas first" in problem["remedy"]
    assert len(aws.stage.operations()) == count
    changes: list[Json] = [
        {"scaling": bounds(1, 1)},
        {"hardware": aws_hardware(LARGE)},
        {"scaling": bounds(1, 3)},
    ]
    assert [aws.update(**body)["status"] for body in changes] == ["succeeded"] * 3
    found = in_aws(aws.stage)
    assert (found["hardware"], found["bounds"]) == (LARGE, (1, 3))
    # Naming the type that it has already is no move.
    again = aws.update(image={"uri": URI}, hardware=aws_hardware(LARGE))
    found = in_aws(aws.stage)
    assert (again["status"], found["image"], found["bounds"]) == ("succeeded", URI, (1, 3))


def test_a_target_of_others_with_equal_bounds_is_found_before_anything_is_made(
    aws: House,
) -> None:
    assert isinstance(aws.stage, AwsStage)
    aws.stage.call("RegisterScalableTarget", SCALING, **VARIANT, MinCapacity=1, MaxCapacity=1)
    aws.stage.call(
        "PutScheduledAction",
        SCALING,
        **VARIANT,
        ScheduledActionName="morning",
        Schedule="cron(0 7 ? * MON-FRI *)",
        ScalableTargetAction={"MinCapacity": 1, "MaxCapacity": 1},
    )
    aws.stage.world.calls.clear()
    ended = aws.update(hardware=aws_hardware(LARGE))
    assert ended["status"] == "failed"
    assert "deregister that scalable target at AWS first" in ended["outcome"]
    assert [call.path for call in aws.stage.world.calls.mutating(committed=True)] == []
