"""A small fleet in a store: accounts, endpoints, price lists and looks at them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlmodel import col, select

from orchestrator.costs.meter import MeterNote, meter_pass
from orchestrator.costs.observe import Observation
from orchestrator.costs.rates import RateChange, record_offers
from orchestrator.domain.endpoints import BilledReplicas, Extra, Hardware, HardwareOffer
from orchestrator.domain.status import Status
from orchestrator.store.database import Database
from orchestrator.store.tables import Account, Endpoint, Label, MeterInterval

START = datetime(2026, 3, 2, 8, tzinfo=UTC)
GAP_LIMIT = timedelta(minutes=3)
L4 = Hardware("aws", "us-east-1", "nvidia-l4", "x1")
A100 = Hardware("aws", "us-east-1", "nvidia-a100", "x1")
SSD = Hardware("aws", "us-east-1", "ssd", "gb")
DOLLAR = 1_000_000_000
CENT = DOLLAR // 100


def after(**span: float) -> datetime:
    """Return an instant after the start of the story."""
    return START + timedelta(**span)


def seen(
    endpoint_id: str,
    status: Status,
    replicas: int = 0,
    *,
    hardware: Hardware = L4,
    most: int | None = 2,
    moved: bool = False,
    created_at: datetime | None = None,
    updated_at: datetime | None = START,
    cause: str | None = None,
    disk: int | None = None,
) -> Observation:
    """Return an observation with a certain number of billed replicas, with gigabytes of disk."""
    return Observation(
        endpoint_id=endpoint_id,
        status=status,
        billed=BilledReplicas(replicas, replicas, replicas),
        hardware_key=hardware.key,
        max_replicas=most,
        moved=moved,
        created_at=created_at,
        updated_at=updated_at,
        cause=cause,
        extras=() if disk is None else (Extra("disk", SSD.key, disk),),
    )


def gone(endpoint_id: str) -> Observation:
    """Return the observation that an endpoint was deleted."""
    return Observation(endpoint_id=endpoint_id, status=Status.DELETED, deleted=True)


@dataclass
class Fleet:
    """Writes to a store what the engine would write."""

    database: Database

    def account(self, account_id: str) -> None:
        """Add an account."""
        with self.database.write() as session:
            session.add(
                Account(
                    id=account_id,
                    name=f"name of {account_id}",
                    provider="huggingface",
                    namespace="acme",
                    credential_ref="env:HF_TOKEN",
                    created_at=START,
                )
            )

    def endpoints(
        self, account_id: str, *ids: str, labels: dict[str, str] | None = None, most: int = 2
    ) -> None:
        """Add endpoints that are named like their ids."""
        with self.database.write() as session:
            for each in ids:
                session.add(
                    Endpoint(
                        id=each,
                        account_id=account_id,
                        name=f"name of {each}",
                        status="running",
                        status_since=START,
                        first_seen_at=START,
                        confirmed_at=START,
                        max_replicas=most,
                        cloud_updated_at=START,
                    )
                )
            session.flush()
            for each in ids:
                for key, value in (labels or {}).items():
                    session.add(Label(endpoint_id=each, key=key, value=value))

    def prices(
        self, account_id: str, at: datetime, *offers: tuple[Hardware, int | None]
    ) -> list[RateChange]:
        """Read a price list."""
        listed = [HardwareOffer(hardware, nano, "available", 1) for hardware, nano in offers]
        with self.database.write() as session:
            return record_offers(session, account_id, listed, at, "api")

    def look(
        self,
        account_id: str,
        at: datetime,
        observations: Sequence[Observation] = (),
        *,
        took: timedelta = timedelta(0),
        unseen: Iterable[str] = (),
    ) -> list[MeterNote]:
        """Look at an account at `at` and remember that, as the engine does in one transaction."""
        with self.database.write() as session:
            account = session.get_one(Account, account_id)
            notes = meter_pass(
                session,
                account_id=account_id,
                confirmed_at=account.confirmed_at,
                seen_at=at + took,
                gap_limit=GAP_LIMIT,
                observations=observations,
                unseen=tuple(unseen),
            )
            account.confirmed_at = at
            session.add(account)
            return notes

    def looks(self, account_id: str, *, until: datetime) -> None:
        """Look again and again and find nothing changed: only the last look is remembered."""
        with self.database.write() as session:
            account = session.get_one(Account, account_id)
            account.confirmed_at = until
            session.add(account)

    def ledger(self, endpoint_id: str, component: str = "compute") -> list[MeterInterval]:
        """Return the intervals of one component of an endpoint in order."""
        query = (
            select(MeterInterval)
            .where(MeterInterval.endpoint_id == endpoint_id, MeterInterval.component == component)
            .order_by(col(MeterInterval.started_at))
        )
        with self.database.read() as session:
            return list(session.exec(query))
