"""A small fleet in the store, with a ledger of a few weeks, for the tests of pages."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session

from orchestrator.store.ids import new_id
from orchestrator.store.tables import (
    Account,
    Binding,
    Endpoint,
    Hold,
    IdlePolicy,
    Label,
    MeterInterval,
    Operation,
    Rate,
    Schedule,
)

HOUR = timedelta(hours=1)
DOLLAR = 1_000_000_000
L4 = "aws/us-east-1/nvidia-l4/x1"
A100 = "aws/us-east-1/nvidia-a100/x2"
CPU = "aws/us-east-1/intel-spr/x2"
UNPRICED = "aws/us-east-1/inferentia9/x4"
PRICES = {L4: 800_000_000, A100: 8 * DOLLAR, CPU: 134_000_000}
_DOWN = frozenset({"paused", "scaled_to_zero", "failed", "pausing"})


class Seed:
    """Adds rows to one session, all as of one instant."""

    def __init__(self, session: Session, now: datetime) -> None:
        self.session = session
        self.now = now
        self._rates: dict[tuple[str, str], str] = {}

    def account(self, name: str, **changes: Any) -> Account:
        """Add a healthy account that was read 20 seconds ago."""
        seen = self.now - timedelta(seconds=20)
        values = {
            "id": new_id("acc", self.now),
            "name": name,
            "provider": "huggingface",
            "namespace": f"{name}-org",
            "credential_ref": "env:HF_TOKEN",
            "created_at": self.now - timedelta(days=40),
            "confirmed_at": seen,
            "observed_at": seen,
            "health": "ok",
            "health_since": self.now - timedelta(days=3),
        }
        account = Account(**{**values, **changes})
        self._add(account)
        return account

    def endpoint(
        self,
        account: Account,
        name: str,
        status: str = "running",
        *,
        hardware: str = L4,
        team: str = "",
        **changes: Any,
    ) -> Endpoint:
        """Add a managed endpoint with one replica, or none where it is down."""
        up = 0 if status in _DOWN else 1
        values: dict[str, Any] = {
            "id": new_id("ep", self.now),
            "account_id": account.id,
            "name": name,
            "managed": True,
            "managed_since": self.now - timedelta(days=20),
            "status": status,
            "cloud_state": status.replace("_", " "),
            "status_since": self.now - 3 * HOUR,
            "hardware_key": hardware,
            "accelerator": "gpu",
            "repository": f"acme/{name}",
            "task": "text-generation",
            "min_replicas": 0 if status == "scaled_to_zero" else 1,
            "max_replicas": 2,
            "ready_replicas": up,
            "target_replicas": up,
            "billed_low": up,
            "billed_expected": up,
            "billed_high": up,
            "first_seen_at": self.now - timedelta(days=35),
            "confirmed_at": self.now - timedelta(seconds=20),
            "cloud_created_at": self.now - timedelta(days=60),
            "last_used_at": self.now - timedelta(minutes=7),
            "wish": "paused" if status == "paused" else "running",
            "wish_actor": "mia",
            "wish_reason": "adopted as it was",
            "wish_at": self.now - timedelta(days=20),
            "decided_wish": "paused" if status == "paused" else "running",
            "decided_rule": "standing",
            "decided_reason": "mia asked for it: adopted as it was",
            "spec": {"model": {"repository": f"acme/{name}", "env": {"HF_KEY": "[redacted]"}}},
        }
        endpoint = Endpoint(**{**values, **changes})
        self._add(endpoint)
        account.endpoint_count += 1
        if team:
            self._add(Label(endpoint_id=endpoint.id, key="team", value=team))
        return endpoint

    def rate(self, account_id: str, hardware: str) -> str | None:
        """Return the rate of a hardware type, made at first use; None where it has no price."""
        if hardware not in PRICES:
            return None
        key = (account_id, hardware)
        if key not in self._rates:
            at = self.now - timedelta(days=60)
            rate = Rate(
                id=new_id("rate", at),
                account_id=account_id,
                hardware_key=hardware,
                nano_per_hour=PRICES[hardware],
                effective_at=at,
                source="price list",
            )
            self._add(rate)
            self._rates[key] = rate.id
        return self._rates[key]

    def metered(
        self,
        endpoint: Endpoint,
        start: datetime,
        end: datetime | None,
        *,
        replicas: int = 1,
        low: int | None = None,
        high: int | None = None,
        status: str = "running",
    ) -> None:
        """Add one interval of the ledger."""
        least = replicas if low is None else low
        most = replicas if high is None else high
        price = PRICES.get(endpoint.hardware_key)

        def burn(count: int) -> int | None:
            if count == 0:
                return 0
            return None if price is None else count * price

        self._add(
            MeterInterval(
                endpoint_id=endpoint.id,
                account_id=endpoint.account_id,
                started_at=start,
                ended_at=end,
                status=status,
                evidence="observed" if least == most else "transition",
                hardware_key=endpoint.hardware_key,
                rate_id=self.rate(endpoint.account_id, endpoint.hardware_key),
                replicas_low=least,
                replicas=replicas,
                replicas_high=most,
                burn_low=burn(least),
                burn=burn(replicas),
                burn_high=burn(most),
            )
        )

    def office_hours(self, endpoint: Endpoint, days: int, *, replicas: int = 1) -> None:
        """Meter 08:00 to 18:00 UTC of each of the last days, with an unsure minute at each end."""
        midnight = self.now.replace(hour=0, minute=0, second=0, microsecond=0)
        for back in range(days, 0, -1):
            begin = midnight - timedelta(days=back) + 8 * HOUR
            unsure = timedelta(minutes=1)
            end = begin + 10 * HOUR
            self.metered(endpoint, begin - unsure, begin, replicas=0, low=0, high=replicas)
            self.metered(endpoint, begin, end, replicas=replicas)
            self.metered(endpoint, end, end + unsure, replicas=replicas, low=0, high=replicas)

    def schedule(self, name: str, *endpoints: Endpoint, **changes: Any) -> Schedule:
        """Add working hours in Berlin that bind the endpoints."""
        made = self.now - timedelta(days=15)
        window = {"days": [0, 1, 2, 3, 4], "start": "08:00", "end": "19:00", "keep_running": False}
        values: dict[str, Any] = {
            "id": new_id("sch", self.now),
            "name": name,
            "timezone": "Europe/Berlin",
            "windows": [window],
            "selector": {"labels": {"team": "search"}},
            "effective_from": made,
            "created_at": made,
            "created_by": "mia",
            "updated_at": made,
        }
        schedule = Schedule(**{**values, **changes})
        self._add(schedule)
        self._bind(schedule.id, "schedule", made, *endpoints)
        return schedule

    def policy(self, name: str, *endpoints: Endpoint, **changes: Any) -> IdlePolicy:
        """Add an idle policy of half an hour that binds the endpoints."""
        made = self.now - timedelta(days=9)
        values: dict[str, Any] = {
            "id": new_id("pol", self.now),
            "name": name,
            "timeout_minutes": 30,
            "selector": {"labels": {"team": "research"}},
            "effective_from": made,
            "created_at": made,
            "created_by": "jo",
            "updated_at": made,
        }
        policy = IdlePolicy(**{**values, **changes})
        self._add(policy)
        self._bind(policy.id, "idle", made, *endpoints)
        return policy

    def hold(self, endpoint: Endpoint, wish: str, length: timedelta, **changes: Any) -> Hold:
        """Add a hold that began ten minutes ago."""
        start = self.now - timedelta(minutes=10)
        values: dict[str, Any] = {
            "id": new_id("hld", self.now),
            "endpoint_id": endpoint.id,
            "wish": wish,
            "starts_at": start,
            "until": self.now + length,
            "actor": "mia",
            "reason": "load test",
            "cost_nano": 3 * DOLLAR,
        }
        hold = Hold(**{**values, **changes})
        self._add(hold)
        return hold

    def operation(self, endpoint: Endpoint, kind: str, status: str = "running") -> Operation:
        """Add an operation that began half a minute ago."""
        at = self.now - timedelta(seconds=30)
        operation = Operation(
            id=new_id("op", at),
            account_id=endpoint.account_id,
            endpoint_id=endpoint.id,
            endpoint_name=endpoint.name,
            kind=kind,
            status=status,
            actor="mia",
            reason="done for today",
            steps=[{"name": kind, "at": at.isoformat(), "state": "accepted", "detail": "accepted"}],
            attempts=1,
            created_at=at,
            started_at=at,
        )
        self._add(operation)
        return operation

    def _bind(self, rule_id: str, kind: str, at: datetime, *endpoints: Endpoint) -> None:
        for endpoint in endpoints:
            self._add(
                Binding(rule_id=rule_id, endpoint_id=endpoint.id, rule_kind=kind, matched_at=at)
            )

    def _add(self, row: Any) -> None:
        self.session.add(row)
        self.session.flush()


def office(session: Session, now: datetime) -> None:
    """A fleet with a bit of everything: states, teams, holds, an unknown price."""
    seed = Seed(session, now)
    main, lab = seed.account("acme"), seed.account("acme-lab")
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    chat = seed.endpoint(main, "llama-3-70b-chat", hardware=A100, team="search")
    embed = seed.endpoint(main, "bge-large-embeddings", team="search")
    rerank = seed.endpoint(main, "reranker-v2", "scaled_to_zero", team="search")
    mixtral = seed.endpoint(lab, "mixtral-8x7b-trials", "paused", hardware=A100, team="research")
    whisper = seed.endpoint(lab, "whisper-large-v3", "initializing", team="media", ready_replicas=0)
    vision = seed.endpoint(main, "qwen2-vl-7b", hardware=UNPRICED, team="media")
    sdxl = seed.endpoint(
        main, "sdxl-thumbnails", "failed", team="media", message="CUDA out of memory"
    )
    legacy = seed.endpoint(
        main, "legacy-classifier", hardware=CPU, managed=False, wish="", decided_reason=""
    )
    for endpoint, days in ((chat, 29), (embed, 29), (mixtral, 22), (rerank, 18), (sdxl, 12)):
        seed.office_hours(endpoint, days)
    seed.metered(legacy, midnight - timedelta(days=30), None)
    for endpoint in (chat, embed, vision):
        seed.metered(endpoint, max(midnight, now - 5 * HOUR), None)
    seed.metered(whisper, now - timedelta(minutes=2), None, low=0, status="initializing")
    seed.schedule("Office hours", chat, embed)
    edge = now + 2 * HOUR
    for endpoint in (chat, embed):
        endpoint.next_edge_at, endpoint.next_edge_wish = edge, "paused"
        endpoint.decided_rule = "schedule"
        endpoint.decided_reason = "inside a window of Office hours"
    seed.policy("Idle half an hour", mixtral, rerank)
    seed.hold(embed, "running", timedelta(hours=4))
    seed.operation(whisper, "resume")
    chat.protected = True
