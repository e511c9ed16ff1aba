"""What every use case and the engine are given: store, clock, clouds, settings, and a nudge."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.clock import Clock
from orchestrator.providers.base import Provider
from orchestrator.providers.pacing import PaceReport, Pacing
from orchestrator.services.instruments import Instruments
from orchestrator.store.database import Database
from orchestrator.store.tables import Account

if TYPE_CHECKING:
    from orchestrator.settings import Settings

ProviderMaker = Callable[[Account], Provider]


def _stay() -> None:
    """Nudge nobody: there is no engine in this process."""


def _everything(account_id: str) -> bool:
    """Tell that every account is worked here."""
    del account_id
    return True


class ProviderPool:
    """One driver per account, made at first use and made again when the account changes.

    `pacing` is the pace of calls that these drivers keep, which outlives each of them.
    """

    def __init__(self, make: ProviderMaker, pacing: Pacing | None = None) -> None:
        self._make = make
        self._pacing = pacing or Pacing()
        self._lock = threading.Lock()
        self._made: dict[str, tuple[object, Provider]] = {}

    def get(self, account: Account) -> Provider:
        """Return the account's driver. Raises CredentialsError when it has no usable credential."""
        identity = (
            account.provider,
            account.namespace,
            account.region,
            account.credential_ref,
            tuple(sorted(account.options.items())),
        )
        with self._lock:
            known = self._made.get(account.id)
            if known is not None and known[0] == identity:
                return known[1]
            provider = self._make(account)
            if known is not None:
                known[1].close()
            self._made[account.id] = (identity, provider)
            return provider

    def made(self, account: Account) -> Provider | None:
        """Return the account's driver where this process has one already."""
        with self._lock:
            known = self._made.get(account.id)
            return None if known is None else known[1]

    def pacing_report(self) -> tuple[PaceReport, ...]:
        """Return calls, refusals, waits and the present rate, by account and API."""
        return self._pacing.report()

    def close(self) -> None:
        """Close all drivers."""
        with self._lock:
            for _, provider in self._made.values():
                provider.close()
            self._made.clear()


@dataclass(frozen=True, slots=True)
class Secrets:
    """Secret values of one create or update, on their way to the cloud."""

    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)


class Vault:
    """Secret values by operation, in memory alone: they die with the process, by design."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, Secrets] = {}

    def put(self, operation_id: str, secrets: Secrets) -> None:
        """Keep the values until they are taken."""
        with self._lock:
            self._kept[operation_id] = secrets

    def look(self, operation_id: str) -> Secrets | None:
        """Return the values, or None when this process never had them."""
        with self._lock:
            return self._kept.get(operation_id)

    def ids(self) -> list[str]:
        """Return the operations of which values are kept."""
        with self._lock:
            return list(self._kept)

    def drop(self, operation_id: str) -> None:
        """Forget the values; an operation that has ended needs them no more."""
        with self._lock:
            self._kept.pop(operation_id, None)


@dataclass(slots=True)
class Context:
    """The outer world as a use case may see it.

    `engine_here` tells whether this process works an account now; what the vault keeps for it
    reaches no other process.
    """

    database: Database
    clock: Clock
    settings: Settings
    providers: ProviderPool
    vault: Vault = field(default_factory=Vault)
    nudge: Callable[[], None] = _stay
    engine_here: Callable[[str], bool] = _everything
    instruments: Instruments = field(default_factory=Instruments)

    def provider_for(self, account: Account) -> Provider:
        """Return the driver of `account`."""
        return self.providers.get(account)
