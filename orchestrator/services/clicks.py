"""What a person asks of an endpoint now: the standing wish, or a hold where a rule objects."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta

from sqlmodel import Session

from orchestrator.costs.rates import replica_rate
from orchestrator.domain.decide import Decision, Facts, HoldFact, Rule, Standing, decide
from orchestrator.domain.money import amount_for
from orchestrator.domain.plan import NO_LEAVE, Kind
from orchestrator.domain.status import Status, Wish
from orchestrator.services.errors import ServiceError, conflict, invalid
from orchestrator.services.requests import Asked, check_changeable, open_operation, under_way
from orchestrator.services.rulebook import Rulebook, listed_activity, means_of
from orchestrator.store import events, holds, ledger, operations
from orchestrator.store.ids import new_id
from orchestrator.store.observation import AWAY, ManagedRow
from orchestrator.store.tables import Account, Endpoint, Hold, Json, Operation

DEFAULT_RUN_HOLD = timedelta(hours=4)
LONGEST_HOLD = timedelta(days=30)
_DOWN = (Status.PAUSED, Status.PAUSING)
_STOPS = {Kind.PAUSE: Wish.PAUSED, Kind.SCALE_TO_ZERO: Wish.AVAILABLE}


@dataclass(frozen=True, slots=True)
class Clicked:
    """The operation that a click began, and the hold that it made, if any."""

    operation: Operation
    hold: Hold | None


@dataclass(frozen=True, slots=True)
class Terms:
    """For how long a click shall hold: until an instant, or as usual, within `longest_run`."""

    until: datetime | None = None
    longest_run: timedelta = DEFAULT_RUN_HOLD
    # The rules of the account, where they were read for many endpoints at once.
    book: Rulebook | None = None


USUAL = Terms()


@dataclass(frozen=True, slots=True)
class _View:
    """The endpoint's facts, and what its rules would say without holds."""

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
    view = _look(session, account, endpoint, now)
    if view.ruled.rule is Rule.DELETION:
        return None
    end_holds(session, endpoint, asked)
    end = _end(wish, view, Terms(longest_run=longest_run), now)
    return _write(session, endpoint, wish, end, asked)


def awake_wish(endpoint: Endpoint) -> Wish:
    """Return what "running" means for an endpoint: one that may scale to zero is available."""
    return Wish.AVAILABLE if endpoint.min_replicas == 0 else Wish.RUNNING


def _click(session: Session, endpoint: Endpoint, kind: Kind, asked: Asked, terms: Terms) -> Clicked:
    account = check_changeable(session, endpoint)
    _check_end(terms.until, asked.now)
    view = _look(session, account, endpoint, asked.now, terms.book)
    if view.ruled.rule is Rule.DELETION:
        raise deleting(session, endpoint)
    if kind is Kind.SCALE_TO_ZERO and endpoint.status in _DOWN:
        raise conflict(
            "already_paused",
            f"{endpoint.name} is {endpoint.status}: it has no replicas, and no request wakes it.",
            remedy="Resume it if requests shall wake it.",
        )
    _check_means(endpoint, kind)
    wish = awake_wish(endpoint) if kind is Kind.RESUME else _STOPS[kind]
    end = _end(wish, view, terms, asked.now)
    _refuse_undone(view, wish, end, asked)
    before = remember(endpoint)
    active = under_way(session, endpoint, kind)
    ended = end_holds(session, endpoint, asked)
    hold = _write(session, endpoint, wish, end, asked)
    request: Json = {"before": before, "after": remember(endpoint), "ended": ended}
    request["hold"] = "" if hold is None else hold.id
    if active is None:
        active = open_operation(session, account, endpoint, kind, asked, request=request)
    elif active.kind == kind:
        active.request = _joined(active.request, request)
        session.add(active)
    return Clicked(active, hold)


def _check_means(endpoint: Endpoint, kind: Kind) -> None:
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
        return conflict(
            "being_deleted",
            f"{endpoint.name} is to be deleted after {endpoint.delete_after:%Y-%m-%d %H:%M} UTC.",
            remedy=f"Bring it back first: POST /v1/endpoints/{endpoint.id}/undelete, or "
            f"`orchestrator endpoints undelete {endpoint.name}`.",
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
    return _start_hold(session, endpoint, HoldFact(wish, end, asked.actor, asked.why), asked)


def _end(wish: Wish, view: _View, terms: Terms, now: datetime) -> datetime | None:
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


def _look(
    session: Session,
    account: Account,
    endpoint: Endpoint,
    now: datetime,
    book: Rulebook | None = None,
) -> _View:
    facts = facts_of(session, account, endpoint, now, book)
    free = replace(facts, holds=(), frozen=None)
    return _View(free, decide(free, now))


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


def _check_end(until: datetime | None, now: datetime) -> None:
    if until is None:
        return
    if until <= now:
        raise invalid("until", "The end lies in the past.", remedy="Give a later instant.")
    if until - now > LONGEST_HOLD:
        raise invalid(
            "until",
            f"A hold may last {LONGEST_HOLD.days} days at most.",
            remedy="Give an earlier end, or change the schedule.",
        )


def _usual_end(wish: Wish, view: _View, terms: Terms, now: datetime) -> datetime:
    """A run lasts until the next edge or the longest run; a stop until the next start."""
    states = [fact.state for fact in view.facts.schedules if not fact.shadow]
    longest = now + terms.longest_run
    if wish is Wish.PAUSED or view.ruled.wish is not Wish.PAUSED:
        return _first_after(now, (state.next_start for state in states)) or longest
    return min(_first_after(now, (state.next_edge for state in states)) or longest, longest)


def _first_after(now: datetime, instants: Iterable[datetime | None]) -> datetime | None:
    return min((at for at in instants if at is not None and at > now), default=None)


def _refuse_undone(view: _View, wish: Wish, end: datetime | None, asked: Asked) -> None:
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


def _start_hold(session: Session, endpoint: Endpoint, fact: HoldFact, asked: Asked) -> Hold:
    hold = Hold(
        id=new_id("hld", asked.now),
        endpoint_id=endpoint.id,
        wish=fact.wish,
        starts_at=asked.now,
        until=fact.until,
        actor=asked.actor,
        reason=asked.why,
        cost_nano=hold_cost(session, endpoint, fact.wish, asked.now, fact.until),
    )
    session.add(hold)
    events.record(
        session,
        at=asked.now,
        kind="hold.started",
        actor=asked.actor,
        message=f"{asked.actor} holds {endpoint.name} {fact.wish} until "
        f"{fact.until:%Y-%m-%d %H:%M} UTC: {asked.why}",
        account_id=endpoint.account_id,
        endpoint_id=endpoint.id,
        data={"hold": hold.id, "wish": fact.wish, "cost_nano": hold.cost_nano},
    )
    return hold


def hold_cost(
    session: Session, endpoint: Endpoint, wish: Wish, start: datetime, end: datetime
) -> int | None:
    """Return nano-dollars for keeping it so: rate x replicas x time.

    None where the price of its hardware, or of what is billed beside it, is not known.
    """
    if wish is Wish.PAUSED:
        return 0

    def price_of(key: str) -> int | None:
        price = ledger.price_at(session, endpoint.account_id, key, start)
        return None if price is None else price.nano_per_hour

    rate = replica_rate(endpoint, price_of)
    if rate.nano is None or rate.unpriced:
        return None
    replicas = max(endpoint.min_replicas or 0, 1)
    return amount_for(rate.nano * replicas, int((end - start).total_seconds()))


def end_holds(session: Session, endpoint: Endpoint, asked: Asked) -> list[str]:
    """A newer click takes the place of earlier ones; returns the ids of their holds."""
    active = holds.active_of(session, [endpoint.id], asked.now).get(endpoint.id, [])
    for hold in active:
        end_hold(session, endpoint, hold, actor=asked.actor, now=asked.now)
    return [hold.id for hold in active]


def end_hold(
    session: Session, endpoint: Endpoint, hold: Hold, *, actor: str, now: datetime
) -> None:
    """End a hold before its time, with its event."""
    hold.ended_at, hold.ended_by = now, actor
    session.add(hold)
    events.record(
        session,
        at=now,
        kind="hold.ended",
        actor=actor,
        message=f"{actor} ended the hold of {endpoint.name} ({hold.wish})",
        account_id=endpoint.account_id,
        endpoint_id=endpoint.id,
        data={"hold": hold.id},
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
