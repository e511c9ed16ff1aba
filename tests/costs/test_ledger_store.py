"""The store keeps the same ledger as the pure rules, also when transactions are lost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import Session, SQLModel

from orchestrator.costs.meter import meter_pass
from orchestrator.costs.observe import Observation
from orchestrator.costs.rates import record_offers
from orchestrator.domain.endpoints import Hardware, HardwareOffer
from orchestrator.store.database import Database
from orchestrator.store.ledger import Stretch
from orchestrator.store.tables import Account, Endpoint, MeterInterval
from tests.costs.fleet import Fleet
from tests.costs.histories import disks, scenarios
from tests.costs.ledger_check import kept, kept_disks
from tests.costs.reference_cloud import Disks, LookAt, Scenario


class KilledError(Exception):
    """The process died before it could commit."""


def hardware(kind: str) -> Hardware:
    return Hardware("aws", "us-east-1", kind, "x1")


@dataclass
class StoredBooks:
    """Lives through a scenario with a store."""

    scenario: Scenario
    fleet: Fleet
    disks: Disks | None = None
    updated: int | None = None

    def run(self) -> None:
        """Read price lists first, look after; lost looks die before their commit."""
        happenings: list[tuple[int, int, LookAt | None]] = [
            (at, 0, None) for at in self.scenario.readings
        ]
        happenings += [(look.asked, 1, look) for look in self.scenario.looks]
        for at, _, look in sorted(happenings, key=lambda each: each[:2]):
            if look is None:
                self._read_prices(at)
                continue
            try:
                with self.fleet.database.write() as session:
                    self._look(session, look)
            except KilledError:
                continue
            gone = self.scenario.at(look.seen) is None
            self.updated = None if gone else self.scenario.updated(look.seen)

    def _read_prices(self, at: int) -> None:
        offers = [
            HardwareOffer(hardware(kind), self.scenario.price(kind, at), "available", 1)
            for kind in self.scenario.prices
        ]
        with self.fleet.database.write() as session:
            record_offers(session, "acc", offers, self.scenario.local(at), "api")

    def _look(self, session: Session, look: LookAt) -> None:
        account = session.get_one(Account, "acc")
        seen = self.scenario.observation(look.seen, self.updated)
        meter_pass(
            session,
            account_id="acc",
            confirmed_at=account.confirmed_at,
            seen_at=self.scenario.local(look.answered),
            gap_limit=timedelta(seconds=self.scenario.gap_limit_s),
            observations=[self._stored(session, seen)] if self._known(session, seen) else [],
        )
        account.confirmed_at = self.scenario.local(look.asked)
        session.add(account)
        if look.lost:
            raise KilledError

    def _known(self, session: Session, seen: Observation) -> bool:
        return not seen.deleted or session.get_one(Endpoint, "ep").status != "absent"

    def _stored(self, session: Session, seen: Observation) -> Observation:
        endpoint = session.get_one(Endpoint, "ep")
        endpoint.status = "absent" if seen.deleted else seen.status
        endpoint.cloud_updated_at = seen.updated_at
        session.add(endpoint)
        key = hardware(seen.hardware_key).key if seen.hardware_key else ""
        found = () if self.disks is None else self.disks.extras(seen.hardware_key)
        extras = tuple(
            replace(each, hardware_key=hardware(each.hardware_key).key) for each in found
        )
        return replace(seen, hardware_key=key, extras=extras)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(scenarios(), st.none() | disks())
def test_the_store_keeps_what_the_rules_say(scenario: Scenario, disks: Disks | None) -> None:
    database = Database("sqlite://")
    SQLModel.metadata.create_all(database.engine)
    fleet = Fleet(database)
    fleet.account("acc")
    fleet.endpoints("acc", "ep", most=scenario.max_replicas)
    with database.write() as session:
        session.get_one(Endpoint, "ep").status = "absent"
    StoredBooks(scenario, fleet, disks).run()
    assert stored(fleet, "compute") == expected(kept(scenario).rows)
    beside = [] if disks is None else kept_disks(scenario, disks).rows
    assert stored(fleet, "disk") == expected(beside)
    database.dispose()


def stored(fleet: Fleet, component: str) -> list[tuple[object, ...]]:
    return [values(each) for each in fleet.ledger("ep", component)]


def expected(rows: list[Stretch]) -> list[tuple[object, ...]]:
    return [values(replace(row, hardware_key=hardware(row.hardware_key).key)) for row in rows]


def values(row: MeterInterval | Stretch) -> tuple[object, ...]:
    """All of an interval but its id and that of its rate."""
    names = (
        "started_at",
        "ended_at",
        "status",
        "evidence",
        "hardware_key",
        "units",
        "replicas_low",
        "replicas",
        "replicas_high",
        "burn_low",
        "burn",
        "burn_high",
        "rounding_nano",
        "cause",
    )
    return tuple(getattr(row, name) for name in names)
