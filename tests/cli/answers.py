"""Canned answers of the API, and how to look at a table."""

from __future__ import annotations

from typing import Any

EP = "acme/search-api"
SCHEDULE: dict[str, Any] = {
    "id": "sch_1",
    "name": "office",
    "timezone": "Europe/Berlin",
    "windows": [{"days": ["mon", "fri"], "start": "08:00", "end": "19:00", "keep_running": True}],
    "drain_minutes": 30,
    "selector": {"labels": {"team": "search"}},
    "shadow": False,
    "enabled": True,
    "endpoints": [
        {"id": "ep_1", "name": "search-api", "acts": True, "acts_from": "2026-03-03T07:00:00Z"},
        {"id": "ep_2", "name": "legacy", "acts": False, "acts_from": None},
    ],
    "findings": [{"code": "x", "message": "the window of Sunday changes nothing"}],
}
POLICY: dict[str, Any] = {
    "id": "pol_1",
    "name": "idle-30",
    "kind": "idle",
    "timeout_minutes": 30,
    "min_awake_minutes": 10,
    "action": "scale_to_zero",
    "selector": {"account": "acme"},
    "shadow": True,
    "enabled": True,
    "endpoints": [],
}
ACCOUNT: dict[str, Any] = {
    "id": "acc_1",
    "name": "acme",
    "provider": "huggingface",
    "namespace": "acme-corp",
    "credential_ref": "env:HF_TOKEN",
    "options": {},
    "frozen": None,
    "health": "ok",
    "health_detail": "",
    "observed_at": "2026-03-02T11:59:00Z",
    "endpoint_count": 3,
}
HOLD: dict[str, Any] = {
    "id": "hld_1",
    "endpoint": {"id": "ep_1", "name": "search-api"},
    "wish": "running",
    "until": "2026-03-02T16:00:00Z",
    "actor": "dana",
    "reason": "demo",
    "cost": {"amount": "3.200000000", "currency": "USD"},
}
FROZEN: dict[str, Any] = {
    "everywhere": None,
    "accounts": [
        {
            "account": {"id": "acc_1", "name": "acme"},
            "at": "2026-03-02T11:00:00Z",
            "by": "dana",
            "reason": "fire",
        }
    ],
}
OFFER: dict[str, Any] = {
    "key": "aws/us-east-1/nvidia-l4/x1",
    "accelerator": "gpu",
    "accelerators": 1,
    "status": "available",
    "price_per_hour": {"amount": "0.800000000", "currency": "USD"},
    "quota": {"max": 16, "used": 1},
}


def line_with(text: str, part: str) -> str:
    (found,) = [line for line in text.splitlines() if part in line]
    return found
