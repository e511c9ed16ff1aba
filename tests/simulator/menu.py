"""What may be drawn for a history: switches, faults, bodies of requests."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from typing import Any, get_args

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from orchestrator.sandbox import faults
from orchestrator.sandbox.aws.switches import AwsSwitches
from orchestrator.sandbox.faults import Fault
from orchestrator.sandbox.switches import Switches
from tests.simulator.deaths import POINTS
from tests.simulator.places import AWS_ACCOUNT, HUGGINGFACE, REGION, SAGEMAKER, Cloud

# Every value of a switch that bears on money, or on what our changes do.
SWITCHES: Mapping[str, tuple[object, ...]] = {
    "initializing_billed": (True, False),
    "pending_billed": (False, True),
    "failed_billed": (False, True),
    "draining_billed": (False, True),
    "update_doubles_billing": (False, True),
    "minute_rounding": ("exact", "up"),
    "resume_resets_scaling": (False, True),
    "pause_keeps_target_replica": (True, False),
    "pause_paused": ("ok", "refuse"),
    "resume_from_failed": (False, True),
    "update_from_failed": (True, False),
    "scaling_change_rolls": (False, True),
    "scale_to_zero_with_min": ("refuse", "accept", "lower_min"),
}
AWS_SWITCHES: Mapping[str, tuple[object, ...]] = {
    "creating_billed": ("instances", "free", "wanted"),
    "failed_billed": (False, True),
    "deleting_billed": (False, True),
    "updating_bills_both": (True, False),
    "failed_update": ("InService", "Failed", "UpdateRollbackFailed"),
    "rollback_reason": ("kept", "dropped"),
    "config_lag_s": (0.0, 20.0),
}
KINDS: tuple[str, ...] = get_args(faults.Kind)
EVERYWHERE = (
    faults.timeout_before(),
    faults.timeout_after(),
    faults.drop_before(),
    faults.drop_after(),
    faults.truncate(),
    faults.error(500),
    faults.error(503, after_commit=True),
    faults.error(503),
    faults.slow(4),
    faults.stale_read(90),
    faults.partial_listing(1),
    faults.partial_listing(2, lose_cursor=True),
    faults.empty_listing(),
    faults.shifting_pages(),
    faults.shifting_pages(repeat=True),
    faults.unknown_state(),
    faults.repeated_row(),
    faults.page(),
)
ON_HUGGINGFACE = (
    faults.error(429, retry_after=30),
    faults.error(409, "Conflict"),
    faults.missing_field("status.lastUsedAt"),
    faults.missing_field("compute.scaling"),
    faults.missing_field("status.readyReplica"),
    faults.extra_field("status.mood", "sunny"),
    faults.wrong_type("compute.scaling.maxReplica", "many"),
    faults.wrong_type("status.updatedAt", 7),
)
ON_SAGEMAKER = (
    faults.aws_error("ThrottlingException"),
    faults.aws_error("ThrottlingException", after_commit=True),
    faults.missing_field("LastModifiedTime"),
    faults.missing_field("ProductionVariants"),
    faults.extra_field("Mood", "sunny"),
    faults.wrong_type("ProductionVariants", "7"),
)
# On which calls: all, reads, or those that change something.
SCOPES: Mapping[str, tuple[tuple[str | None, str | None], ...]] = {
    "huggingface": (
        (None, "^/v2/"),
        ("GET", "^/v2/"),
        ("POST", "^/v2/"),
        ("PUT", "^/v2/"),
        ("DELETE", "^/v2/"),
    ),
    "sagemaker": (
        (None, "^/aws/"),
        ("POST", "/(List|Describe|Get)"),
        ("POST", "/(Create|Delete|Update)(Endpoint|InferenceComponentRuntimeConfig)$"),
        ("POST", "/(AddTags|RegisterScalableTarget|PutScalingPolicy|Create|Delete)"),
    ),
}


@dataclass(frozen=True)
class Planned:
    """One fault, where it strikes, and how often; `nth` is the one call that it hits, if any."""

    fault: Fault
    method: str | None
    path: str | None
    count: int
    nth: int | None


def planned(provider: str) -> SearchStrategy[Planned]:
    """Return faults that this cloud may have."""
    own = ON_HUGGINGFACE if provider == "huggingface" else ON_SAGEMAKER
    return st.builds(
        lambda fault, scope, count, nth: Planned(fault, scope[0], scope[1], count, nth),
        st.sampled_from(EVERYWHERE + own),
        st.sampled_from(SCOPES[provider]),
        st.integers(1, 4),
        st.sampled_from((None, None, None, 1, 2, 3)),
    )


def switches(values: Mapping[str, tuple[object, ...]]) -> SearchStrategy[dict[str, object]]:
    """Return one value for each switch."""
    return st.fixed_dictionaries({name: st.sampled_from(given) for name, given in values.items()})


@dataclass(frozen=True)
class Beginning:
    """What is drawn for a whole history; it begins with a fault planned, and a death."""

    place: int
    seed: int
    switches: dict[str, object]
    aws: dict[str, object]
    faults: dict[str, Planned]
    point: str
    number: int

    def fault_of(self, provider: str) -> Planned:
        """Return the planned fault of this cloud."""
        return self.faults[provider]


def beginnings() -> SearchStrategy[Beginning]:
    """Return the beginnings of histories."""
    return st.builds(
        Beginning,
        place=st.integers(0, 19),
        seed=st.integers(0, 2**16),
        switches=switches(SWITCHES),
        aws=switches(AWS_SWITCHES),
        faults=st.fixed_dictionaries({name: planned(name) for name in SCOPES}),
        point=st.sampled_from(POINTS),
        number=st.integers(1, 40),
    )


def in_force(drawn: Beginning, clouds: Collection[Cloud]) -> list[str]:
    """Return the values of switches that bear on these clouds, as the counters name them."""
    found = named(drawn.switches) if HUGGINGFACE in clouds else []
    return found + (named(drawn.aws, "aws ") if SAGEMAKER in clouds else [])


def named(values: Mapping[str, object], before: str = "") -> list[str]:
    """Return switches with their values as the counters name them."""
    return [f"{before}{name}={value}" for name, value in values.items()]


def scaling(low: int, high: int) -> dict[str, object]:
    """Return bounds of replicas as a request gives them."""
    timer = 20 if low == 0 else None
    return {"min_replicas": low, "max_replicas": max(low, high, 1), "scale_to_zero_minutes": timer}


HARDWARE = ("nvidia-l4", "nvidia-a10g")
INSTANCES = ("ml.inf2.8xlarge", "ml.inf2.xlarge")
_IMAGE = (
    f"763104351884.dkr.ecr.{REGION}.amazonaws.com/huggingface-pytorch-tgi-inference:"
    "2.7.0-optimum3.3.6-neuronx-py310-ubuntu22.04"
)


def hardware(provider: str, place: int) -> dict[str, object]:
    """Return hardware as a request names it."""
    if provider == "huggingface":
        kind, vendor, accelerator = HARDWARE[place % len(HARDWARE)], "aws", "gpu"
    else:
        kind, vendor, accelerator = INSTANCES[place % len(INSTANCES)], "sagemaker", "neuron"
    return {
        "vendor": vendor,
        "region": REGION,
        "instance_type": kind,
        "instance_size": "x1",
        "accelerator": accelerator,
    }


def update(provider: str, place: int) -> dict[str, object]:
    """Return what a request may ask to have changed that makes new replicas."""
    if place % 3 == 1:
        return {"environment": {"MAX_BATCH_SIZE": str(1 + place % 4)}}
    if place % 3 == 2:
        if provider == "huggingface":
            return {"image": {"huggingface": {}}, "revision": f"r{place}"}
        return {"image": {"uri": _IMAGE.replace("optimum3.3.6", "optimum3.3.4")}}
    return {"hardware": hardware(provider, place // 3)}


def new_endpoint(provider: str, account: str, name: str, place: int) -> dict[str, Any]:
    """Return the body of a request for a new endpoint."""
    body: dict[str, Any] = {
        "account": account,
        "name": name,
        "repository": "org/model-1b",
        "hardware": hardware(provider, 0),
        "scaling": scaling(place % 2 if provider == "huggingface" else 1, 1),
        "labels": {"team": "new"},
        "reason": "simulated",
    }
    if provider == "sagemaker":
        body["image"] = {"uri": _IMAGE}
        body["environment"] = {
            "HF_NUM_CORES": "2",
            "HF_AUTO_CAST_TYPE": "bf16",
            "MAX_BATCH_SIZE": "4",
            "MAX_INPUT_TOKENS": "3686",
            "MAX_TOTAL_TOKENS": "4096",
        }
        role = f"arn:aws:iam::{AWS_ACCOUNT}:role/sagemaker-execution"
        # What a configuration does not say of its disks no look can tell.
        body["options"] = {"execution_role": role, "volume_gb": 30}
    return body


def check_known() -> None:
    """Fail when a switch or a kind of fault is not drawn from here, or does not exist."""
    assert set(SWITCHES) <= {field.name for field in fields(Switches)}
    assert set(AWS_SWITCHES) <= {field.name for field in fields(AwsSwitches)}
    offered = {fault.kind for fault in EVERYWHERE + ON_HUGGINGFACE + ON_SAGEMAKER}
    assert offered == set(KINDS)
