"""The settings of one account, and what the process lends to its driver."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx2

from orchestrator.clock import Clock
from orchestrator.domain.pace import Bounds
from orchestrator.providers.base import (
    AmbiguousError,
    BusyError,
    NotFoundError,
    ProviderError,
    ThrottledError,
    UnavailableError,
)
from orchestrator.providers.credentials import resolve_credential
from orchestrator.providers.pacing import Pacer, Pacing


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
class CallMade:
    """A call that was handed to the network; `seconds` is without the wait for its pace.

    `outcome` is ok, throttled, ambiguous, not_found, refused or unreachable (no readable answer).
    """

    account: str
    api: str
    operation: str
    outcome: str
    seconds: float


class Timing:
    """Times one call; one that is never `sent` is told to nobody."""

    def __init__(self) -> None:
        self.began: float | None = None

    def sent(self) -> None:
        """Note that the pace let the call go."""
        self.began = time.perf_counter()


class CallWatch:
    """Tells how each call of one account went."""

    def __init__(self, account: str, tell: Callable[[CallMade], None]) -> None:
        self._account, self._tell = account, tell

    @contextmanager
    def call(self, api: str, operation: str) -> Iterator[Timing]:
        """Time the call of this block; a ProviderError that leaves it says how it went."""
        timing, outcome = Timing(), "ok"
        try:
            yield timing
        except ProviderError as error:
            outcome = _outcome(error)
            raise
        except BaseException:
            timing.began = None  # it may no longer be made, or the process ends
            raise
        finally:
            if timing.began is not None:
                took = time.perf_counter() - timing.began
                self._tell(CallMade(self._account, api, operation, outcome, took))


def _outcome(error: ProviderError) -> str:
    if isinstance(error, ThrottledError):
        return "throttled"
    if isinstance(error, AmbiguousError):
        return "ambiguous"
    if isinstance(error, NotFoundError):
        return "not_found"
    if isinstance(error, UnavailableError) and not isinstance(error, BusyError):
        return "unreachable"
    return "refused"


def _unheard(call: CallMade) -> None:
    """Nobody counts."""


@dataclass(frozen=True, slots=True)
class ProviderHooks:
    """What drivers use of their surroundings, replaceable in tests and by the simulator.

    `resolve` turns a credential reference into the secret, `sleep` waits so many seconds between
    attempts to read, `digest_key` keys the digests of secret values (None: no digests),
    `installation` marks what is made (empty: no mark), `pacing` holds the pace of calls for as long
    as the process runs, `on_call` hears of each one sent.
    """

    clock: Clock
    resolve: Callable[[str], str] = resolve_credential
    sleep: Callable[[float], None] = time.sleep
    transport: httpx2.BaseTransport | None = None
    digest_key: bytes | None = field(default=None, repr=False)
    installation: str = ""
    pacing: Pacing = field(default_factory=Pacing)
    on_call: Callable[[CallMade], None] = _unheard

    def watch(self, account: ProviderAccount) -> CallWatch:
        """Return what tells of the calls of an account."""
        return CallWatch(account.name or account.namespace, self.on_call)

    def pacer(self, account: ProviderAccount, bounds: Callable[[str], Bounds]) -> Pacer:
        """Return what paces the calls of an account; `bounds` gives those of an API.

        Two accounts of one place share its limits, so they share its pace.
        """
        place = f"{account.provider} {account.namespace or account.credential_ref} {account.region}"
        shown = account.name or account.namespace
        return Pacer(
            lambda api: self.pacing.lane(place, shown, api, bounds(api)), self.clock, self.sleep
        )
