"""botocore's clients, kept from one process of a history to the next: making them takes long."""

from __future__ import annotations

from orchestrator.providers.account import ProviderAccount, ProviderHooks
from orchestrator.providers.sagemaker.clients import Clients
from orchestrator.providers.sagemaker.options import SageMakerOptions


class Shelf:
    """Hands the same clients to each process, over the transport and the clock of that process."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str, SageMakerOptions], _Kept] = {}

    def clients(
        self, account: ProviderAccount, hooks: ProviderHooks, options: SageMakerOptions
    ) -> Clients:
        """Return clients that have counted nothing."""
        key = (account.region, account.credential_ref, options)
        if key not in self._kept:
            self._kept[key] = _Kept(account, hooks, options)
        self._kept[key].hand(account, hooks)
        return self._kept[key]


class _Kept(Clients):
    def hand(self, account: ProviderAccount, hooks: ProviderHooks) -> None:
        """Serve another process from now on."""
        self._account, self._hooks = account, hooks
        self._counts.clear()
        self.sent = 0

    def close(self) -> None:
        """Keep what was made; no connection is open."""
