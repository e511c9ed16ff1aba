"""Connecting and removing accounts; the cloud is asked before a transaction, never in one."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlmodel import Session

from orchestrator.costs import meter
from orchestrator.providers.base import CredentialsError, Identity, ProviderError, UnavailableError
from orchestrator.providers.registry import CLOUDS, is_reference
from orchestrator.services.clouds import asked_by_a_person
from orchestrator.services.context import Context
from orchestrator.services.errors import ServiceError, conflict, invalid, nearest
from orchestrator.services.requests import Asked
from orchestrator.store import accounts, endpoints, events, operations
from orchestrator.store.ids import new_id
from orchestrator.store.tables import Account

# The id under which the pool keeps the driver of a check; the next check takes its place.
TRIAL = "acc_trial"
_one_trial = threading.Lock()


@dataclass(frozen=True, slots=True)
class NewAccount:
    """What a person says of an account; `credential_ref` names credentials, and is none."""

    name: str
    provider: str
    namespace: str
    credential_ref: str
    region: str = ""
    options: Mapping[str, str] = field(default_factory=dict)


def draft(wanted: NewAccount, now: datetime) -> Account:
    """Return the account as it would be stored.

    Raises ServiceError 422 for an unknown provider, and for what is no reference to credentials,
    which is not repeated: it may be a secret.
    """
    cloud = CLOUDS.get(wanted.provider)
    if cloud is None:
        raise invalid(
            "provider",
            f"{wanted.provider!r} is no known kind of cloud.",
            remedy=nearest(wanted.provider, CLOUDS),
        )
    check_reference(wanted.provider, wanted.credential_ref)
    return Account(
        id=new_id("acc", now),
        name=wanted.name,
        provider=wanted.provider,
        namespace=wanted.namespace,
        region=wanted.region or cloud.home_region,
        credential_ref=wanted.credential_ref,
        options=dict(wanted.options),
        created_at=now,
    )


def check_reference(provider: str, reference: str) -> None:
    """Raise ServiceError 422 for what is no reference to credentials, without repeating it."""
    cloud = CLOUDS[provider]
    if not is_reference(cloud, reference):
        raise invalid(
            "credential_ref",
            f"This is no reference to credentials of {cloud.title}.",
            remedy=f"Write {cloud.reference_help}.",
        )


def every_region(context: Context, wanted: NewAccount, now: datetime) -> list[Account]:
    """Return one account for each region that the credentials reach, named after it.

    Raises ServiceError: 422 where this cloud has no regions, and as `verify` does.
    """
    if not CLOUDS[wanted.provider].home_region:
        title = CLOUDS[wanted.provider].title
        raise invalid("region", f"{title} accounts have no region.", remedy="Leave it out.")
    first = draft(replace(wanted, region=""), now)
    identity = verify(context, first)
    if not identity.regions_told:
        raise invalid(
            "region",
            f"The credentials of {identity.name} may not list the enabled regions.",
            remedy="Allow that (for AWS account:ListRegions), or connect regions one by one.",
        )
    found = []
    for region in identity.regions or (first.region,):
        account = draft(replace(wanted, region=region, name=f"{wanted.name}-{region}"), now)
        account.namespace = first.namespace
        found.append(account)
    return found


def check_free(session: Session, account: Account) -> None:
    """Raise ServiceError 409 when the name is taken or the place is connected already."""
    named = accounts.by_name(session, account.name)
    if named is not None and named.id != account.id:
        raise conflict(
            "name_taken",
            f"An account named {account.name!r} exists.",
            remedy="Choose another name.",
            field="name",
        )
    same = accounts.by_place(session, account.provider, account.namespace, account.region)
    if same is not None and same.id != account.id:
        raise conflict(
            "already_connected",
            f"{place(account)} is connected already, as {same.name}.",
            remedy="Use that account; connecting it twice would count its costs twice.",
            field="namespace",
        )


def place(account: Account) -> str:
    """Return where an account is, for people."""
    return f"{account.namespace} in {account.region}" if account.region else account.namespace


def verify(context: Context, account: Account) -> Identity:
    """Ask the cloud who the credentials are, and whether they reach the namespace.

    A namespace that was left out is filled in, where they reach exactly one.

    Raises ServiceError: 422 for refused credentials, 503 when the cloud does not answer.
    """
    try:
        identity = _ask(context, account)
    except CredentialsError as error:
        if isinstance(error.__cause__, ValueError):
            raise invalid("options", str(error), remedy="Mend that setting.") from error
        raise ServiceError(
            "credentials_refused",
            422,
            "Credentials refused",
            str(error),
            field="credential_ref",
            remedy="Check what the reference names, then try again.",
        ) from error
    except ProviderError as error:
        code = "provider_unavailable" if isinstance(error, UnavailableError) else "provider_refused"
        raise ServiceError(
            code,
            503,
            "The cloud cannot be asked",
            str(error),
            remedy="Try again later, or connect it unchecked with ?verify=false.",
        ) from error
    if not account.namespace and len(identity.namespaces) == 1:
        account.namespace = identity.namespaces[0]
    if account.namespace not in identity.namespaces:
        raise invalid(
            "namespace",
            f"The credentials of {identity.name} do not reach {account.namespace!r}.",
            remedy=f"They reach: {', '.join(identity.namespaces) or 'none'}.",
        )
    return identity


def _ask(context: Context, account: Account) -> Identity:
    """Ask through a driver of its own: the engine's must not be closed under its hands."""
    trial = Account(**{**account.model_dump(), "id": TRIAL})
    with _one_trial, asked_by_a_person(context.clock):
        return context.provider_for(trial).identity()


def connect(session: Session, account: Account, asked: Asked) -> Account:
    """Store a new account; from then on it is observed and nothing in it is changed.

    Raises ServiceError 409 for a name or place that is taken.
    """
    if not account.namespace:
        raise invalid(
            "namespace",
            "Without asking the cloud it is not known which namespace the credentials reach.",
            remedy="Name it, or let the cloud be asked.",
        )
    check_free(session, account)
    session.add(account)
    what = f"connected {account.name} ({account.provider}, {place(account)})"
    _record(session, account, "account.connected", asked, f"{what}; it is only observed")
    return account


def connect_new(session: Session, found: Sequence[Account], asked: Asked) -> list[Account]:
    """Store those of the accounts whose place is not connected yet; return them.

    Raises ServiceError 409 for a name that is taken, or when nothing is new.
    """
    new = [
        account
        for account in found
        if accounts.by_place(session, account.provider, account.namespace, account.region) is None
    ]
    if not new:
        raise conflict("already_connected", "All of these regions are connected already.")
    return [connect(session, account, asked) for account in new]


def change(session: Session, account: Account, asked: Asked) -> Account:
    """Store changes of an account. Raises ServiceError 409 for a name that is taken."""
    with session.no_autoflush:
        check_free(session, account)
    account.next_observe_at = None
    session.add(account)
    _record(session, account, "account.changed", asked, f"changed the account {account.name}")
    return account


def remove(session: Session, account: Account, asked: Asked) -> None:
    """Stop looking at an account; its endpoints stay as they are, its costs stay readable.

    Raises ServiceError 409 while operations are under way, or while endpoints are away that only
    we can bring back.
    """
    active = operations.active_in_account(session, account.id)
    if active:
        raise conflict(
            "operation_in_progress",
            f"{len(active)} operations are under way in {account.name}.",
            remedy=f"Wait for them: GET /v1/operations?account={account.name}.",
        )
    away = endpoints.paused_by_deletion(session, account.id)
    if away:
        raise conflict(
            "paused_by_deletion",
            f"{len(away)} endpoints of {account.name} were deleted to pause them, and would be "
            f"lost: {', '.join(away[:5])}.",
            remedy="Resume them first, or delete them for good.",
        )
    account.removed_at = asked.now
    # What runs on after this is nobody's knowledge: the ledger ends at the last look.
    ends = meter.stop_metering(session, account_id=account.id, confirmed_at=account.confirmed_at)
    what = f"removed the account {account.name}; its endpoints are left as they are"
    if ends:
        what += f", their costs are counted up to {min(ends.values()):%Y-%m-%d %H:%M}Z or later"
    _record(session, account, "account.removed", asked, what)
    # The name is free for another account; the id keeps this one apart.
    account.name = f"{account.name} ({account.id})"
    session.add(account)


def _record(session: Session, account: Account, kind: str, asked: Asked, what: str) -> None:
    events.record(
        session,
        at=asked.now,
        kind=kind,
        actor=asked.actor,
        message=f"{asked.actor} {what}",
        account_id=account.id,
    )
