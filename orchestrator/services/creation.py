"""Creating and changing endpoints: checks that need no cloud, then an operation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from sqlmodel import Session

from orchestrator.costs.rates import replica_rate
from orchestrator.domain.endpoints import EndpointChange, EndpointSpec, Scaling
from orchestrator.domain.money import amount_for
from orchestrator.domain.plan import Kind
from orchestrator.domain.status import Status, Wish
from orchestrator.providers.base import CredentialsError, SpecError
from orchestrator.services import bindings, hardware, specs
from orchestrator.services.clicks import deleting
from orchestrator.services.context import Context, Secrets
from orchestrator.services.errors import ServiceError, conflict, invalid
from orchestrator.services.expiry import Wanted, at_creation, warnings_at_creation
from orchestrator.services.requests import (
    Asked,
    busy,
    check_account,
    check_changeable,
    open_operation,
    under_way,
)
from orchestrator.services.tokens import Caller, Scope
from orchestrator.store import endpoints, events, ledger, locks, operations
from orchestrator.store import expiry as expiry_rows
from orchestrator.store.tables import Account, Endpoint, Json, Operation

SECONDS_PER_MONTH = 730 * 3600
Wants = TypeVar("Wants", bound=EndpointSpec | EndpointChange)


@dataclass(frozen=True, slots=True)
class RolloutCost:
    """What an update costs on its way, at most: nano-dollars per hour, and for `seconds`.

    `before` is the price until then, `both` while the old and the new fleet run side by side.
    `both` and `cost` are None where nothing is rolled out, or a price is not known.
    """

    before: int | None = None
    both: int | None = None
    seconds: int | None = None

    @property
    def cost(self) -> int | None:
        """Return what the second fleet costs over the usual time."""
        if self.both is None or self.before is None or self.seconds is None:
            return None
        return amount_for(self.both - self.before, self.seconds)


@dataclass(frozen=True, slots=True)
class Requested:
    """An operation that was written, the secret values for it, and what it will cost.

    Prices are nano-dollars: per hour at the least and the most replicas, per 730 hours.
    """

    operation: Operation
    secrets: Secrets
    replica_hour: int | None = None
    least_hour: int | None = None
    most_hour: int | None = None
    least_month: int | None = None
    most_month: int | None = None
    warnings: tuple[str, ...] = ()
    rollout: RolloutCost = RolloutCost()

    @property
    def has_values(self) -> bool:
        """Tell whether secret values have to be kept in memory for it."""
        return bool(self.secrets.environment or self.secrets.secrets)


def request_create(
    session: Session,
    account: Account,
    spec: EndpointSpec,
    asked: Asked,
    *,
    labels: Mapping[str, str],
    owner: str,
    expiry: Wanted | None = None,
    warnings: tuple[str, ...] = (),
    engine_here: bool = True,
) -> Requested:
    """Ask that an endpoint be created; it is managed from its birth. See `checked` before.

    Raises ServiceError: 422 for hardware that is not on the list, 409 for a taken name, a freeze,
    or secret values that cannot reach the engine because it runs in another process.
    """
    check_account(session, account.id)
    specs.check_words(spec)
    _check_name(session, account, spec.name)
    offers = hardware.offers_of(session, account)
    warnings = (*warnings, *hardware.checked(spec.hardware, offers, spec.scaling.max_replicas))
    lives = {"expiry": at_creation(session, account.id, labels, expiry, asked)}
    warnings += warnings_at_creation(account, spec.name, lives["expiry"])
    parcel = specs.pack(spec)
    _check_reach(parcel.secrets, engine_here)
    operation = open_operation(
        session,
        account,
        None,
        Kind.CREATE,
        asked,
        name=spec.name,
        request={"spec": parcel.stored, "labels": dict(labels), "owner": owner} | lives,
    )
    offer = offers.get(spec.hardware.key)
    rate = None if offer is None else offer.nano_per_hour
    return _priced(Requested(operation, parcel.secrets, warnings=warnings), rate, spec.scaling)


def request_update(
    session: Session,
    endpoint: Endpoint,
    change: EndpointChange,
    asked: Asked,
    *,
    warnings: tuple[str, ...] = (),
    engine_here: bool = True,
    usual_s: int | None = None,
) -> Requested:
    """Ask that the cloud change an endpoint; fields of `change` that are None stay as they are.

    Raises ServiceError: 422 for hardware that is not on the list, 409 while it may not be changed
    or for secret values that cannot reach the engine because it runs in another process.
    """
    account = check_changeable(session, endpoint)
    specs.check_words(change)
    if endpoint.delete_after is not None or endpoint.wish == Wish.DELETED:
        raise deleting(session, endpoint)
    under_way(session, endpoint, Kind.UPDATE)
    if endpoint.stop_sent_at is not None:
        raise conflict(
            "paused_by_deletion",
            f"{endpoint.name} was deleted to pause it, so there is nothing to change.",
            remedy=f"Resume it first: POST /v1/endpoints/{endpoint.id}/resume.",
        )
    if endpoint.kept and endpoint.status == Status.PAUSED:
        raise conflict(
            "paused",
            f"{endpoint.name} is paused, and gets back what was kept of it: a change now might "
            "start it, or be undone.",
            remedy=f"Resume it first: POST /v1/endpoints/{endpoint.id}/resume.",
        )
    offers = hardware.offers_of(session, account)
    scaling = change.scaling or Scaling(endpoint.min_replicas or 0, endpoint.max_replicas or 1)
    new = _new_replicas(endpoint, change, scaling)
    if change.hardware is not None:
        hardware.check_move(endpoint, change.hardware)
        warnings += hardware.checked(
            change.hardware, offers, max(new, scaling.max_replicas if change.scaling else 1)
        )
    elif endpoint.hardware_key in offers:
        grown = scaling.max_replicas - endpoint.billed_expected if change.scaling else 0
        warnings += tuple(hardware.about_quota(offers[endpoint.hardware_key], max(new, grown)))
    parcel = specs.pack(change)
    _check_reach(parcel.secrets, engine_here)
    operation = open_operation(
        session, account, endpoint, Kind.UPDATE, asked, request={"spec": parcel.stored}
    )
    key = change.hardware.key if change.hardware else endpoint.hardware_key
    before, rate = _rates(session, endpoint, key)
    rollout = _rollout(endpoint.billed_expected, before, new, rate, usual_s)
    requested = Requested(operation, parcel.secrets, warnings=warnings, rollout=rollout)
    return _priced(requested, rate, scaling)


def usual_update_s(context: Context, account: Account) -> int | None:
    """Return how long an update usually takes at the account's cloud, in seconds."""
    return context.provider_for(account).capabilities.usual_s.get(Kind.UPDATE)


def _rates(session: Session, endpoint: Endpoint, key: str) -> tuple[int | None, int | None]:
    """Return what a replica costs now, and on other hardware with the same beside it."""
    listed = ledger.offers(session, endpoint.account_id)
    prices = {name: offer.nano_per_hour for name, offer in listed.items()}
    before, after = replica_rate(endpoint, prices.get).nano, prices.get(key)
    own = prices.get(endpoint.hardware_key)
    if before is None or own is None or after is None:
        return before, after
    return before, after + before - own


def _new_replicas(endpoint: Endpoint, change: EndpointChange, scaling: Scaling) -> int:
    """Return how many replicas come up beside the old ones; none for other bounds alone."""
    if not endpoint.billed_expected or replace(change, scaling=None, tags=None) == EndpointChange():
        return 0
    return max(scaling.min_replicas, min(endpoint.billed_expected, scaling.max_replicas), 1)


def _rollout(
    running: int, before: int | None, new: int, after: int | None, usual_s: int | None
) -> RolloutCost:
    old = None if before is None else before * running
    if not new:
        return RolloutCost(old)
    both = None if old is None or after is None else old + after * new
    return RolloutCost(old, both, usual_s)


def change_ours(
    session: Session,
    endpoint: Endpoint,
    asked: Asked,
    *,
    labels: Mapping[str, str] | None,
    owner: str | None,
    protected: bool | None,
) -> None:
    """Change what is ours of an endpoint, at once: labels as a whole set, owner, protection."""
    locks.refresh(session, endpoint)
    changed = []
    if labels is not None:
        endpoints.replace_our_labels(session, endpoint.id, labels)
        changed.append("labels")
    if owner is not None and owner != endpoint.owner:
        endpoint.owner = owner
        changed.append("owner")
    if protected is not None and protected != endpoint.protected:
        endpoint.protected = protected
        if not protected:  # what people were told while it was protected promised no pause
            endpoint.expiry = expiry_rows.unwarned(endpoint.expiry)
        changed.append("protected")
    if not changed:
        return
    session.add(endpoint)
    session.flush()
    if labels is not None:
        bindings.sync_endpoints(session, [endpoint.id], asked.now)
    events.record(
        session,
        at=asked.now,
        kind="endpoint.changed",
        actor=asked.actor,
        message=f"{asked.actor} changed {', '.join(changed)} of {endpoint.name}",
        account_id=endpoint.account_id,
        endpoint_id=endpoint.id,
        data={"labels": dict(labels)} if labels is not None else {},
    )


def check_references(caller: Caller, *maps: Mapping[str, str] | None) -> None:
    """Raise ServiceError 403 when a caller who is no admin names secrets of the server."""
    named = [key for given in maps for key, value in (given or {}).items() if _refers(value)]
    if named and not caller.scope.allows(Scope.ADMIN):
        raise ServiceError(
            "reference_not_allowed",
            403,
            "Not allowed",
            f"{named[0]} refers to a secret of the server, which needs the scope admin.",
            field=named[0],
            remedy="Give the value itself, or ask an admin.",
        )


def _check_reach(secrets: Secrets, engine_here: bool) -> None:
    held = {name: getattr(secrets, name) for name in specs.MAPS}
    fields = [f"{name}.{key}" for name, given in held.items() for key in given]
    if engine_here or not fields:
        return
    raise conflict(
        "engine_elsewhere",
        f"This process does not work the account now: the value of {fields[0]} is never stored, "
        "and cannot reach the engine in another process.",
        remedy="Give a reference, env:NAME or file:/path, which the worker resolves.",
        field=fields[0],
    )


def _refers(value: str) -> bool:
    return specs.is_reference(value)


def current_of(endpoint: Endpoint) -> Json:
    """Return what `checked` compares a change with: the spec, and the bounds beside it."""
    bounds = {"min_replicas": endpoint.min_replicas, "max_replicas": endpoint.max_replicas}
    return {**endpoint.spec, **bounds}


def prepared(
    context: Context, account: Account, wanted: Wants, current: Json | None = None
) -> tuple[Wants, tuple[str, ...]]:
    """Return what is asked for with what the price list adds to it, and what the driver warns of.

    Raises ServiceError as `checked` does, and 422 for hardware that is not on the list.
    """
    with context.database.read() as session:
        whole = hardware.completed(session, account, wanted)
    return whole, checked(context, account, whole, current)


def checked(
    context: Context,
    account: Account,
    wanted: EndpointSpec | EndpointChange,
    current: Json | None = None,
) -> tuple[str, ...]:
    """Return what the account's driver warns of; `current` is what would be changed.

    Raises ServiceError 422 for what the cloud would refuse or could not start, 409 for an account
    without usable credentials.
    """
    if wanted.scaling is not None:
        _check_bounds(wanted.scaling)
    try:
        provider = context.provider_for(account)
    except CredentialsError as error:
        raise conflict(
            "no_credentials",
            str(error),
            remedy=f"Mend the account {account.name} first: PATCH /v1/accounts/{account.name}.",
        ) from error
    try:
        return provider.check(wanted, current or {})
    except SpecError as error:
        raise invalid(error.field, str(error), remedy=error.remedy) from error


def _check_bounds(scaling: Scaling) -> None:
    if scaling.min_replicas > scaling.max_replicas:
        raise invalid(
            "scaling.min_replicas",
            "There cannot be more replicas at least than at most.",
            remedy=f"Give at most {scaling.max_replicas}, or raise max_replicas.",
        )


def _check_name(session: Session, account: Account, name: str) -> None:
    if endpoints.live_by_name(session, account.id, name) is not None:
        raise conflict(
            "name_taken",
            f"{account.name} has an endpoint named {name}.",
            remedy="Choose another name, or change that endpoint.",
            field="name",
        )
    active = operations.active_create(session, account.id, name)
    if active is not None:
        raise busy(active)


def _priced(requested: Requested, rate: int | None, scaling: Scaling) -> Requested:
    if rate is None:
        return requested
    least, most = rate * scaling.min_replicas, rate * scaling.max_replicas
    return Requested(
        requested.operation,
        requested.secrets,
        rate,
        least,
        most,
        amount_for(least, SECONDS_PER_MONTH),
        amount_for(most, SECONDS_PER_MONTH),
        requested.warnings,
        requested.rollout,
    )
