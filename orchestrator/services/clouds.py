"""From a stored account to its driver: settings of the installation fill what it leaves open."""

from __future__ import annotations

import math
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

from orchestrator.clock import Clock
from orchestrator.providers.base import CredentialsError, Provider, ThrottledError
from orchestrator.providers.pacing import patient
from orchestrator.providers.registry import ProviderAccount, ProviderHooks, make_provider
from orchestrator.services.context import ProviderMaker
from orchestrator.services.errors import ServiceError
from orchestrator.settings import Settings
from orchestrator.store.tables import Account

DIGEST_KEY_FILE = "digest-key"
# So long a person's request waits for the pace of calls.
PERSON_WAITS = timedelta(seconds=5)


@contextmanager
def asked_by_a_person(clock: Clock) -> Iterator[None]:
    """Let the calls of the block wait a little for their pace, and then say when to come back.

    Raises ServiceError 503 with `retry_after` where the cloud takes no more calls now.
    """
    try:
        with patient(clock.now() + PERSON_WAITS):
            yield
    except ThrottledError as error:
        wait = error.retry_after or PERSON_WAITS
        seconds = max(math.ceil(wait.total_seconds()), 1)
        raise ServiceError(
            "provider_throttled",
            503,
            "The cloud takes no more calls now",
            str(error),
            remedy=f"Try again in {seconds} s; what the engine does for this account goes on.",
            retry_after=seconds,
        ) from error


def provider_maker(settings: Settings, hooks: ProviderHooks) -> ProviderMaker:
    """Return the function that makes the driver of an account."""
    defaults = {
        "connect_timeout_s": str(settings.connect_timeout_s),
        "read_timeout_s": str(settings.read_timeout_s),
        "initializing_billing": settings.initializing_billing,
    }

    def make(account: Account) -> Provider:
        options = {**defaults, **{key: str(value) for key, value in account.options.items()}}
        wanted = ProviderAccount(
            id=account.id,
            name=account.name,
            provider=account.provider,
            namespace=account.namespace,
            region=account.region,
            credential_ref=account.credential_ref,
            options=options,
        )
        try:
            return make_provider(wanted, hooks)
        except ValueError as error:
            raise CredentialsError(str(error)) from error

    return make


def digest_key(state_dir: Path) -> bytes:
    """Return the key of this installation's digests of secret values, made at first use.

    It lies beside the store, not in it, so that digests from a stolen store cannot be tried.
    """
    path = state_dir / DIGEST_KEY_FILE
    if not path.exists():
        fresh = state_dir / f"{DIGEST_KEY_FILE}.{os.getpid()}"
        fresh.touch(mode=0o600)
        fresh.write_bytes(secrets.token_bytes(32))
        with suppress(FileExistsError):  # another process was quicker: its key counts
            path.hardlink_to(fresh)
        fresh.unlink()
    return path.read_bytes()
