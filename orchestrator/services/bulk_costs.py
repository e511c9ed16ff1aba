"""What a change of each endpoint does to its cost by the hour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

from sqlmodel import Session

from orchestrator.costs.rates import replica_rate
from orchestrator.services.bulk_acts import Action
from orchestrator.store import endpoints, ledger
from orchestrator.store.tables import Endpoint, MeterInterval


@dataclass(frozen=True, slots=True)
class Effect:
    """Nano-dollars per hour more, or less where negative; None where no price is known.

    `incomplete` says that a price of it, or of part of it, is not known.
    """

    nano: int | None = 0
    incomplete: bool = False
    awake: bool = False

    def only_if(self, changes: bool) -> Effect:
        """Return the effect of a change, or of none."""
        return self if changes else replace(self, nano=0, incomplete=False)


@dataclass(frozen=True, slots=True)
class Effects:
    """The prices and running meters of the endpoints of one list."""

    meters: Mapping[str, Sequence[MeterInterval]]
    prices: Mapping[str, Mapping[str, ledger.Price]]

    @classmethod
    def load(cls, session: Session, rows: Sequence[Endpoint]) -> Self:
        """Read what the effects of a list are computed from."""
        meters = endpoints.open_intervals(session, [row.id for row in rows])
        owners = {row.account_id for row in rows}
        return cls(meters, {one: ledger.newest_prices(session, one) for one in owners})

    def of(self, row: Endpoint, action: Action) -> Effect:
        """Return what an action does to the cost of an endpoint, if it is carried out."""
        awake = row.billed_high > 0
        if action in (Action.PAUSE, Action.SCALE_TO_ZERO, Action.DELETE):
            return replace(self._stopped(row), awake=awake)
        if action is Action.RESUME and not awake:
            return replace(self._started(row), awake=awake)
        return Effect(awake=awake)

    def _stopped(self, row: Endpoint) -> Effect:
        running = [one for one in self.meters.get(row.id, ()) if one.replicas_high > 0]
        known = [one.burn for one in running if one.burn is not None]
        if not running:
            return Effect(0 if row.billed_high == 0 else None, incomplete=row.billed_high > 0)
        incomplete = len(known) < len(running)
        return Effect(-sum(known) if known else None, incomplete=incomplete)

    def _started(self, row: Endpoint) -> Effect:
        prices = self.prices[row.account_id]

        def price_of(key: str) -> int | None:
            found = prices.get(key)
            return None if found is None else found.nano_per_hour

        rate = replica_rate(row, price_of)
        if rate.nano is None:
            return Effect(None, incomplete=True)
        replicas = max(row.min_replicas or 0, 1)
        return Effect(rate.nano * replicas, incomplete=bool(rate.unpriced))
