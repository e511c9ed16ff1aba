"""What a bulk request does to one endpoint: the same use cases as for one alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from sqlmodel import Session

from orchestrator.domain.status import AWAKE, Status, Wish
from orchestrator.services import clicks, creation, deletion
from orchestrator.services.clicks import Clicked, Terms, awake_wish
from orchestrator.services.errors import conflict, invalid
from orchestrator.services.requests import Asked
from orchestrator.services.rulebook import Rulebook
from orchestrator.store.endpoints import OURS
from orchestrator.store.tables import Endpoint, Json, Label, Operation


class Action(StrEnum):
    """What a bulk request does."""

    PAUSE = "pause"
    RESUME = "resume"
    SCALE_TO_ZERO = "scale_to_zero"
    PROTECT = "protect"
    UNPROTECT = "unprotect"
    LABEL = "label"
    DELETE = "delete"

    @property
    def words(self) -> str:
        """Return it as the first word of a sentence."""
        return self.value.replace("_", " ").capitalize()


STOPPING = frozenset({Action.PAUSE, Action.SCALE_TO_ZERO, Action.DELETE})
POWER = STOPPING | {Action.RESUME}
CLICKS = frozenset({Action.PAUSE, Action.RESUME, Action.SCALE_TO_ZERO})
MOST_LABELS = 50


class Verdict(StrEnum):
    """What became of one endpoint, or would."""

    ACCEPTED = "accepted"
    UNCHANGED = "unchanged"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked of every endpoint of a list."""

    action: Action
    terms: Terms = clicks.USUAL
    labels: Mapping[str, str] = field(default_factory=dict)
    grace: timedelta = deletion.AT_ONCE

    @property
    def power(self) -> bool:
        """Whether it starts or stops something."""
        return self.action in POWER

    @property
    def stops(self) -> bool:
        """Whether it stops something."""
        return self.action in STOPPING

    def as_json(self) -> Json:
        """Return what is confirmed and recorded of it."""
        until = self.terms.until
        return {
            "action": self.action.value,
            "until": None if until is None else until.isoformat(),
            "labels": dict(self.labels),
            "grace_seconds": int(self.grace.total_seconds()),
        }


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one endpoint; `code` and `remedy` are those of a refusal."""

    verdict: Verdict
    detail: str
    code: str = ""
    remedy: str = ""
    operation: Operation | None = None
    held_until: datetime | None = None

    @property
    def changes(self) -> bool:
        """Whether anything is changed."""
        return self.verdict is Verdict.ACCEPTED


@dataclass(frozen=True, slots=True)
class Around:
    """What else is known of an endpoint when its turn comes."""

    held: bool
    active: Operation | None
    labels: Sequence[Label]
    bulk_id: str
    book: Rulebook | None = None


def check(order: Order) -> None:
    """Raise ServiceError 422 for what does not belong together."""
    if (order.action is Action.LABEL) != bool(order.labels):
        raise invalid(
            "set_labels",
            "The action label needs labels to set, and no other action takes any.",
            remedy='Give set_labels such as {"stage": "dev"} with the action label.',
        )
    if order.terms.until is not None and order.action not in CLICKS:
        raise invalid("until", f"The action {order.action} has no end.", remedy="Leave it out.")
    if order.grace != deletion.AT_ONCE and order.action is not Action.DELETE:
        raise invalid("grace", "Only a deletion has a grace.", remedy="Leave it out.")


def act(session: Session, row: Endpoint, order: Order, asked: Asked, around: Around) -> Outcome:
    """Do what is asked of one endpoint. Raises ServiceError when it is refused."""
    if row.deleted_at is not None:
        raise conflict(
            "deleted", f"{row.name} was deleted.", remedy="Leave it out, or create it again."
        )
    outcome = _ACTS[order.action](session, row, order, asked, around)
    if outcome.operation is not None and outcome.operation.bulk_id is None:
        outcome.operation.bulk_id = around.bulk_id
        session.add(outcome.operation)
    return outcome


_REQUESTS: Mapping[Action, Callable[[Session, Endpoint, Asked, Terms], Clicked]] = {
    Action.PAUSE: clicks.request_pause,
    Action.RESUME: clicks.request_resume,
    Action.SCALE_TO_ZERO: clicks.request_scale_to_zero,
}


def _click(session: Session, row: Endpoint, order: Order, asked: Asked, around: Around) -> Outcome:
    if order.terms.until is None and _is_so(row, order.action, around):
        return Outcome(Verdict.UNCHANGED, f"it is {row.status} already, as was last asked for")
    terms = replace(order.terms, book=around.book)
    clicked = _REQUESTS[order.action](session, row, asked, terms)
    hold = clicked.hold
    detail = f"{order.action.words.lower()} asked for"
    if around.active is not None and around.active.id == clicked.operation.id:
        detail = f"joined the {clicked.operation.kind} that is under way"
    until = None if hold is None else hold.until
    return Outcome(Verdict.ACCEPTED, detail, operation=clicked.operation, held_until=until)


def _is_so(row: Endpoint, action: Action, around: Around) -> bool:
    """Tell whether it is as asked for, was asked for last, and nothing is about to change it."""
    if around.held or around.active is not None or not row.managed:
        return False
    if action is Action.PAUSE:
        return row.status == Status.PAUSED and row.wish == Wish.PAUSED
    if action is Action.SCALE_TO_ZERO:
        return row.status == Status.SCALED_TO_ZERO and row.wish == Wish.AVAILABLE
    return row.status in AWAKE and row.wish == awake_wish(row)


def _protect(
    session: Session, row: Endpoint, order: Order, asked: Asked, around: Around
) -> Outcome:
    del around
    wanted = order.action is Action.PROTECT
    state = "protected" if wanted else "not protected"
    if row.protected is wanted:
        return Outcome(Verdict.UNCHANGED, f"it is {state} already")
    creation.change_ours(session, row, asked, labels=None, owner=None, protected=wanted)
    return Outcome(Verdict.ACCEPTED, f"{state} from now on")


def _label(session: Session, row: Endpoint, order: Order, asked: Asked, around: Around) -> Outcome:
    ours = {one.key: one.value for one in around.labels if one.source == OURS}
    labels = ours | dict(order.labels)
    if labels == ours:
        return Outcome(Verdict.UNCHANGED, "it has these labels already")
    if len(labels) > MOST_LABELS:
        raise invalid(
            "set_labels",
            f"{row.name} would have {len(labels)} labels, and {MOST_LABELS} are the most.",
            remedy=f"Remove some first: PATCH /v1/endpoints/{row.id} with all that shall stay.",
        )
    creation.change_ours(session, row, asked, labels=labels, owner=None, protected=None)
    return Outcome(Verdict.ACCEPTED, "labelled")


def _delete(session: Session, row: Endpoint, order: Order, asked: Asked, around: Around) -> Outcome:
    entombed = row.delete_after
    if entombed is not None and order.grace > deletion.AT_ONCE:
        return Outcome(
            Verdict.UNCHANGED, f"it is deleted after {entombed:%Y-%m-%d %H:%M} UTC already"
        )
    operation = deletion.request_delete(session, row, asked, confirm=row.name, grace=order.grace)
    under_way = around.active is not None and around.active.id == operation.id
    if under_way and order.grace == deletion.AT_ONCE:
        return Outcome(Verdict.UNCHANGED, "its deletion is under way already", operation=operation)
    after = "" if row.delete_after is None else f", after {row.delete_after:%Y-%m-%d %H:%M} UTC"
    return Outcome(Verdict.ACCEPTED, f"deletion asked for{after}", operation=operation)


_ACTS: Mapping[Action, Callable[[Session, Endpoint, Order, Asked, Around], Outcome]] = {
    Action.PAUSE: _click,
    Action.RESUME: _click,
    Action.SCALE_TO_ZERO: _click,
    Action.PROTECT: _protect,
    Action.UNPROTECT: _protect,
    Action.LABEL: _label,
    Action.DELETE: _delete,
}
