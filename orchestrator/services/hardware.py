"""The hardware that a create or an update asks for, held against the account's price list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from sqlmodel import Session

from orchestrator.domain.endpoints import EndpointChange, EndpointSpec, Hardware
from orchestrator.services.errors import invalid, nearest
from orchestrator.store import ledger
from orchestrator.store.tables import Account, Endpoint, Offer

Wanted = TypeVar("Wanted", bound=EndpointSpec | EndpointChange)


def completed(session: Session, account: Account, wanted: Wanted) -> Wanted:
    """Return a request with the accelerator of the price list, where it names none itself.

    Raises ServiceError 422 for hardware that the price list does not have.
    """
    hardware = wanted.hardware
    if hardware is None or hardware.accelerator:
        return wanted
    offers = offers_of(session, account)
    checked(hardware, offers, 0)
    offer = offers.get(hardware.key)
    if offer is None:
        return wanted
    return replace(wanted, hardware=replace(hardware, accelerator=offer.accelerator))


def offers_of(session: Session, account: Account) -> dict[str, Offer]:
    """Return what replicas can run on; the list also prices what is billed beside them."""
    listed = ledger.offers(session, account.id)
    return {key: offer for key, offer in listed.items() if offer.component == ledger.COMPUTE}


def checked(hardware: Hardware, offers: Mapping[str, Offer], replicas: int) -> tuple[str, ...]:
    """Return warnings. Raises ServiceError 422 for hardware that the price list does not have."""
    if not offers:
        return ("The price list has not been read yet: hardware and price are unchecked.",)
    offer = offers.get(hardware.key)
    if offer is None:
        raise invalid(
            "hardware",
            f"{hardware.key} is not on the price list of this account.",
            remedy=nearest(hardware.key, offers),
        )
    return tuple(_warnings(offer, replicas))


def about_quota(offer: Offer, replicas: int) -> Sequence[str]:
    """Return a warning where so many replicas more, for a rollout too, may not fit."""
    if offer.quota_max is None or replicas <= 0:
        return []
    left = offer.quota_max - (offer.quota_used or 0)
    if left >= (offer.quota_each or offer.accelerators) * replicas:
        return []
    unit = "replicas" if offer.quota_each == 1 else "accelerators"
    return [f"The quota has {left} {unit} left; this may need more."]


def check_move(endpoint: Endpoint, hardware: Hardware) -> None:
    """Raise ServiceError 422 for hardware elsewhere: an endpoint stays where it is."""
    held = endpoint.hardware_key.split("/")
    if held[:2] != [hardware.vendor, hardware.region]:
        raise invalid(
            "hardware",
            f"An endpoint cannot move away from {'/'.join(held[:2])}.",
            remedy="Create another one there.",
        )


def _warnings(offer: Offer, replicas: int) -> Sequence[str]:
    found = []
    if offer.status and offer.status != "available":
        found.append(f"The cloud calls this hardware {offer.status}.")
    if offer.nano_per_hour is None:
        found.append("Its price is not known.")
    return [*found, *about_quota(offer, replicas)]
