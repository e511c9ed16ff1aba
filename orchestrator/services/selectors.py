"""Which endpoints a rule covers: one endpoint, an account, labels, or all three at once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlmodel import Session

from orchestrator.services import find, fleet
from orchestrator.services.errors import ServiceError, invalid
from orchestrator.store.tables import Endpoint, Label

CLOUD_PREFIX = "cloud:"


@dataclass(frozen=True, slots=True)
class Selector:
    """Conditions that must all hold; ids, not names, so that a renamed account stays bound."""

    account_id: str | None = None
    endpoint_id: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)

    def matches(self, endpoint: Endpoint, labels: Iterable[Label]) -> bool:
        """Tell whether the endpoint, which bears `labels`, is covered."""
        if self.account_id is not None and endpoint.account_id != self.account_id:
            return False
        if self.endpoint_id is not None and endpoint.id != self.endpoint_id:
            return False
        if not self.labels:
            return True
        borne = {label.key: label.value for label in labels}
        return all(borne.get(key) == value for key, value in self.labels.items())

    def to_json(self) -> dict[str, Any]:
        """Return the stored form."""
        parts = {"account": self.account_id, "endpoint": self.endpoint_id}
        stored: dict[str, Any] = {name: value for name, value in parts.items() if value}
        if self.labels:
            stored["labels"] = dict(self.labels)
        return stored


def from_json(stored: Mapping[str, Any]) -> Selector:
    """Return a selector from its stored form."""
    return Selector(stored.get("account"), stored.get("endpoint"), stored.get("labels") or {})


def resolve(
    session: Session,
    *,
    account: str | None,
    endpoint: str | None,
    labels: Mapping[str, str],
    allowed_cloud_labels: Collection[str],
) -> Selector:
    """Return a selector from what a person wrote: names or ids, and labels.

    Raises ServiceError for unknown names, cloud labels that no admin allowed, and no condition.
    """
    if account is None and endpoint is None and not labels:
        raise invalid(
            "selector",
            "A selector without a condition would cover everything.",
            remedy="Give an account, an endpoint, or labels such as team=search.",
        )
    for key in labels:
        _check_label(key, allowed_cloud_labels)
    try:
        account_id = None if account is None else find.account(session, account).id
        endpoint_id = None if endpoint is None else find.endpoint(session, endpoint).id
    except ServiceError as error:
        field_name = "selector.account" if "account" in error.title else "selector.endpoint"
        raise invalid(field_name, error.detail, remedy=error.remedy) from error
    return Selector(account_id, endpoint_id, dict(labels))


def covered(session: Session, selector: Selector) -> list[Endpoint]:
    """Return the endpoints that a selector covers now, managed or not, by name."""
    known = fleet.of(session)
    labels = known.labels() if selector.labels else {}
    return [
        endpoint
        for endpoint in known.live()
        if selector.matches(endpoint, labels.get(endpoint.id, ()))
    ]


def _check_label(key: str, allowed: Collection[str]) -> None:
    if not key.startswith(CLOUD_PREFIX) or key.removeprefix(CLOUD_PREFIX) in allowed:
        return
    raise invalid(
        "selector.labels",
        f"{key!r} comes from the cloud, where others may set it; rules may not bind to it.",
        remedy="Label the endpoints here, or add the key to the setting allowed_cloud_labels.",
    )
