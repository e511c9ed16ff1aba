"""Rows with sensible values, for tests that fill a store by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from orchestrator.store.tables import Account, Endpoint, MeterInterval, Operation

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def account(name: str = "lab", **values: Any) -> Account:
    """Return an account, with id `acc_<name>`."""
    given = {"provider": "huggingface", "namespace": name, "credential_ref": "env:HF_TOKEN"}
    return Account(**{"id": f"acc_{name}", "name": name, "created_at": NOON, **given, **values})


def endpoint(name: str = "search", **values: Any) -> Endpoint:
    """Return a running endpoint of the account `lab`, with id `ep_<name>`."""
    given = {
        "account_id": "acc_lab",
        "status": "running",
        "status_since": NOON,
        "first_seen_at": NOON,
        "confirmed_at": NOON,
    }
    return Endpoint(**{"id": f"ep_{name}", "name": name, **given, **values})


def operation(number: int = 1, **values: Any) -> Operation:
    """Return a pending pause of the endpoint `search`, with id `op_<number>`."""
    given = {
        "account_id": "acc_lab",
        "endpoint_id": "ep_search",
        "endpoint_name": "search",
        "kind": "pause",
        "status": "pending",
        "actor": "ada",
        "reason": "asked for",
        "created_at": NOON,
    }
    return Operation(**{"id": f"op_{number}", **given, **values})


def interval(**values: Any) -> MeterInterval:
    """Return an open meter interval of one replica of the endpoint `search`."""
    given = {
        "account_id": "acc_lab",
        "endpoint_id": "ep_search",
        "started_at": NOON,
        "status": "running",
        "evidence": "observed",
        "hardware_key": "aws/us-east-1/nvidia-a10g/x1",
        "replicas_low": 1,
        "replicas": 1,
        "replicas_high": 1,
    }
    return MeterInterval(**{**given, **values})
