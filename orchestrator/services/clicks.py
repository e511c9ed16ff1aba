"""What a person asks of an endpoint now: the standing wish, or a hold where a rule objects."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta

from sqlmodel import Session

from orchestrator.domain.asked import HoldFact, Standing
from orchestrator.domain.decide import Decision, Facts, Rule, decide
from orchestrator.domain.plan import NO_LEAVE, Kind
from orchestrator.domain.status import Status, Wish
from orchestrator.services import hold_rows
from orchestrator.services.errors import ServiceError, conflict
from orchestrator.services.hold_rows import LONGEST_HOLD, check_end
from orchestrator.services.requests import Asked, check_changeable, open_operation, under_way
from orchestrator.services.rulebook import Rulebook, listed_activity, means_of
from orchestrator.store import operations
from orchestrator.store.observation import AWAY, ManagedRow
from orchestrator.store.tables import Account, Endpoint, Hold, Json, Operation

DEFAULT_RUN_HOLD = timedelta(hours=4)
_DOWN = (Status.PAUSED, Status.PAUSING)
_STOPS = {Kind.PAUSE: Wish.PAUSED, Kind.SCALE_TO_ZERO: Wish.AVAILABLE}


@dataclass(frozen=True, slots=True)
class Clicked:
    """The operation that a click began, and the hold that it made, if any."""

    operation: Operation
    hold: Hold | None


@dataclass(frozen=True, slots=True)
class Terms:
    """For how long a click shall hold: until an instant, or as usual, within `longest_run`.

    An instant may lie `longest` ahead.
    """

    until: datetime | None = None
    longest_run: timedelta = DEFAULT_RUN_HOLD
    longest: timedelta = LONGEST_HOLD
    # The rules of the account, where they were read for many endpoints at once.
    book: Rulebook | None = None


USUAL = Terms()


@dataclass(frozen=True, slots=True)
class View:
    """The endpoint's facts without holds and freezes, and what its rules say then."""

    facts: Facts
    ruled: Decision


def request_pause(
    session: Session, endpoint: Endpoint, asked: Asked, terms: Terms = USUAL
) -> Clicked:
    """Ask that all replicas stop and stay so; against a schedule until its next start.

    Raises ServiceError 409 with a remedy when it may not be, or would be undone at once.
    """
    return _click(session, endpoint, Kind.PAUSE, asked, terms)


def request_resume(
    session: Session, endpoint: Endpoint, asked: Asked, terms: Terms = USUAL
) -> Clicked:
    """Ask that it run; against a schedule until its next edge, at most `terms.longest_run`.

    Raises ServiceError 409 with a remedy when it may not be, or would be undone at once.
    """
    return _click(session, endpoint, Kind.RESUME, asked, terms)


def request_scale_to_zero(
    session: Session, endpoint: Endpoint, asked: Asked, terms: Terms = USUAL
) -> Clicked:
    """Ask that its replicas stop until the next request wakes it.

    Raises ServiceError 409 with a remedy when it may not be, or would be undone at once.
    """
    return _click(session, endpoint, Kind.SCALE_TO_ZERO, asked, terms)


def outside_click(
    session: Session,
    account: Account,
    endpoint: Endpoint,
    wish: Wish,
    *,
    now: datetime,
    actor: str,
    reason: str,
    longest_run: timedelta = DEFAULT_RUN_HOLD,
) -> Hold | None:
    """Take what somebody did in the cloud's own console as a click; nothing is begun.

    Returns the hold, when it went against a rule and would not be undone at once.
    """
    asked = Asked(actor, now, reason)
    view = look(session, account, endpoint, now)
    if view.ruled.rule is Rule.DELETION:
        return None
    hold_rows.end_all(session, endpoint, asked, leases=wish is Wish.PAUSED)
    end = _end(wish, view, Terms(longest_run=longest_run), now)
    return _write(session, endpoint, wish, end, asked)


def awake_wish(endpoint: Endpoint) -> Wish:
    """Return what "running" means for an endpoint: one that may scale to zero is available."""
    return Wish.AVAILABLE if endpoint.min_replicas == 0 else Wish.RUNNING


def _click(session: Session, endpoint: Endpoint, kind: Kind, asked: Asked, terms: Terms) -> Clicked:
    account = check_changeable(session, endpoint)
    check_end(terms.until, asked.now, terms.longest)
    view = look(session, account, endpoint, asked.now, terms.book)
    if view.ruled.rule is Rule.DELETION:
        raise deleting(session, endpoint)
    if kind is Kind.SCALE_TO_ZERO and endpoint.status in _DOWN:
        raise conflict(
            "already_paused",
            f"{endpoint.name} is {endpoint.status}: it has no replicas, and no request wakes it.",
            remedy="Resume it if requests shall wake it.",
        )
    check_means(endpoint, kind)
    wish = awake_wish(endpoint) if kind is Kind.RESUME else _STOPS[kind]
    end = _end(wish, view, terms, asked.now)
    refuse_expired(view.facts, endpoint, wish, end, asked.now)
    _refuse_undone(view, wish, end, asked)
    before = remember(endpoint)
    active = under_way(session, endpoint, kind)
    ended = hold_rows.end_all(session, endpoint, asked, leases=kind is not Kind.RESUME)
    hold = _write(session, endpoint, wish, end, asked)
    request: Json = {"before": before, "after": remember(endpoint), "ended": ended}
    request["hold"] = "" if hold is None else hold.id
    if active is None:
        active = open_operation(session, account, endpoint, kind, asked, request=request)
    elif active.kind == kind:
        active.request = _joined(active.request, request)
        session.add(active)
    return Clicked(active, hold)


def check_means(endpoint: Endpoint, kind: Kind) -> None:
    """Raise ServiceError 409 for a stop that its cloud or its owner does not allow."""
    barrier = means_of(endpoint).barrier(kind)
    is_away = endpoint.stop_sent_at is not None and endpoint.status in AWAY
    if not barrier or (kind is Kind.PAUSE and is_away):
        return
    if barrier == NO_LEAVE:
        raise conflict(
            "recreate_not_allowed",
            f"{endpoint.name}: {barrier}.",
            remedy=f"Read what that means, GET /v1/endpoints/{endpoint.id}/contract, then allow "
            f"it: `orchestrator endpoints allow-recreate {endpoint.name}`.",
        )
    raise conflict("not_possible", f"{endpoint.name}: {barrier}.")


def _joined(first: Json, again: Json) -> Json:
    """Return what an operation must remember after a repeated click, to take both back."""
    if "before" not in first:  # a rule asked for it: it cannot be cancelled
        return first
    if first["after"] != again["before"]:  # somebody else's wish came in between: back to that
        return first | again
    others = [ref for ref in again["ended"] if ref != first["hold"]]
    return first | again | {"before": first["before"], "ended": others or first["ended"]}


def deleting(session: Session, endpoint: Endpoint) -> ServiceError:
    """Return the error for a change of an endpoint that is being deleted."""
    if endpoint.delete_after is not None:
        back = (
            f"Bring it back first: POST /v1/endpoints/{endpoint.id}/undelete, or "
            f"`orchestrator endpoints undelete {endpoint.name}`."
        )
        return conflict(
            "being_deleted",
            f"{endpoint.name} is to be deleted after {endpoint.delete_after:%Y-%m-%d %H:%M} UTC.",
            remedy=_extend_first(endpoint) if endpoint.expiry.get("expired_at") else back,
        )
    active = operations.active_for(session, endpoint.id)
    remedy = "Wait until it is gone."
    if active is not None and active.status == "pending" and active.kind == Kind.DELETE:
        remedy = f"Cancel the deletion first: POST /v1/operations/{active.id}/cancel."
    return conflict("being_deleted", f"{endpoint.name} is being deleted.", remedy=remedy)


def _write(
    session: Session, endpoint: Endpoint, wish: Wish, end: datetime | None, asked: Asked
) -> Hold | None:
    """Write the click down: as a hold where it has an end, else as the standing wish."""
    if end is None:
        set_wish(session, endpoint, wish, asked)
        return None
    return hold_rows.start(session, endpoint, HoldFact(wish, end, asked.actor, asked.why), asked)


def _end(wish: Wish, view: View, terms: Terms, now: datetime) -> datetime | None:
    """Return when a click ends: as asked for, or by itself where a schedule objects to it."""
    if terms.until is not None:
        return terms.until
    return _usual_end(wish, view, terms, now) if opposes(wish, view.ruled) else None


def opposes(wish: Wish, decision: Decision) -> bool:
    """Tell whether a schedule wants the opposite of what a person asks for."""
    if decision.rule is not Rule.SCHEDULE or decision.wish is None:
        return False
    if wish is Wish.PAUSED or decision.wish is Wish.PAUSED:
        return wish is not decision.wish
    return wish is Wish.AVAILABLE and decision.wish is Wish.RUNNING


def look(
    session: Session,
    account: Account,
    endpoint: Endpoint,
    now: datetime,
    book: Rulebook | None = None,
) -> View:
    """Return an endpoint's facts as if nobody held it and nothing was frozen."""
    facts = facts_of(session, account, endpoint, now, book)
    free = replace(facts, holds=(), frozen=None)
    return View(free, decide(free, now))


def facts_of(
    session: Session,
    account: Account,
    endpoint: Endpoint,
    now: datetime,
    book: Rulebook | None = None,
) -> Facts:
    """Return what `decide` may look at for one endpoint; `book` holds rules read before."""
    row = ManagedRow(**{item.name: getattr(endpoint, item.name) for item in fields(ManagedRow)})
    book = book or Rulebook.load(session, account, now, endpoint.id)
    activity = listed_activity(row, account.observed_at)
    return replace(book.facts(row, activity, now), managed=endpoint.managed)


def _usual_end(wish: Wish, view: View, terms: Terms, now: datetime) -> datetime:
    """A run lasts until the next edge or the longest run, and no longer than the endpoint.

    A stop lasts until the next start.
    """
    end = _ruled_end(wish, view, terms, now)
    expiry = view.facts.expiry
    if expiry is None or wish is Wish.PAUSED or view.facts.protected or expiry.at <= now:
        return end
    return min(end, expiry.at)


def _ruled_end(wish: Wish, view: View, terms: Terms, now: datetime) -> datetime:
    states = [fact.state for fact in view.facts.schedules if not fact.shadow]
    longest = now + terms.longest_run
    if wish is Wish.PAUSED:
        return _first_after(now, (state.next_start for state in states)) or longest
    if view.ruled.wish is not Wish.PAUSED:
        return _first_after(now, (state.next_opens for state in states)) or longest
    return min(_first_after(now, (state.end_of_run for state in states)) or longest, longest)


def _first_after(now: datetime, instants: Iterable[datetime | None]) -> datetime | None:
    return min((at for at in instants if at is not None and at > now), default=None)


def refuse_expired(
    facts: Facts, endpoint: Endpoint, wish: Wish, end: datetime | None, now: datetime
) -> None:
    """Refuse to run what has expired, or expires before that. Raises ServiceError 409."""
    expiry = facts.expiry
    if expiry is None or facts.protected or wish is Wish.PAUSED:
        return
    remedy = _extend_first(endpoint)
    told = f"{expiry.at:%Y-%m-%d %H:%M} UTC, as {expiry.actor} set it: {expiry.reason}."
    if expiry.at <= now:
        raise conflict("expired", f"{endpoint.name} expired at {told}", remedy=remedy)
    if end is not None and end > expiry.at:
        raise conflict(
            "expires_before",
            f"{endpoint.name} expires before that end, at {told}",
            remedy=remedy,
            field="until",
        )


def _extend_first(endpoint: Endpoint) -> str:
    return (
        f"Extend it first: POST /v1/endpoints/{endpoint.id}/extend, or "
        f"`orchestrator endpoints extend {endpoint.name} --for 3d`."
    )


def _refuse_undone(view: View, wish: Wish, end: datetime | None, asked: Asked) -> None:
    """Refuse what a rule would undo at once, by asking `decide` about the state after the click."""
    if end is None:
        standing = Standing(wish, asked.actor, asked.why, asked.now)
        after = decide(replace(view.facts, standing=standing), asked.now)
    else:
        held = HoldFact(wish, end, asked.actor, asked.why)
        after = decide(replace(view.facts, holds=(held,)), asked.now)
    if after.wish is None or (after.wish is Wish.PAUSED) == (wish is Wish.PAUSED):
        return
    raise conflict(
        "would_be_undone",
        f"It would be {after.wish} again at once: {after.reason}.",
        remedy="Give an end with `until` to hold it so, or change that rule first.",
    )


def set_wish(session: Session, endpoint: Endpoint, wish: Wish, asked: Asked) -> None:
    """Make it the standing wish."""
    endpoint.wish, endpoint.wish_reason = wish, asked.why
    endpoint.wish_actor, endpoint.wish_at = asked.actor, asked.now
    endpoint.not_before = None  # a person's click does not wait for a back-off
    session.add(endpoint)


def remember(endpoint: Endpoint) -> dict[str, str | None]:
    """Return the standing wish as it is, in the form that an operation stores."""
    at = endpoint.wish_at
    return {
        "wish": endpoint.wish,
        "reason": endpoint.wish_reason,
        "actor": endpoint.wish_actor,
        "at": None if at is None else at.isoformat(),
    }
