"""What an update costs is told before it: until then, afterwards, and while both fleets run."""

from __future__ import annotations

from typing import Any

from orchestrator.store.tables import Offer
from tests.api.site import L4, Site
from tests.support import rows

A100 = "aws/us-east-1/nvidia-a100/x1"


def offers(site: Site) -> None:
    for key, nano in ((L4, 800_000_000), (A100, 2_500_000_000)):
        site.seed(
            Offer(
                account_id="acc_lab",
                hardware_key=key,
                status="available",
                nano_per_hour=nano,
                read_at=rows.NOON,
            )
        )


def change(site: Site, **body: Any) -> dict[str, Any]:
    answer = site.ask("PATCH", "/v1/endpoints/ep_search?dry_run=true", json=body)
    assert answer.status_code == 200, answer.text
    would: dict[str, Any] = answer.json()["would"]
    return would


def hardware(kind: str) -> dict[str, str]:
    parts = ("vendor", "region", "instance_type", "instance_size", "accelerator")
    return dict(zip(parts, ("aws", "us-east-1", kind, "x1", "gpu"), strict=True))


def test_new_hardware_costs_both_fleets_for_the_usual_time(lab: Site) -> None:
    offers(lab)
    would = change(lab, hardware=hardware("nvidia-a100"))
    assert would["price_per_hour_before"]["amount"] == "0.800000000"
    assert would["price_per_hour"]["amount"] == "2.500000000"
    assert would["price_per_hour_rollout"]["amount"] == "3.300000000"
    assert would["rollout_seconds"] == 600
    assert would["rollout_cost"]["amount"] == "0.416666667"


def test_a_new_image_on_the_same_hardware_runs_twice_too(lab: Site) -> None:
    offers(lab)
    would = change(lab, environment={"ROUND": "2"})
    assert would["price_per_hour_rollout"]["amount"] == "1.600000000"


def test_other_bounds_alone_roll_nothing_out(lab: Site) -> None:
    offers(lab)
    would = change(lab, scaling={"min_replicas": 1, "max_replicas": 3})
    assert would["price_per_hour_rollout"] is None
    assert would["rollout_cost"] is None


def test_an_unknown_price_is_told_as_unknown(lab: Site) -> None:
    would = change(lab, hardware=hardware("nvidia-a100"))
    assert would["price_per_hour_rollout"] is None
