"""Which endpoints a bulk request is for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlmodel import Session

from orchestrator.services import find, selectors
from orchestrator.services.errors import ServiceError, invalid
from orchestrator.settings import Settings
from orchestrator.store import endpoints
from orchestrator.store.endpoints import EndpointFilter
from orchestrator.store.tables import Endpoint, Json

MOST = 2000


@dataclass(frozen=True, slots=True)
class Selection:
    """Which endpoints: all conditions that are given must hold; `everything` stands for none."""

    account: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    ids: tuple[str, ...] | None = None
    statuses: tuple[str, ...] = ()
    managed: bool | None = None
    everything: bool = False

    @property
    def empty(self) -> bool:
        """Tell whether no condition narrows it; `managed` alone does not."""
        return self.account is None and not self.labels and self.ids is None and not self.statuses


def selected(session: Session, wanted: Selection, settings: Settings) -> Sequence[Endpoint]:
    """Return the endpoints by name, at most MOST. Raises ServiceError 422 where it names none."""
    if wanted.empty and not wanted.everything:
        raise invalid(
            "selector",
            "A selector without a condition would cover every endpoint.",
            remedy="Give an account, labels, ids or statuses; or say `all: true`.",
        )
    if wanted.everything and not wanted.empty:
        raise invalid("all", "It is everything, or what the other conditions name, not both.")
    rows = endpoints.matching(session, _filter(session, wanted, settings), MOST + 1)
    if len(rows) > MOST:
        raise invalid(
            "selector", f"It covers more than {MOST} endpoints.", remedy="Do it in several parts."
        )
    if wanted.ids is not None:
        _check_known(session, wanted.ids)
    if not rows:
        raise invalid(
            "selector",
            "No endpoint matches, so there is nothing to do.",
            remedy="See what there is: GET /v1/endpoints takes the same conditions.",
        )
    return rows


def _filter(session: Session, wanted: Selection, settings: Settings) -> EndpointFilter:
    account = None if wanted.account is None else _account(session, wanted.account)
    if wanted.labels:
        selectors.resolve(
            session,
            account=None,
            endpoint=None,
            labels=wanted.labels,
            allowed_cloud_labels=settings.allowed_cloud_labels,
        )
    return EndpointFilter(
        account_id=account,
        statuses=wanted.statuses,
        managed=wanted.managed,
        labels=tuple(wanted.labels.items()),
        ids=wanted.ids,
        deleted=wanted.ids is not None,  # each id that is given has an outcome
    )


def _account(session: Session, ref: str) -> str:
    try:
        return find.account(session, ref).id
    except ServiceError as error:
        raise invalid("selector.account", error.detail, remedy=error.remedy) from error


def _check_known(session: Session, ids: Sequence[str]) -> None:
    known = endpoints.by_ids(session, ids)
    missing = [ref for ref in ids if ref not in known]
    if missing:
        raise invalid("selector.ids", f"There is no endpoint {missing[0]!r}.")


def as_json(wanted: Selection) -> Json:
    """Return the conditions that were given, as an event keeps them."""
    parts: Json = {
        "account": wanted.account,
        "labels": dict(wanted.labels),
        "ids": list(wanted.ids or ()),
        "statuses": list(wanted.statuses),
        "all": wanted.everything,
    }
    kept = {name: value for name, value in parts.items() if value}
    return kept if wanted.managed is None else kept | {"managed": wanted.managed}
