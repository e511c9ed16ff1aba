"""`orchestrator scan`: what runs at Hugging Face, what it costs, what seems forgotten.

Reads only: who the token is, the listing of endpoints, and the price list.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime

from orchestrator import logs
from orchestrator.cli import scan_report
from orchestrator.cli.errors import CliError, ExitCode
from orchestrator.cli.scan_report import Found, NamespaceScan, Scan
from orchestrator.cli.session import Session
from orchestrator.logs import redact_text
from orchestrator.providers.base import CredentialsError, Listing, Provider, ProviderError
from orchestrator.providers.credentials import resolve_credential
from orchestrator.providers.registry import ProviderAccount, ProviderHooks, make_provider

DEFAULT_REFS = ("env:HF_TOKEN", "hf-cli")
_AT_ONCE = 4

MakeProvider = Callable[[str], Provider]


@dataclass(frozen=True, slots=True)
class Target:
    """Whose endpoints to look at, and where; None where the default serves."""

    namespaces: Sequence[str] = ()
    token_ref: str | None = None
    api_url: str | None = None
    hub_url: str | None = None


def scan(run: Session, target: Target) -> None:
    """Print all endpoints of all namespaces, forgotten-looking ones first.

    Raises CliError when nothing at all could be read.
    """
    logs.configure("error")
    hooks = ProviderHooks(clock=run.clock, sleep=run.around.sleep)
    make = _maker(target, _usable_reference(target.token_ref), hooks)
    result = look(make, target.namespaces, run.clock.now())
    scan_report.show(run, result)
    failed = [each for each in result.namespaces if each.error is not None]
    if failed and len(failed) == len(result.namespaces):
        raise failure(failed[0].error, "no namespace could be read")


def look(make: MakeProvider, namespaces: Sequence[str], now: datetime) -> Scan:
    """Return what one look at each namespace tells. Raises CliError when none can be named."""
    wanted = list(dict.fromkeys(namespaces)) or _visible(make)
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        scans = tuple(pool.map(lambda namespace: _look_at(make, namespace, now), wanted))
    return Scan(now, _month_start(now), scans)


def failure(error: ProviderError | None, what: str) -> CliError:
    """Return how a run ends for which the cloud gave no answer."""
    if isinstance(error, CredentialsError):
        return CliError(
            f"{what}: {redact_text(str(error))}",
            ExitCode.AUTH,
            "give another token with --token-ref",
        )
    return CliError(f"{what}: {redact_text(str(error))}", ExitCode.UNREACHABLE, "try again shortly")


def _usable_reference(given: str | None) -> str:
    """Return the first reference that leads to a token. Raises CliError when none does."""
    problems = []
    for reference in (given,) if given else DEFAULT_REFS:
        try:
            resolve_credential(reference)
        except CredentialsError as error:
            problems.append(str(error))
        else:
            return reference
    raise CliError(
        f"no Hugging Face token: {redact_text(' '.join(problems))}",
        ExitCode.AUTH,
        "set HF_TOKEN, or name another place with --token-ref",
    )


def _maker(target: Target, reference: str, hooks: ProviderHooks) -> MakeProvider:
    urls = {"api_url": target.api_url, "hub_url": target.hub_url}
    options = {key: url for key, url in urls.items() if url}

    def make(namespace: str) -> Provider:
        account = ProviderAccount(
            id="scan",
            name=namespace,
            provider="huggingface",
            namespace=namespace,
            credential_ref=reference,
            options=options,
        )
        try:
            return make_provider(account, hooks)
        except ValueError as error:
            raise CliError(redact_text(str(error)), ExitCode.USAGE) from None

    return make


def _visible(make: MakeProvider) -> list[str]:
    """Return the namespaces that the token sees."""
    with closing(make("whoami")) as provider:
        try:
            identity = provider.identity()
        except ProviderError as error:
            raise failure(error, "the token's owner could not be read") from None
    return [name for name in dict.fromkeys(identity.namespaces) if name]


def _look_at(make: MakeProvider, namespace: str, now: datetime) -> NamespaceScan:
    with closing(make(namespace)) as provider:
        listing = provider.list_endpoints()
        snapshots = [sighting.snapshot() for sighting in listing.sightings]
        rates, problem = _rates(provider) if snapshots else ({}, "")
    found = [
        scan_report.found(namespace, snapshot, rates.get(snapshot.hardware.key), now)
        for snapshot in snapshots
    ]
    return _namespace_scan(namespace, listing, found, problem)


def _namespace_scan(
    namespace: str, listing: Listing, found: list[Found], rates_problem: str
) -> NamespaceScan:
    unread = listing.error is not None and not listing.sightings
    return NamespaceScan(
        namespace=namespace,
        found=tuple(found),
        complete=listing.complete,
        problem=redact_text(listing.problem or str(listing.error or "")),
        rates_problem=rates_problem,
        error=listing.error if unread else None,
    )


def _rates(provider: Provider) -> tuple[dict[str, int | None], str]:
    """Return nano-dollars per replica-hour by hardware, or why they are not known."""
    try:
        return {offer.hardware.key: offer.nano_per_hour for offer in provider.hardware()}, ""
    except ProviderError as error:
        return {}, redact_text(str(error))


def _month_start(now: datetime) -> datetime:
    """Return the start of the billing month, which is a calendar month in UTC."""
    return now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
