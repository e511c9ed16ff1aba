"""Notification targets: saved, tried, removed; and whom a notice concerns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sqlmodel import Session

from orchestrator.channels import addresses
from orchestrator.channels.message import AddressError, Message, Outcome
from orchestrator.domain.notices import NOTIFIABLE, STATUS_CHANGED, Severity, can_fit, wanted
from orchestrator.services import messages, selectors
from orchestrator.services.dispatch import APPRISE, WEBHOOK, is_reference
from orchestrator.services.errors import conflict, invalid, nearest, not_found
from orchestrator.services.requests import Asked
from orchestrator.services.selectors import Selector
from orchestrator.store import events
from orchestrator.store import notifications as rows
from orchestrator.store.ids import new_id
from orchestrator.store.tables import Delivery, Endpoint, Label, Notice, NotificationTarget

PER_MINUTE = 10
REFERENCE = "give env:NAME or file:/path, which the server reads when it sends"
ADDRESS = "Give such as https://hooks.example.org/path, or env:NAME or file:/path."
FAILING = "notification.target_failing"


@dataclass(frozen=True, slots=True)
class Draft:
    """A target as a person wants it; `selector` is None where it wants all there is."""

    name: str
    kind: str
    address: str
    secret_ref: str = ""
    old_secret_ref: str = ""
    kinds: Sequence[str] = ()
    least_severity: Severity = Severity.WARNING
    selector: Selector | None = None
    owner: str = ""
    enabled: bool = True
    per_minute: int = PER_MINUTE


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of the endpoint that a notice is about."""

    endpoint: Endpoint | None = None
    labels: Sequence[Label] = field(default_factory=tuple)


def find(session: Session, ref: str) -> NotificationTarget:
    """Return a target by id or name. Raises ServiceError 404."""
    found = rows.get_target(session, ref) or rows.target_by_name(session, ref)
    if found is None:
        raise not_found("notification target", ref, "List them with GET /v1/notification-targets.")
    return found


def create(session: Session, draft: Draft, asked: Asked, *, private: bool) -> NotificationTarget:
    """Store a new target. Raises ServiceError 409 for a taken name, 422 for what cannot be used."""
    target = NotificationTarget(
        id=new_id("tgt", asked.now),
        name=draft.name,
        kind=draft.kind,
        address=draft.address,
        least_severity=draft.least_severity,
        per_minute=draft.per_minute,
        created_at=asked.now,
        created_by=asked.actor,
        updated_at=asked.now,
    )
    return _store(session, target, draft, asked, private=private)


def replace(
    session: Session, target: NotificationTarget, draft: Draft, asked: Asked, *, private: bool
) -> NotificationTarget:
    """Store a target in place of its former version; what waits for it is tried again at once.

    Raises ServiceError 409 for a taken name, 422 for what cannot be used.
    """
    target.version += 1
    target.updated_at = asked.now
    target.blocked_until = None
    return _store(session, target, draft, asked, private=private)


def remove(session: Session, target: NotificationTarget, asked: Asked) -> None:
    """Remove a target; what waits for it is given up."""
    rows.lock_target(session, target.id)
    rows.drop_pending(session, target.id)
    target.removed_at, target.enabled = asked.now, False
    _record(session, target, "notification.target_removed", asked, "removed")
    target.name = f"{target.name} ({target.id})"
    session.add(target)


def retry(session: Session, ref: str, asked: Asked) -> Delivery:
    """Send what was not delivered again, soon. Raises ServiceError 404 or 409."""
    delivery = rows.get(session, ref)
    if delivery is None:
        raise not_found("notification", ref, "List them with GET /v1/notifications.")
    target = rows.lock_target(session, delivery.target_id)
    session.refresh(delivery)
    if delivery.status not in (rows.PENDING, rows.FAILED):
        raise conflict(
            f"notification_{delivery.status}",
            f"This notification was {delivery.status}.",
            remedy="Only what is pending or has failed can be sent again.",
        )
    delivery.status, delivery.next_attempt_at = rows.PENDING, asked.now
    delivery.created_at = asked.now  # it is tried for as long as a new one
    target.blocked_until = None
    session.add_all((delivery, target))
    _record(session, target, "notification.retried", asked, "asked to be sent to again")
    return delivery


def trial_of(target: NotificationTarget, asked: Asked) -> Message:
    """Return a message that tries a target."""
    return messages.trial(new_id("msg", asked.now), target.name, asked.actor, asked.now)


def tried(session: Session, target: NotificationTarget, outcome: Outcome, asked: Asked) -> None:
    """Record what became of a trial."""
    what = "tried: delivered" if outcome.delivered else f"tried: {outcome.error}"
    _record(session, target, "notification.tested", asked, what)


def concerns(target: NotificationTarget, notice: Notice, facts: Facts) -> bool:
    """Tell whether a target wants a notice; one that is older than the target only as a warning.

    One that is not about an endpoint reaches no target that asks for endpoints; one that is about
    the whole installation reaches targets of every account.
    """
    if notice.at < target.created_at and not messages.is_warning(notice):
        return False
    if notice.kind == FAILING and notice.data.get("target") == target.id:
        return False
    if Severity(notice.severity).rank < Severity(target.least_severity).rank:
        return False
    return wanted(notice.kind, target.kinds) and _selected(target, notice, facts)


def _selected(target: NotificationTarget, notice: Notice, facts: Facts) -> bool:
    selector = selectors.from_json(target.selector)
    endpoint = facts.endpoint
    if endpoint is None:
        if selector.endpoint_id is not None or selector.labels or target.owner:
            return False
        return None in (selector.account_id, notice.account_id) or (
            selector.account_id == notice.account_id
        )
    if target.owner and endpoint.owner != target.owner:
        return False
    return selector.matches(endpoint, facts.labels)


def _store(
    session: Session, target: NotificationTarget, draft: Draft, asked: Asked, *, private: bool
) -> NotificationTarget:
    with session.no_autoflush:
        if rows.name_taken(session, draft.name, target.id):
            raise conflict(
                "name_taken",
                f"A notification target named {draft.name!r} exists.",
                remedy="Choose another name, or change that one.",
                field="name",
            )
    _check(draft, private=private)
    target.name, target.kind, target.address = draft.name, draft.kind, draft.address
    target.secret_ref, target.old_secret_ref = draft.secret_ref, draft.old_secret_ref
    target.kinds, target.least_severity = list(draft.kinds), draft.least_severity.value
    target.selector = {} if draft.selector is None else draft.selector.to_json()
    target.owner, target.enabled, target.per_minute = draft.owner, draft.enabled, draft.per_minute
    session.add(target)
    _record(session, target, "notification.target_saved", asked, f"saved, version {target.version}")
    return target


def _check(draft: Draft, *, private: bool) -> None:
    checks = {WEBHOOK: _check_webhook, APPRISE: _check_apprise}
    if draft.kind not in checks:
        raise invalid("kind", f"{draft.kind!r} is no kind of target.", remedy="webhook or apprise.")
    checks[draft.kind](draft, private)
    _check_kinds(draft.kinds)


def _check_webhook(draft: Draft, private: bool) -> None:
    if not is_reference(draft.address):
        try:
            addresses.check_clear(draft.address)
            addresses.check_allowed(draft.address, private=private)
        except AddressError as error:
            reason, _, remedy = str(error).partition("; ")
            raise invalid(
                "address", f"This address cannot be used: {reason}.", remedy=remedy or ADDRESS
            ) from None
    if not is_reference(draft.secret_ref):
        raise invalid("secret_ref", "Webhooks are signed with a secret.", remedy=REFERENCE)
    if draft.old_secret_ref and not is_reference(draft.old_secret_ref):
        raise invalid("old_secret_ref", "The secret itself is never stored.", remedy=REFERENCE)


def _check_apprise(draft: Draft, private: bool) -> None:
    del private  # who may write the server's variables and files says where they lead
    if not is_reference(draft.address):
        raise invalid(
            "address",
            "Addresses of such services hold passwords, so that only a reference is stored.",
            remedy=REFERENCE,
        )
    if draft.secret_ref or draft.old_secret_ref:
        raise invalid("secret_ref", "Only webhooks are signed.", remedy="Leave it out.")


def _check_kinds(kinds: Iterable[str]) -> None:
    known = {*NOTIFIABLE, STATUS_CHANGED}
    for kind in kinds:
        if not can_fit(kind):
            raise invalid(
                "kinds",
                f"Nobody is told of events of kind {kind[:80]!r}.",
                remedy=nearest(kind, known),
            )


def _record(
    session: Session, target: NotificationTarget, kind: str, asked: Asked, what: str
) -> None:
    events.record(
        session,
        at=asked.now,
        kind=kind,
        actor=asked.actor,
        message=f"the notification target {target.name} was {what} by {asked.actor}"
        if kind != "notification.tested"
        else f"the notification target {target.name} was {what}",
        data={"target": target.id, "enabled": target.enabled},
    )
