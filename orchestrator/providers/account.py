"""The settings of one account, and what the process lends to its driver."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import httpx2

from orchestrator.clock import Clock
from orchestrator.providers.credentials import resolve_credential


@dataclass(frozen=True, slots=True)
class ProviderAccount:
    """One place where endpoints live; `credential_ref` is a reference, never a secret.

    `provider` is the kind of the driver; `options` are the driver's own settings as text.
    """

    id: str
    name: str
    provider: str
    namespace: str
    region: str = ""
    credential_ref: str = ""
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProviderHooks:
    """What drivers use of their surroundings, replaceable in tests and by the simulator.

    `resolve` turns a credential reference into the secret, `sleep` waits so many seconds between
    attempts to read, `digest_key` keys the digests of secret values (None: no digests).
    """

    clock: Clock
    resolve: Callable[[str], str] = resolve_credential
    sleep: Callable[[float], None] = time.sleep
    transport: httpx2.BaseTransport | None = None
    digest_key: bytes | None = field(default=None, repr=False)
