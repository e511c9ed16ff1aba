"""All kinds of clouds by name: a new one is a folder beside this file and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

from orchestrator.providers.account import ProviderAccount, ProviderHooks
from orchestrator.providers.base import Provider
from orchestrator.providers.huggingface.factory import make_huggingface

__all__ = ["FACTORIES", "ProviderAccount", "ProviderFactory", "ProviderHooks", "make_provider"]


class ProviderFactory(Protocol):
    """Makes the driver of one account; does no I/O. Raises ValueError for wrong settings."""

    def __call__(self, account: ProviderAccount, hooks: ProviderHooks) -> Provider:
        """Return the driver."""
        ...


FACTORIES: Mapping[str, ProviderFactory] = MappingProxyType({"huggingface": make_huggingface})


def make_provider(
    account: ProviderAccount,
    hooks: ProviderHooks,
    factories: Mapping[str, ProviderFactory] = FACTORIES,
) -> Provider:
    """Return the driver for `account.provider`. Raises ValueError for an unknown kind."""
    factory = factories.get(account.provider)
    if factory is None:
        known = ", ".join(sorted(factories))
        raise ValueError(
            f"account {account.name!r}: unknown provider {account.provider!r}; known are: {known}"
        )
    return factory(account, hooks)
